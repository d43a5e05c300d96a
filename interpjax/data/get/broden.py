"""Broden, from its server or from what is on disk already, as the data set that ``build_broden`` makes.

References:
  Bau et al., *Network Dissection*, CVPR 2017.
"""

import shutil
import sys
from pathlib import Path

from interpjax.data.broden.builder import build_broden
from interpjax.data.broden.records import PREPARED
from interpjax.data.get.archive import Archive
from interpjax.data.get.download import fetch, left_to_fetch, size_on_server
from interpjax.data.get.folder import ARCHIVES, make, require_space
from interpjax.data.get.unpack import unpack_zip, unpacked_size, wrong_zip
from interpjax.errors import UserError, refused

SERVER = "http://netdissect.csail.mit.edu/data"
# Copies to take where the server does not answer. Of the other sizes none is known.
COPIES = {227: f"https://web.archive.org/web/20240418040425id_/{SERVER}/broden1_227.zip"}
UNPACKED = "broden_unpacked"  # the folder that an archive is unpacked to
# What the disk needs, in sizes of the archive: two for its files, which are small and take whole blocks, one to build.
SIZES_TO_BUILD = 3


def broden_urls(size: int) -> tuple[str, ...]:
    """Where Broden's images of a size are, the first choice first."""
    return (f"{SERVER}/broden1_{size}.zip", *([COPIES[size]] if size in COPIES else []))


def get_broden(
    destination: Path, source: Path | None = None, *, urls: tuple[str, ...] = broden_urls(224), keep: bool = False
) -> Path:
    """Makes the data set, so that :func:`interpjax.data.load_broden` opens it; what an earlier call finished is kept.

    There is no official checksum. The checksums inside the archive are checked, and all label maps and tables.

    Args:
      destination: gets ``broden/1.0.0``, and the archive and what it holds until that is whole.
      source: the archive, or the folder that it was unpacked to; it is not changed. None to download the archive.
      urls: addresses of the archive; the first that answers is taken.
      keep: leaves what was downloaded and unpacked where it is.

    Returns:
      The folder of the data set.

    Raises:
      UserError: naming file or address and what to do, if something cannot be had, is wrong, or does not fit the disk.
    """
    left_over = (Archive(urls[0]).name, UNPACKED)
    return make(
        destination,
        PREPARED,
        lambda: _build(destination, source, urls),
        left_over=left_over,
        source=source,
        keep=keep,
    )


def _build(destination: Path, source: Path | None, urls: tuple[str, ...]) -> None:
    given = _fetch(destination, urls) if source is None else source
    folder = _folder(destination, given)
    try:
        build_broden(_tables_folder(folder), destination)
    except UserError as error:
        if source is not None:
            raise UserError(f"{given}: {error}") from error
        if refused(error.__cause__) is not None:  # the archive is none the worse for a full disk
            raise
        given.unlink()  # which would be taken again for another address
        raise UserError(f"{given}: {error}; it is removed, so that another --url or --from can be tried") from error


def _folder(destination: Path, given: Path) -> Path:
    """The folder that is given, or to which the archive that is given is unpacked, after a kill anew."""
    if given.is_dir():
        size = sum(path.stat().st_size for path in given.rglob("*") if path.is_file())
        require_space(destination, "broden", 0, size)
        return given
    if not given.is_file():
        raise UserError(f"--from = {given}: no such file; expected Broden's zip archive, or the folder it unpacks to")
    unpacked = destination / ARCHIVES / UNPACKED
    if unpacked.is_dir():
        shutil.rmtree(unpacked)
    require_space(destination, "broden", 0, SIZES_TO_BUILD * unpacked_size(given))
    unpack_zip(given, unpacked)
    return unpacked


def _fetch(destination: Path, urls: tuple[str, ...]) -> Path:
    """Downloads the archive from the first address that answers."""
    folder = destination / ARCHIVES
    if (whole := folder / Archive(urls[0]).name).is_file():
        return whole
    for number, url in enumerate(urls, start=1):
        try:
            archive = Archive(url, size_on_server(url))
        except UserError as error:
            if number == len(urls):
                raise
            print(f"{error}\nThe copy at {urls[number]} is taken instead.", file=sys.stderr)
        else:
            break
    if archive.size is not None:  # else it is known once the archive is there
        require_space(destination, "broden", left_to_fetch(archive, folder), SIZES_TO_BUILD * archive.size)
    return fetch(archive, folder, wrong_zip)


def _tables_folder(folder: Path) -> Path:
    """The folder itself, or a folder in it, whichever has Broden's tables."""
    found = [path.parent for path in (folder / "index.csv", *folder.glob("*/index.csv")) if path.is_file()]
    if not found:
        raise UserError("has no index.csv, nor has a folder in it; expected what Broden's archive holds")
    return found[0]
