"""What files of weights may not do or be."""

import io
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from torch_writer import FORMS, Call, Change, Global, Stored, Writer, pickled, safetensors, without_views, write

from interpjax import models
from interpjax.models.weights import torch_pickle


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("module", "name", "argument"),
    [
        ("os", "system", "touch {}"),
        ("posix", "system", "touch {}"),
        ("builtins", "eval", "open({!r}, 'w')"),
        ("__builtin__", "eval", "open({!r}, 'w')"),
        ("builtins", "getattr", "{}"),
        ("torch.serialization", "load", "{}"),
        ("torch", "load", "{}"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__", "{}"),
        ("interpjax.models.weights.torch_pickle", "pickle.loads", "{}"),
    ],
)
def test_no_code_is_run(form, module, name, argument, tmp_path):
    marker, path, writer = tmp_path / "marker", tmp_path / "evil.pth", Writer()
    evil = Call(Global(module, name), (argument.format(str(marker)),))
    write(form, path, {"weight": writer.tensor(np.ones(2, np.float32)), "evil": evil}, writer)
    with pytest.raises(ValueError, match=rf"evil\.pth: the pickle asks for {module}\.{name}"):
        models.read_weights(path)
    assert not marker.exists()


@pytest.mark.parametrize("place", range(5))
def test_code_in_any_pickle_of_an_old_file_is_refused(place, tmp_path):
    marker = tmp_path / "marker"
    parts = [0x1950A86A20F9469CFC6C, 1001, {}, {}, []]
    parts[place] = Call(Global("os", "system"), (f"touch {marker}",))
    (tmp_path / "evil.pth").write_bytes(b"".join(pickled(part) for part in parts))
    with pytest.raises(ValueError, match=r"evil\.pth: .*os\.system"):
        models.read_weights(tmp_path / "evil.pth")
    assert not marker.exists()


@pytest.mark.parametrize("thing", sorted(torch_pickle.ALLOWED))
@pytest.mark.parametrize("state", [{"a": 1}, (None, {"function": 1, "dtype": 1, "__class__": 2, "__setstate__": 3})])
def test_pickles_cannot_change_what_they_may_name(thing, state, tmp_path):
    before = dict(torch_pickle.ALLOWED)
    Writer().zip(tmp_path / "evil.pth", {"evil": Change(Global(*thing), state)})
    with pytest.raises(ValueError, match=r"evil\.pth: (the pickle is cut off or damaged|it holds no arrays)"):
        models.read_weights(tmp_path / "evil.pth")
    assert before == torch_pickle.ALLOWED
    assert not hasattr(torch_pickle.ALLOWED[thing], "a")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("offset", "size", "strides"),
    [
        (2, (2, 2), (2, 1)),
        (0, (4,), (2,)),
        (0, (2,), (10**18,)),
        (2**62, (1,), (1,)),
        (-1, (2,), (1,)),
        (3, (2,), (-1,)),
        (0, (-1,), (1,)),
        (0, (5,), (0,)),
        (0, (2**40, 2**40), (0, 0)),
        (0, (2, 2), (1,)),
        (0, 4, 1),
        (0.5, (2,), (1,)),
    ],
)
def test_tensors_beyond_their_storage_are_refused(form, offset, size, strides, tmp_path):
    writer = Writer()
    content = {"weight": writer.view(writer.storage(np.ones(4, np.float32)), offset, size, strides)}
    write(form, tmp_path / "evil.pth", content, writer)
    with pytest.raises(ValueError, match=r"evil\.pth: weight.*(size|storage)"):
        models.read_weights(tmp_path / "evil.pth")


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ("storage", "names 'storage'; expected a storage"),
        (("module", Global("collections", "OrderedDict"), "a.py", "code"), "expected a storage"),
        (("storage", Global("torch", "FloatStorage"), "0", "cpu", -4), "expected a storage"),
        (
            ("storage", Global("torch", "FloatStorage"), "0", "cpu", 4, ("0", 3, 2)),
            "storage 0 of 4 elements has no part",
        ),
        (("storage", Global("torch", "FloatStorage"), "0", "cpu", 4, ("0", -1, 2)), "storage 0 of 4 elements has no"),
        (("storage", Global("torch", "FloatStorage"), "0", "cpu", 9), "storage 0 is described twice"),
        (("storage", Global("torch", "LongStorage"), "0", "cpu", 4), "storage 0 is described twice"),
        (("storage", Global("torch", "FloatStorage"), "../1", "cpu", 4), r"data/\.\./1 has 0 bytes"),
    ],
)
def test_wrong_storages_are_refused(identity, message, tmp_path):
    writer = Writer()
    good = writer.tensor(np.ones(4, np.float32))
    writer.zip(tmp_path / "evil.pth", {"good": good, "evil": writer.view(Stored(identity), 0, (4,), (1,))})
    with pytest.raises(ValueError, match=rf"evil\.pth: .*{message}"):
        models.read_weights(tmp_path / "evil.pth")


def test_archives_of_wrong_parts_are_refused(tmp_path):
    writer, path = Writer(), tmp_path / "net.pth"
    content = without_views({"weight": writer.tensor(np.ones(4, np.float32))})
    writer.zip(path, content, data={"data/0": b"\0" * 12})
    with pytest.raises(
        ValueError, match=r"net\.pth: weight: archive/data/0 has 12 bytes; expected 16 for 4 elements of float32"
    ):
        models.read_weights(path)
    writer.zip(path, content, extra={"byteorder": b"big"})
    with pytest.raises(ValueError, match=r"net\.pth: .*big-endian"):
        models.read_weights(path)
    writer.zip(path, content, extra={"code/data.pkl": b""})
    with pytest.raises(ValueError, match=r"net\.pth: the archive has 2 members called data\.pkl"):
        models.read_weights(path)


@pytest.mark.parametrize("form", [*FORMS, "npz", "safetensors"])
def test_files_that_are_cut_off_or_damaged_are_named(form, tmp_path):
    path, writer, array = tmp_path / "net.pth", Writer(), np.arange(100, dtype=np.float32)
    if form == "npz":
        with path.open("wb") as file:
            np.savez_compressed(file, a=array, b=array)
    elif form == "safetensors":
        path.write_bytes(safetensors({"a": ("F32", (100,), array.tobytes())}))
    else:
        write(form, path, {"a": writer.tensor(array), "b": writer.tensor(array)}, writer)
    whole = path.read_bytes()
    for length in (0, 1, 5, 12, 30, 100, 200, len(whole) // 2, len(whole) - 300, len(whole) - 1):
        path.write_bytes(whole[: max(0, length)])
        with pytest.raises(ValueError, match=r"net\.pth: "):
            models.read_weights(path)
    rng = np.random.default_rng(0)
    for _ in range(60):  # whatever is damaged, it is read or refused by name
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            models.read_weights(path)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3, "arch": "resnet"}, "it holds no arrays by name, .*; its keys are 'epoch', 'arch'"),
        ({}, "it holds no arrays by name, .*; its keys are none"),
        ({"epoch": 3, "state_dict": {}}, ".*; its keys are 'epoch', 'state_dict', and in its weights none"),
        ({"model": {"a": {}}}, ".*; its keys are 'model', and in its weights 'a'"),
        ({i: i for i in range(30)}, r".*; its keys are 0, 1, .*19, …$"),
        ([1, 2], "it holds a list; expected a dictionary of arrays"),
        (3, "it holds a int; expected a dictionary of arrays"),
    ],
)
def test_files_without_arrays_are_named_with_their_keys(content, message, tmp_path):
    Writer().zip(tmp_path / "net.pth", content)
    with pytest.raises(ValueError, match=rf"net\.pth: {message}"):
        models.read_weights(tmp_path / "net.pth")


@pytest.mark.parametrize("wrapped", [False, True])
def test_other_entries_among_weights_are_named(wrapped, tmp_path):
    writer = Writer()
    content = {"a": writer.tensor(np.ones(2, np.float32)), "epoch": 3, "names": ["b"]}
    content = without_views({"state_dict": content} if wrapped else content)
    writer.zip(tmp_path / "net.pth", content)
    with pytest.raises(ValueError, match=r"net\.pth: expected arrays alone; among them .*: 'epoch', 'names'$"):
        models.read_weights(tmp_path / "net.pth")


def test_files_of_other_kinds_are_refused(tmp_path):
    path = tmp_path / "net.pth"
    path.write_text("weights")
    with pytest.raises(
        ValueError, match=r"net\.pth: this is no file of weights; expected \.npz, \.safetensors, or what"
    ):
        models.read_weights(path)
    path.write_bytes(pickled({"a": 1}))
    with pytest.raises(ValueError, match=r"net\.pth: this is a pickle, but not of torch\.save; expected"):
        models.read_weights(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "")
    with pytest.raises(ValueError, match=r"net\.pth: this is a zip archive of 'readme\.txt'; expected"):
        models.read_weights(path)
    with pytest.raises(FileNotFoundError, match="missing"):
        models.read_weights(tmp_path / "missing.pth")


def test_of_what_pytorch_writes_only_plain_tensors_are_read(tmp_path):
    torch = pytest.importorskip("torch", reason="files of torch.save itself need PyTorch")
    for tensor, message in [
        (torch.eye(2).to_sparse(), r"the pickle asks for torch\._utils\._rebuild_sparse_tensor"),
        (
            torch.ones(1).expand(3),
            r"a: a tensor has the size \(3,\), .*; expected one that fits into its storage of 1 elements",
        ),
        (torch.ones(2).to(torch.float8_e4m3fn), r"the pickle asks for torch\._utils\._rebuild_tensor_v3"),
    ]:
        torch.save(OrderedDict(a=tensor), tmp_path / "net.pth")
        with pytest.raises(ValueError, match=rf"net\.pth: {message}"):
            models.read_weights(tmp_path / "net.pth")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "net.pth")
    with pytest.raises(
        ValueError, match=r"net\.pth: the pickle asks for torch\.nn\.modules\.linear\.Linear; .*state_dict"
    ):
        models.read_weights(tmp_path / "net.pth")


def test_an_index_of_the_memo_beyond_the_pickle_takes_no_memory(tmp_path):
    claim = b"\x80\x02}r" + struct.pack("<I", 2**32 - 1) + b"."
    with zipfile.ZipFile(tmp_path / "evil.pth", "w") as archive:
        archive.writestr("net/data.pkl", claim)
    (tmp_path / "old.pth").write_bytes(claim)
    for name in ("evil", "old"):
        with pytest.raises(ValueError, match=rf"{name}\.pth: the pickle numbers its object at byte 3 as 4294967295"):
            models.read_weights(tmp_path / f"{name}.pth")


def test_compressed_archives_of_torch_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", pickled({}) + b" " * 10_000_000)
    with pytest.raises(ValueError, match=r"evil\.pth: the archive's net/data\.pkl is compressed"):
        models.read_weights(tmp_path / "evil.pth")


@pytest.mark.parametrize("form", FORMS)
def test_many_tensors_of_one_storage_are_refused(form, tmp_path):
    writer = Writer()
    tensor = writer.tensor(np.ones(100_000, np.float32))
    write(form, tmp_path / "evil.pth", {f"weight{i}": tensor for i in range(1000)}, writer)
    with pytest.raises(ValueError, match=r"evil\.pth: its tensors up to weight\d+ have \d+ bytes, expected at most 4"):
        models.read_weights(tmp_path / "evil.pth")


def test_nested_values_are_not_written_out():
    nested = ()
    for _ in range(100):
        nested = (nested, nested)
    assert torch_pickle.described(nested) == "a tuple"
    assert torch_pickle.described((3,)) == "(3,)"
    assert torch_pickle.described("a" * 1000) == repr("a" * 80)
    assert torch_pickle.described(10**5000) == "a int"


def test_an_npz_that_claims_more_than_it_has_takes_no_memory(tmp_path):
    whole = io.BytesIO()
    np.lib.format.write_array_header_1_0(whole, {"descr": "<f4", "fortran_order": False, "shape": (10**13,)})
    with zipfile.ZipFile(tmp_path / "evil.npz", "w") as archive:
        archive.writestr("weight.npy", whole.getvalue() + bytes(16))
    with pytest.raises(
        ValueError, match=r"evil\.npz: weight\.npy has \d+ bytes; expected \d+ for its shape \(10000000000000,\)"
    ):
        models.read_weights(tmp_path / "evil.npz")
    np.savez_compressed(tmp_path / "honest.npz", weight=np.zeros((100, 100)), scalar=np.float32(3))
    assert models.read_weights(tmp_path / "honest.npz")["weight"].shape == (100, 100)
