"""Reads the files of ``torch.save`` without PyTorch: zip archives (since version 1.6), and series of pickles before.

References:
  The layouts are those of PyTorch's serialization. A zip archive has ``NAME/data.pkl``, and the bytes of each storage
  in ``NAME/data/KEY``. Older files have five pickles (a magic number, a version, facts of the machine, the object, the
  keys of its storages); then follow, for each key in this order, the number of elements (8 bytes) and their bytes.
"""

import functools
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

from interpjax.models.weights.torch_pickle import Storage, Tensor, described, to_array, unpickle

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
VERSION = 1001
PICKLE = "data.pkl"

ReadStorage = Callable[[str], Shaped[np.ndarray, " numel"]]


class TorchFile(NamedTuple):
    """An open file with the object in it, in which tensors are only descriptions.

    Attributes:
      content: the object.
      read: gives the array of a described tensor, from the tensor's name (for error messages) and the description.
    """

    content: Any
    read: Callable[[str, Tensor], Shaped[np.ndarray, "..."]]


@contextmanager
def open_torch(path: Path) -> Iterator[TorchFile]:
    """Opens a file that ``torch.save`` wrote, in either form, and gives the object in it.

    Raises:
      ValueError: saying what is wrong with the file, but not which file it is.
      zipfile.BadZipFile: likewise.
    """
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            with zipfile.ZipFile(file) as archive:
                yield _file(*_archived(archive))
        else:
            file.seek(0)
            yield _file(*_legacy(file))


def _file(content: Any, read_storage: ReadStorage) -> TorchFile:
    # The tensors of one storage mostly follow each other, so it is enough to hold one storage at a time.
    read_storage = functools.lru_cache(maxsize=1)(read_storage)

    def read(name: str, tensor: Tensor) -> np.ndarray:
        try:
            return to_array(tensor, read_storage(tensor.storage.key))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    return TorchFile(content, read)


def check_stored(archive: zipfile.ZipFile) -> None:
    """Raises ValueError for a compressed member: torch.save never writes one, and it may be huge when unpacked."""
    for member in archive.infolist():
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"the archive's {member.filename} is compressed; expected it stored, as torch.save does")


def _archived(archive: zipfile.ZipFile) -> tuple[Any, ReadStorage]:
    members = archive.namelist()
    pickles = [member for member in members if member.rpartition("/")[2] == PICKLE]
    if len(pickles) != 1:
        raise ValueError(f"the archive has {len(pickles)} members called {PICKLE}, expected one")
    folder = pickles[0].removesuffix(PICKLE)
    if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
        raise ValueError("the archive is of a big-endian machine, expected a little-endian one")
    content, storages = unpickle(io.BytesIO(archive.read(pickles[0])))

    def read_storage(key: str) -> np.ndarray:
        storage, member = storages[key], f"{folder}data/{key}"
        size = storage.numel * storage.dtype.itemsize
        found = archive.getinfo(member).file_size if member in members else 0
        if found != size:
            raise ValueError(
                f"{member} has {found} bytes; expected {size} for {storage.numel} elements of {storage.dtype}"
            )
        return np.frombuffer(archive.read(member) if size else b"", storage.dtype)

    return content, read_storage


def _legacy(file: io.BufferedIOBase) -> tuple[Any, ReadStorage]:
    if unpickle(file)[0] != MAGIC_NUMBER:
        raise ValueError("this is a pickle, but not of torch.save; expected a file that torch.save wrote")
    version = unpickle(file)[0]
    if version != VERSION:
        raise ValueError(f"the file has PyTorch's version {described(version)}, expected {VERSION}")
    unpickle(file)  # facts of the machine; the bytes are little-endian whatever it was
    content, storages = unpickle(file)
    places = _places(file, unpickle(file)[0], storages)

    def read_storage(key: str) -> np.ndarray:
        storage = storages[key]
        if key not in places:
            raise ValueError(f"the file lists no storage {key}; expected every one that its tensors name")
        file.seek(places[key])
        return np.frombuffer(file.read(storage.numel * storage.dtype.itemsize), storage.dtype)

    return content, read_storage


def _places(file: io.BufferedIOBase, keys: Any, storages: dict[str, Storage]) -> dict[str, int]:
    """Where the bytes of each storage begin, by its key. The file must have been read up to its last pickle's end."""
    if not (isinstance(keys, list) and all(isinstance(key, str) and key in storages for key in keys)):
        raise ValueError("the file lists storages that no tensor has; expected only those that its tensors name")
    place = file.tell()
    end = file.seek(0, io.SEEK_END)
    places = {}
    for key in keys:
        file.seek(place)
        numel = int.from_bytes(file.read(8), "little")
        size = storages[key].numel * storages[key].dtype.itemsize
        if place + 8 + size > end:
            raise ValueError(f"the file is cut off at byte {end}; expected storage {key} up to byte {place + 8 + size}")
        if numel != storages[key].numel:
            raise ValueError(f"storage {key} has {numel} elements; expected {storages[key].numel}, as the pickle says")
        places[key] = place + 8
        place += 8 + size
    return places
