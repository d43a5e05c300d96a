"""Files that are either there in full or not at all, also after a kill, and folders that one process works in."""

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from interpjax.errors import UserError, naming

TEMPORARY = ".interpjax-tmp"  # ends the names of files that are not yet whole


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which takes the place of ``path`` where the block ends without an error.

    Raises:
      OSError: with ``path`` as its file name, if it cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with naming(path), temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):  # of a write that failed, as on a full disk, the first error is the one
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Writes a file; its folders are made."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def locked(folder: Path, told: str) -> Iterator[None]:
    """Keeps a second process out of a folder, which is there. The lock of a process that is killed ends with it.

    Args:
      folder: in which the file of the lock is.
      told: what to tell the user of the second process.

    Raises:
      UserError: with these words, if another process is in it.
    """
    with (folder / ".lock").open("w") as file:
        try:
            with naming(folder / ".lock"):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(told) from error
        yield


@contextlib.contextmanager
def waiting(path: Path, told: str) -> Iterator[None]:
    """Lets one process after another into the block. The lock of a process that is killed ends with it.

    Args:
      path: the file of the lock, which is removed at the end; its folders are made.
      told: what to tell the user of a process that has to wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("w") as file:
            try:
                with naming(path):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(told, file=sys.stderr, flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                continue  # who had the lock has removed its file, and a third process may have made another
            try:
                yield
            finally:
                path.unlink()
            return
