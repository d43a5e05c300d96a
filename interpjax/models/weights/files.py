"""Files of weights, whatever wrote them, as arrays by name. No code in a file is run."""

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from jaxtyping import Shaped
from safetensors import SafetensorError, deserialize

from interpjax.errors import UserError
from interpjax.models.weights.torch_archive import PICKLE, check_stored, open_torch
from interpjax.models.weights.torch_pickle import Tensor, described

KINDS = ".npz, .safetensors, or what torch.save wrote (.pth, .pt, .pth.tar, .pkl)"
SHARED = 4  # times the bytes of a file that its tensors may have: some share a storage
WRAPPERS = ("state_dict", "model")  # entries of checkpoints whose entries are the weights
# What zip archives and safetensors raise for damage, encryption and methods of compression that are not known.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, SafetensorError)
SAFETENSORS = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}

Arrays = dict[str, Shaped[np.ndarray, "..."]]


def read_weights(path: str | Path) -> Arrays:
    """The arrays of a file of weights by name.

    What a file is shows by its content, not by its suffix. Of a checkpoint, a dictionary with the weights under
    ``state_dict`` or ``model``, these are returned, and what stands beside them (``epoch``, ``optimizer``) is left
    out. PyTorch's files are read without it, by an unpickler that knows tensors alone and imports nothing.

    Args:
      path: an ``.npz`` without pickles, ``.safetensors``, or a file that ``torch.save`` wrote, in either form.

    Returns:
      Arrays of any shapes and of the stored dtypes (bfloat16 is ``ml_dtypes.bfloat16``), which share no memory.

    Raises:
      UserError: naming the file, if it is none of these, is cut off or damaged, asks for code, holds a tensor that
        reaches beyond its storage, or holds no arrays by name (then with the keys that were found).
    """
    path = Path(path)
    try:
        return _read(path)
    except (ValueError, *DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:  # there is no such file to read
            raise
        raise UserError(f"{path}: {error}") from error


def _read(path: Path) -> Arrays:
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"PK"):
        return _read_archive(path)
    if head[4:9] == b"\0\0\0\0{":  # behind the length of a JSON header
        return _read_safetensors(path)
    if head.startswith(b"\x80"):
        return _read_torch(path)
    raise ValueError(f"this is no file of weights: {KINDS} can be read")


def _read_archive(path: Path) -> Arrays:
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        by_torch = any(member.rpartition("/")[2] == PICKLE for member in members)
        if by_torch:
            check_stored(archive)
        for member in archive.infolist():
            if member.filename.endswith(".npy"):
                _check_header(archive, member)
    if by_torch:
        return _read_torch(path)
    if not members or not all(member.endswith(".npy") for member in members):
        raise ValueError(f"a zip archive of {_listed(members)}: {KINDS} can be read")
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _check_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raises ValueError if an array claims another size than it has: memory is taken for what it claims."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        claimed, there = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
    if not dtype.hasobject and claimed != there:
        raise ValueError(f"{member.filename} of the shape {shape} would have {claimed} bytes, and has {there}")


def _read_safetensors(path: Path) -> Arrays:
    arrays = {}
    for name, tensor in deserialize(path.read_bytes()):
        if tensor["dtype"] not in SAFETENSORS:
            raise ValueError(f"{name} is of {tensor['dtype']}: {', '.join(SAFETENSORS)} can be read")
        arrays[name] = np.array(np.frombuffer(tensor["data"], SAFETENSORS[tensor["dtype"]]).reshape(tensor["shape"]))
    return named_arrays(arrays, np.ndarray)


def _read_torch(path: Path) -> Arrays:
    """Raises ValueError if all tensors together are much more than the file has."""
    arrays, total, limit = {}, 0, SHARED * path.stat().st_size
    with open_torch(path) as file:
        for name, tensor in named_arrays(file.content, Tensor).items():
            arrays[name] = file.read(name, tensor)
            total += arrays[name].nbytes
            if total > limit:
                raise ValueError(
                    f"its tensors up to {name} have {total} bytes, expected at most {SHARED} times those of the file"
                )
    return arrays


def named_arrays(content: Any, array: type) -> dict[str, Any]:
    """The weights in the object that a file holds.

    Args:
      content: the object: weights by name, or a checkpoint with such under one of ``WRAPPERS``.
      array: the type of weights.

    Raises:
      ValueError: if it is no such dictionary, if that has no arrays, or if it has anything else beside them.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"it holds a {type(content).__name__}, no arrays by name")
    inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
    others = [key for key, value in inner.items() if not (isinstance(key, str) and isinstance(value, array))]
    if len(others) == len(inner):
        keys = _listed(content) + ("" if inner is content else f", and in its weights {_listed(inner)}")
        raise ValueError(f"it holds no arrays by name; its keys are {keys}")
    if others:
        raise ValueError(f"among its arrays are entries that are none: {_listed(others)}")
    return dict(inner)


def _listed(names: Any) -> str:
    shown = [described(name) for name in list(names)[:20]]
    return ", ".join(shown + ["…"] * (len(names) > 20)) or "none"
