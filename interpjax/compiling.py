"""JAX's persistent compilation cache, for as long as a run needs it."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from interpjax.errors import UserError

# By default JAX keeps only what takes a second to compile, which most functions of a run do not.
SETTINGS = {"jax_persistent_cache_min_compile_time_secs": 0.0, "jax_persistent_cache_min_entry_size_bytes": 0}
FOLDER = "jax_compilation_cache_dir"


@contextlib.contextmanager
def compiling_into(folder: Path | None, field: str) -> Iterator[None]:
    """Keeps what JAX compiles in the block in a folder, and takes from there what it would compile again.

    After the block JAX is set as before. If the folder cannot be written to later on, as on a full disk, JAX warns, and
    compiles without it.

    Args:
      folder: the folder, which is made; None for no change of JAX's settings.
      field: the name of what gave the folder, for the error message.

    Raises:
      UserError: if the folder cannot be made or written to at the start.
    """
    if folder is None:
        yield
        return
    _check_writable(folder, field)
    wanted = {FOLDER: str(folder), **SETTINGS}
    earlier = {name: getattr(jax.config, name) for name in wanted}
    _set(wanted)
    try:
        yield
    finally:
        _set(earlier)


def has_cache() -> bool:
    """Whether JAX has a compilation cache already, as by the environment's ``JAX_COMPILATION_CACHE_DIR``."""
    return bool(getattr(jax.config, FOLDER))


def _set(values: dict[str, object]) -> None:
    for name, value in values.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # it would stay in the folder that it was first used in


def _check_writable(folder: Path, field: str) -> None:
    probe = folder / f".writable-{socket.gethostname()}-{os.getpid()}"  # others that run together look too
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"{field} = {str(folder)!r}: cannot be written to ({error.strerror}); expected a folder that JAX's "
            "compilation cache can be kept in"
        ) from error
