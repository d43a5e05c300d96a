"""Reads files of weights, whatever program wrote them, as arrays by name. No code in a file is run."""

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
SHARED = 4  # all tensors together may have this many times the bytes of their file, for some share a storage
WRAPPERS = ("state_dict", "model")  # the entries of a checkpoint that may hold the weights
# The errors of zipfile and safetensors for damage, encryption and unknown methods of compression.
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

    The kind of a file is found from its content, not from its suffix. Of a checkpoint, which holds the weights under
    ``state_dict`` or ``model``, only the weights are returned; other entries, as ``epoch`` or ``optimizer``, are left
    out. PyTorch's files are read without PyTorch, by an unpickler that knows only tensors and imports nothing.

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
        if isinstance(error, OSError) and error.filename is not None:  # it cannot be opened, and the error names it
            raise
        raise UserError(f"{path}: {error}") from error


def _read(path: Path) -> Arrays:
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"PK"):
        return _read_archive(path)
    if head[4:9] == b"\0\0\0\0{":  # safetensors: eight bytes for a header's length, then the header in JSON
        return _read_safetensors(path)
    if head.startswith(b"\x80"):
        return _read_torch(path)
    raise ValueError(f"this is no file of weights; expected {KINDS}")


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
        raise ValueError(f"this is a zip archive of {_listed(members)}; expected {KINDS}")
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _check_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raises ValueError if an array claims another size than it has, for NumPy allocates what it claims."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        claimed, there = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
    if not dtype.hasobject and claimed != there:
        raise ValueError(f"{member.filename} has {there} bytes; expected {claimed} for its shape {shape}")


def _read_safetensors(path: Path) -> Arrays:
    arrays = {}
    for name, tensor in deserialize(path.read_bytes()):
        if tensor["dtype"] not in SAFETENSORS:
            raise ValueError(f"{name} is of {tensor['dtype']}; expected one of {', '.join(SAFETENSORS)}")
        arrays[name] = np.array(np.frombuffer(tensor["data"], SAFETENSORS[tensor["dtype"]]).reshape(tensor["shape"]))
    return named_arrays(arrays, np.ndarray)


def _read_torch(path: Path) -> Arrays:
    """The arrays of PyTorch's file. Raises ValueError if together they are much larger than the file."""
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
      content: the object: a dictionary of weights by name, or a checkpoint that holds one under one of ``WRAPPERS``.
      array: the type that weights have in it.

    Raises:
      ValueError: if it is no such dictionary, or the dictionary has no arrays, or has anything else beside them.
    """
    if not isinstance(content, Mapping):
        raise ValueError(
            f"it holds a {type(content).__name__}; expected a dictionary of arrays by name, as state_dict() gives it"
        )
    inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
    others = [key for key, value in inner.items() if not (isinstance(key, str) and isinstance(value, array))]
    if len(others) == len(inner):
        keys = _listed(content) + ("" if inner is content else f", and in its weights {_listed(inner)}")
        raise ValueError(f"it holds no arrays by name, expected a network's weights; its keys are {keys}")
    if others:
        raise ValueError(f"expected arrays alone; among them are entries that are none: {_listed(others)}")
    return dict(inner)


def _listed(names: Any) -> str:
    shown = [described(name) for name in list(names)[:20]]
    return ", ".join(shown + ["…"] * (len(names) > 20)) or "none"
