"""The errors of checkpoints, and the reason behind one that orbax passes on from its storage libraries."""

import contextlib
import logging
from collections.abc import Iterator

from interpjax.errors import UserError


class CheckpointError(UserError):
    """A checkpoint could not be written or read; the message names the folder."""


class DamagedError(Exception):
    """A checkpoint is not what was written; the message says what differs."""


@contextlib.contextmanager
def without_tracebacks() -> Iterator[None]:
    """Keeps each of orbax's threads from printing a traceback of an error that is raised anyway."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def reason(error: BaseException) -> str:
    """The operating system's words for an error. In a long message of a storage library they are at the end."""
    error = root(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) < 200 else f"…{line[-160:]}"


def root(error: BaseException) -> BaseException:
    """The first of the errors that led to one: storage libraries put the cause behind several of their own."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return error
