"""Reads the objects in PyTorch's pickles. Tensors become descriptions, and no code that a pickle names is run.

References:
  The layout is that of ``torch.save``: a tensor is a call of ``torch._utils._rebuild_tensor_v2`` on a storage, which
  the pickle names by a persistent id.
"""

import io
import math
import pickle
import pickletools
from collections.abc import Callable
from typing import IO, Any, NamedTuple, cast

import ml_dtypes
import numpy as np
from jaxtyping import Shaped

STORAGES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


class Storage(NamedTuple):
    """A part of a storage: ``length`` elements from ``start`` on, of the ``numel`` that are stored under the key."""

    dtype: np.dtype
    key: str
    numel: int
    start: int
    length: int


class Tensor(NamedTuple):
    """A tensor in a pickle: a storage, and which of its elements it has. Nothing in it is checked yet."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


def unpickle(file: io.BufferedIOBase) -> tuple[Any, dict[str, Storage]]:
    """Reads one pickled object from a file, up to the end of its pickle.

    Dictionaries, lists, numbers and strings are read as they are (strings of Python 2 as Latin-1), and tensors as
    :class:`Tensor`. Harmless things that are no weights, as NumPy's scalars, become empty tuples.

    Returns:
      The object, and the storages that it names, by key.

    Raises:
      ValueError: for a pickle that is cut off or damaged, or that asks for anything that weights do not need.
    """
    unpickler = _Unpickler(file)
    try:
        _check_memo(file)
        return unpickler.load(), unpickler.storages
    except _NotAllowedError:
        raise
    except Exception as error:  # damaged bytes may be any instruction, and may raise any error
        raise ValueError(
            f"the pickle is cut off or damaged ({type(error).__name__}: {error}); expected a whole file of torch.save"
        ) from error


def _check_memo(file: io.BufferedIOBase) -> None:
    """Refuses a memo index that a pickle of this length cannot need, for memory is allocated for all below it."""
    start = file.tell()
    for opcode, argument, place in pickletools.genops(cast(IO[bytes], file)):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and place is not None and int(argument or 0) > place - start:
            raise _NotAllowedError(
                f"the pickle numbers its object at byte {place - start} as {argument}; expected at most {place - start}"
            )
    file.seek(start)


def described(value: Any) -> str:
    """A value of a pickle in a few words for an error message, for nested values may be huge when written out."""
    if isinstance(value, str):
        return repr(value[:80])
    if value is None or (isinstance(value, int | float) and abs(value) < 1e100):
        return repr(value)
    if type(value) is tuple and len(value) <= 8 and all(isinstance(item, int | str) for item in value):
        return f"({', '.join(map(described, value))}{',' * (len(value) == 1)})"
    return f"a {type(value).__name__}"


def to_array(tensor: Tensor, stored: Shaped[np.ndarray, " numel"]) -> Shaped[np.ndarray, "..."]:
    """The array that a tensor describes, a copy.

    Args:
      tensor: the description from a pickle, which is not to be trusted.
      stored: all elements that are stored under the key of the tensor's storage.

    Raises:
      ValueError: if the tensor has elements outside its storage, or more elements than the storage.
    """
    storage, offset, size, stride = tensor
    elements = stored[storage.start : storage.start + storage.length]
    if not (isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)):
        found = f"the size {described(size)} and the strides {described(stride)}"
        raise ValueError(f"a tensor has {found}, expected tuples of one length")
    if not all(isinstance(number, int) and number >= 0 for number in (offset, *size, *stride)):
        found = f"the size {described(size)}, strides {described(stride)}, offset {described(offset)}"
        raise ValueError(f"a tensor has {found}, expected whole numbers from 0")
    count = math.prod(size)
    if count == 0:
        return np.zeros(size, elements.dtype)
    last = offset + sum((extent - 1) * step for extent, step in zip(size, stride, strict=True))
    if last >= len(elements) or count > len(elements):
        raise ValueError(
            f"a tensor has the size {size}, strides {stride} and offset {offset}; expected one that fits into its "
            f"storage of {len(elements)} elements"
        )
    strides = [step * elements.itemsize if extent > 1 else 0 for extent, step in zip(size, stride, strict=True)]
    return np.array(np.lib.stride_tricks.as_strided(elements[offset:], size, strides, writeable=False), order="C")


class _NotAllowedError(ValueError):
    pass


# A pickle can set attributes of any object that it is given. So it is given no class and no function, but only the
# following tuples, and a dictionary without attributes.


class _Call(NamedTuple):
    """A function that a pickle may call."""

    function: Callable

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


class _StorageType(NamedTuple):
    dtype: np.dtype


class _Surplus(NamedTuple):
    """Stands for a thing that is no weights, and for anything that is made of it."""

    def __call__(self, *args: Any) -> "_Surplus":
        return self

    def __setstate__(self, state: object) -> None:
        pass


class _Entries(dict):
    """Stands for an OrderedDict. The attributes of a state_dict (versions of its modules) are left out."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *surplus: Any) -> Tensor:
    if not isinstance(storage, Storage):
        raise _NotAllowedError(f"a tensor is made of a {type(storage).__name__}; expected a storage")
    return Tensor(storage, offset, size, stride)


def _rebuild_parameter(tensor: Any, *surplus: Any) -> Any:
    return tensor


ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _Call(_Entries),
    ("torch", "Size"): _Call(tuple),
    ("torch._utils", "_rebuild_tensor"): _Call(_rebuild_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _Call(_rebuild_tensor),
    ("torch._utils", "_rebuild_parameter"): _Call(_rebuild_parameter),
    **{(package, name): _StorageType(STORAGES[name]) for package in ("torch", "torch.cuda") for name in STORAGES},
    # Things that may stand beside weights: NumPy's scalars and what makes them, devices, and dtypes.
    ("numpy", "dtype"): _Surplus(),
    ("numpy.core.multiarray", "scalar"): _Surplus(),
    ("numpy._core.multiarray", "scalar"): _Surplus(),
    ("_codecs", "encode"): _Surplus(),
    ("torch", "device"): _Surplus(),
    **{("torch", name): _Surplus() for name in ("float64", "float32", "float16", "bfloat16", "int64", "bool")},
}


class _Unpickler(pickle.Unpickler):
    """Knows only the names in ``ALLOWED``, and imports nothing."""

    def __init__(self, file: io.BufferedIOBase):
        super().__init__(file, encoding="latin1")
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise _NotAllowedError(
                f"the pickle asks for {module}.{name}; expected only tensors, numbers and strings in dictionaries: "
                "save the network's state_dict() alone"
            )
        return ALLOWED[module, name]

    def persistent_load(self, identity: Any) -> Storage:
        match identity:
            case ("storage", _StorageType(dtype), str(key), _, int(numel), *view) if numel >= 0:
                whole = Storage(dtype, key, numel, 0, numel)
            case _:
                raise _NotAllowedError(f"the pickle names {described(identity)}; expected a storage of torch.save")
        if self.storages.setdefault(key, whole) != whole:
            raise _NotAllowedError(
                f"storage {key} is described twice, as {self.storages[key]} and {whole}; expected one description"
            )
        match view:
            case [] | [None]:
                return whole
            case [(_, int(start), int(length))] if start >= 0 and length >= 0 and start + length <= numel:
                return whole._replace(start=start, length=length)
        raise _NotAllowedError(
            f"storage {key} of {numel} elements has no part {described(tuple(view))}; expected one inside it"
        )
