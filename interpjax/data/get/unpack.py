"""Unpacking a zip archive so that nothing is written outside of the folder."""

import contextlib
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from interpjax.data.get.archive import CHUNK
from interpjax.errors import UserError
from interpjax.progress import progress_bar

# What zipfile raises on an archive that is damaged, cut short or packed in a way that it does not know.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
ENCRYPTED = 1  # the bit of a member's flags


def unpack_zip(path: Path, folder: Path) -> None:
    """Unpacks an archive.

    Args:
      path: the archive.
      folder: where to put its members; it is made.

    Raises:
      UserError: naming the archive, and the member if it is one, if the archive is damaged or a member is a link or
        would be outside of the folder; in the latter cases nothing is written.
    """
    with _opened(path) as archive:
        members = archive.infolist()
        for member in members:
            _require_inside(member, path)
        folder.mkdir(parents=True)
        with progress_bar(f"unpacking {path.name}", len(members), unit="file") as bar:
            for member in members:
                archive.extract(member, folder)
                bar.update()


def unpacked_size(path: Path) -> int:
    """How many bytes the members of an archive have; raises UserError if it is no zip archive."""
    with _opened(path) as archive:
        return sum(member.file_size for member in archive.infolist())


def wrong_zip(path: Path) -> str:
    """What is wrong with a zip archive, by the checksums in it, as part of a sentence; empty if nothing is."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            with progress_bar(f"checking {path.name}", len(members), unit="file") as bar:
                for member in members:
                    if member.flag_bits & ENCRYPTED:
                        return f"has an encrypted member {member.filename!r}"
                    with archive.open(member) as file:
                        while file.read(CHUNK):
                            pass
                    bar.update()
    except DAMAGED as error:
        return f"is damaged, or no zip archive ({error})"
    return ""


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive; what is wrong with it is a UserError that names it."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except DAMAGED as error:
        raise UserError(f"{path}: damaged, or no zip archive ({error}); remove it, and get it again") from error


def _require_inside(member: zipfile.ZipInfo, path: Path) -> None:
    parts = member.filename.split("/")
    if not parts[0] or ".." in parts or "\\" in member.filename or ":" in parts[0]:
        raise UserError(f"{path}: the member {member.filename!r} would be outside of its folder; nothing is unpacked")
    if member.flag_bits & ENCRYPTED:
        raise UserError(f"{path}: the member {member.filename!r} is encrypted; nothing is unpacked")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UserError(f"{path}: the member {member.filename!r} is a link or no file; nothing is unpacked")
