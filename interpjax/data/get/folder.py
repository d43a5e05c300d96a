"""The folder that a data set is put into: one process at a time, and enough space before it begins."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from interpjax.atomic import locked
from interpjax.errors import UserError, refusals

PART = ".part"  # ends the names of files that are not yet whole
ARCHIVES = "archives"  # where in the folder archives are, until the data set is built


def make(
    destination: Path,
    prepared: Path,
    build: Callable[[], None],
    *,
    left_over: tuple[str, ...],
    source: Path | None,
    keep: bool,
) -> Path:
    """Makes a data set unless it is there already, and clears up after it.

    Args:
      destination: the folder that the user gave.
      prepared: where in it the data set is to be, in a folder that TFDS gives this name when it is whole.
      build: makes it.
      left_over: names of the archives that are then of no more use, and of folders that they were unpacked to.
      source: what the user gave to build from.
      keep: leaves what is left over where it is.

    Returns:
      The folder of the data set.

    Raises:
      UserError: as :func:`working_in`, and as ``build``.
    """
    with working_in(destination):
        whole = destination / prepared
        if whole.is_dir():
            print(f"{whole} is there already; for another data set of this name give another folder")
        else:
            build()
        if not keep:
            remove_archives(destination, left_over, source)
    return whole


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Makes the folder, keeps a second process out of it, and says where the machine refuses something.

    Raises:
      UserError: if the folder is a file, or in use by another process, or the machine refuses
        something, as a full disk does.
    """
    try:
        with refusals(f"--to = {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"--to = {folder}: is a file or below one; expected a folder, which need not exist") from error
    except OSError as error:
        raise UserError(f"--to = {folder}: cannot be made ({error.strerror}); expected a folder to write to") from error
    told = f"--to = {folder}: another process is getting data into it; wait for its end"
    with refusals(f"--to = {folder}"), locked(folder, told):
        yield


def require_space(folder: Path, name: str, to_fetch: int, to_build: int) -> None:
    """Tells how much is to be downloaded and written, before it begins.

    Args:
      folder: the folder, which is there.
      name: what the data set is called.
      to_fetch: bytes that are to be downloaded.
      to_build: bytes that are to be written beside.

    Raises:
      UserError: if the disk has less.
    """
    free = shutil.disk_usage(folder).free
    sizes = f"{gigabytes(to_fetch)} to download and {gigabytes(to_build)} to write beside"
    if to_fetch + to_build > free:
        raise UserError(
            f"--to = {folder}: {name} needs {gigabytes(to_fetch + to_build)} there ({sizes}), but "
            f"{gigabytes(free)} are free; make room, or give a folder on another disk"
        )
    print(f"{name}: {sizes}; {gigabytes(free)} are free in {folder}", flush=True)


def remove_archives(folder: Path, names: tuple[str, ...], source: Path | None) -> None:
    """Removes what was downloaded and unpacked, and the folder of archives if it is then empty.

    Args:
      folder: the folder of the data set.
      names: names of archives, whole or in part, and of folders.
      source: what the user gave to build from; if it is among the archives, nothing is removed.
    """
    archives = folder / ARCHIVES
    if source is not None and source.resolve().is_relative_to(archives.resolve()):
        return
    for path in [archives / (name + ending) for name in names for ending in ("", PART)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it is not there, or has archives of another data set
        archives.rmdir()


def gigabytes(size: int) -> str:
    """``"26.1 GB"``, or in MB below a tenth of one."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
