"""Writes files of weights as others do, without PyTorch, and files that nobody would write."""

import io
import json
import pickle
import zipfile
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
FORMS = ("zip", "legacy")
STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}


class Global(NamedTuple):
    """A name that the pickle asks for."""

    module: str
    name: str

    def __call__(self, *args):
        raise AssertionError("never called")


class Call(NamedTuple):
    """A call in the pickle; with a state, that is then given to the result."""

    function: Any
    args: tuple
    state: Any = None


class Change(NamedTuple):
    """Gives a state to a thing that the pickle asks for."""

    thing: Any
    state: Any


class Stored(NamedTuple):
    """A persistent id."""

    identity: Any


class OldString(NamedTuple):
    """A string of Python 2."""

    text: bytes


class Pickler(pickle._Pickler):
    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, OldString):
            self.write(pickle.SHORT_BINSTRING + bytes([len(obj.text)]) + obj.text)
        elif isinstance(obj, Stored):
            self.save(obj.identity)
            self.write(pickle.BINPERSID)
        elif isinstance(obj, Call):
            self.save_reduce(obj.function, obj.args, obj.state)
        elif isinstance(obj, Change):
            self.save(obj.thing)
            self.save(obj.state)
            self.write(pickle.BUILD)
        else:
            super().save(obj, save_persistent_id)


def pickled(obj) -> bytes:
    file = io.BytesIO()
    Pickler(file, 2).dump(obj)
    return file.getvalue()


class Writer:
    """Collects storages while tensors are described, and writes both to a file."""

    def __init__(self):
        self.storages = OrderedDict()

    def storage(self, elements: np.ndarray, *, package="torch", view=(None,), name=None):
        """A storage's persistent id; the zip form's has no view."""
        key = str(len(self.storages))
        self.storages[key] = elements
        kind = Global(package, name or STORAGES[elements.dtype.name])
        return Stored(("storage", kind, key, "cuda:0", elements.size, *view))

    def tensor(self, array: np.ndarray, **where):
        """All of a storage of its own."""
        array = array.copy(order="C")
        strides = tuple(stride // array.itemsize for stride in array.strides)
        return self.view(self.storage(array.reshape(-1), **where), 0, array.shape, strides)

    def view(self, storage, offset, size, strides):
        function = Global("torch._utils", "_rebuild_tensor_v2")
        return Call(function, (storage, offset, size, strides, False, Call(Global("collections", "OrderedDict"), ())))

    def zip(self, path, content, *, extra=None, data=None):
        files = {"data.pkl": pickled(content), "version": b"3\n"} | (extra or {})
        files |= {f"data/{key}": elements.tobytes() for key, elements in self.storages.items()} | (data or {})
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(f"archive/{name}", content)

    def legacy(self, path, content):
        machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
        parts = [pickled(part) for part in (MAGIC_NUMBER, 1001, machine, content, list(self.storages))]
        for elements in self.storages.values():
            parts += [elements.size.to_bytes(8, "little"), elements.tobytes()]
        path.write_bytes(b"".join(parts))


def write(form, path, content, writer):
    if form == "zip":
        writer.zip(path, without_views(content))
    else:
        writer.legacy(path, content)


def without_views(content):
    """The zip form's persistent ids end with the number of elements."""
    if isinstance(content, Stored) and isinstance(content.identity, tuple):
        return Stored(content.identity[:5])
    if isinstance(content, dict):
        return {key: without_views(value) for key, value in content.items()}
    if isinstance(content, Call):
        return content._replace(args=tuple(without_views(value) for value in content.args))
    return content


def safetensors(entries):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, shape, values) in entries.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + data
