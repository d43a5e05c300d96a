"""The errors that a user can mend: the command line tells them in one line, without a traceback."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

# What the machine may refuse, by the number of the system's error: what it means, and what to do.
FULL = ("the disk is full", "make room")
ROOMLESS = ("no file may grow so large", "raise the limit (`ulimit -f`), or give a folder on another disk")
RIGHTS = ("this user has no right to it", "change its rights, or give another folder")
FILES = ("too many files are open", "raise the limit (`ulimit -n`), or lower config.data.num_threads")
LOCKLESS = ("the file system cannot do this, as some cannot lock files", "mount it so, or give another folder")
REMEDIES = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: ROOMLESS,
    errno.EIO: ("the disk or its connection is broken", "mend it, or give a folder on another disk"),
    errno.ESTALE: ("the connection to the disk was lost", "restore it"),
    errno.EROFS: ("the disk can only be read", "give a folder on another disk"),
    errno.EACCES: RIGHTS,
    errno.EPERM: RIGHTS,
    errno.EMFILE: FILES,
    errno.ENFILE: FILES,
    errno.ENOSYS: LOCKLESS,
    errno.EOPNOTSUPP: LOCKLESS,
    errno.ENOLCK: LOCKLESS,
    errno.ENAMETOOLONG: ("the name is too long for this disk", "give a shorter one"),
}
OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"  # how jaxlib's errors begin where a device, or the host, has too little memory
LONGEST = 300  # characters of a library's words that are told


class UserError(ValueError):
    """Something is wrong with the configuration, a file, the data or the machine; the message says what and where.

    Attributes:
      known_to_all: whether each of the processes that run together raises it, or one in its place.
    """

    known_to_all = False


class Problems:
    """Users' errors that are collected, so that all of them are told at once."""

    def __init__(self) -> None:
        self._found: list[UserError] = []

    @contextlib.contextmanager
    def collected(self) -> Iterator[None]:
        """Notes a user's error that is raised in the block, which ends with it; any other error passes."""
        try:
            yield
        except UserError as error:
            if str(error) not in map(str, self._found):  # two checks may meet the same fault
                self._found.append(error)

    def raise_all(self) -> None:
        """Raises what was collected: one error as it is, several as one that lists them."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            told = "; ".join(f"({number}) {error}" for number, error in enumerate(self._found, start=1))
            raise UserError(f"{len(self._found)} things are wrong: {told}")


@contextlib.contextmanager
def refusals(place: str, *, less: str = "config.data.num_threads") -> Iterator[None]:
    """Raises what the machine refuses in the block as a UserError; every other error passes as it is.

    Args:
      place: what is under way, for the message: a stage, or a folder.
      less: what to lower where memory is too little.

    Raises:
      UserError: naming the place, the file if the system names one, the system's words, and what to do.
    """
    try:
        yield
    except (OSError, RuntimeError, MemoryError) as error:
        told = refused(error, less)
        if told is None:
            raise
        raise UserError(f"{place}: {told}, and give the same command again") from error


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Gives an OSError of the block the name of a file, where it has none: a write does not tell where it wrote."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def refused(error: BaseException | None, less: str = "config.data.num_threads") -> str | None:
    """What to tell the user of what the machine refuses, and what to do; None if the error is none of the machine's.

    Args:
      error: that was raised.
      less: what to lower where memory is too little.
    """
    words = " ".join(str(error).split())[:LONGEST].encode("utf-8", "backslashreplace").decode()
    if isinstance(error, MemoryError) or OUT_OF_MEMORY in str(error):
        return f"the memory is used up ({words or 'MemoryError'}); free some, or lower {less}"
    # array_record raises RuntimeError, with the system's words in the text.
    named = (number for number, told in REMEDIES.items() if told is not LOCKLESS and os.strerror(number) in str(error))
    number = error.errno if isinstance(error, OSError) else next(named, None)
    if number not in REMEDIES:
        return None
    what, remedy = REMEDIES[number]
    return f"{what} ({words}); {remedy}"
