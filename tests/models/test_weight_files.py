"""What files of weights hold; those of PyTorch are written without it."""

import ml_dtypes
import numpy as np
import pytest
from torch_writer import FORMS, STORAGES, Call, Global, OldString, Writer, safetensors, write

from interpjax import models

ORDERED = Global("collections", "OrderedDict")


def some_arrays():
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(0, 50, (2, 3, 4)).astype(ml_dtypes.bfloat16) for name in ("bfloat16",)}
    arrays |= {name: rng.normal(0, 50, (2, 3, 4)).astype(name) for name in STORAGES if name not in arrays}
    return arrays | {"scalar": np.array(3, np.int64), "empty": np.zeros((0, 2), np.float32)}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        assert found[name].tobytes() == array.tobytes(), name
        assert found[name].flags.owndata or found[name].base.flags.owndata
        assert found[name].flags.writeable


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".pth.tar", ".pkl", ".npz"])
def test_tensors_of_every_kind_are_read_whatever_the_suffix(form, suffix, tmp_path):
    writer, arrays = Writer(), some_arrays()
    path = tmp_path / f"weights{suffix}"
    write(form, path, {name: writer.tensor(array) for name, array in arrays.items()}, writer)
    assert_same(models.read_weights(path), arrays)


@pytest.mark.parametrize("new", [True, False])
def test_what_pytorch_writes_is_read_as_pytorch_reads_it(new, tmp_path):
    torch = pytest.importorskip("torch", reason="files of torch.save itself need PyTorch")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(2, 2).half())
    network[0].weight.data = network[0].weight.data.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    content = {"epoch": 3, "best_prec1": torch.tensor(1.5), "optimizer": optimizer.state_dict()}
    state = network.state_dict() | {
        "tied": network[2].bias,
        "part": torch.arange(10)[3:8:2],
        "b": torch.ones(2).bfloat16(),
    }
    torch.save(content | {"state_dict": state}, tmp_path / "net.pth", _use_new_zipfile_serialization=new)
    found = models.read_weights(tmp_path / "net.pth")
    for name, tensor in state.items():
        np.testing.assert_array_equal(found[name].astype(np.float64), tensor.detach().double().numpy())
    assert found["b"].dtype == ml_dtypes.bfloat16
    by_torch = torch.load(tmp_path / "net.pth", map_location="cpu", weights_only=True)["state_dict"]
    bfloat16 = by_torch.pop("b").view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    expected = {name: np.array(tensor.detach().numpy(), order="C") for name, tensor in by_torch.items()}
    assert_same(found, expected | {"b": bfloat16})


@pytest.mark.parametrize("form", FORMS)
def test_strides_offsets_and_shared_storages(form, tmp_path):
    writer, elements = Writer(), np.arange(24, dtype=np.float32)
    storage = writer.storage(elements)
    content = {
        "whole": writer.view(storage, 0, (2, 3, 4), (12, 4, 1)),
        "transposed": writer.view(storage, 0, (4, 6), (1, 4)),
        "part": writer.view(storage, 5, (3,), (2,)),
        "last": writer.view(storage, 23, (1, 1), (10**6, 10**15)),  # strides of one step are never taken
        "other": writer.tensor(np.ones(2, np.float64)),
        "again": writer.view(storage, 1, (), ()),
    }
    write(form, tmp_path / "net.pth", content, writer)
    found = models.read_weights(tmp_path / "net.pth")
    expected = {
        "whole": elements.reshape(2, 3, 4),
        "transposed": elements.reshape(6, 4).T.copy(),
        "part": elements[5:10:2].copy(),
        "last": elements[23:].reshape(1, 1),
        "other": np.ones(2),
        "again": np.array(1, np.float32),
    }
    assert_same(found, expected)
    found["whole"][:] = 0
    assert found["part"][0] == 5, "arrays share no memory"


def test_old_files_of_python_2_and_of_gpus(tmp_path):
    writer, weight = Writer(), np.arange(6, dtype=np.float32).reshape(2, 3)
    storage = writer.storage(weight.reshape(-1), package="torch.cuda", view=(("part", 2, 3),))
    part = Call(Global("torch._utils", "_rebuild_tensor"), (storage, 0, (3,), (1,)))
    parameter = Call(Global("torch._utils", "_rebuild_parameter"), (writer.tensor(weight), True, Call(ORDERED, ())))
    size = Call(Global("torch", "Size"), ((3, 2),))
    viewed = writer.view(writer.storage(weight.reshape(-1)), 0, size, (1, 3))
    pairs = [[OldString(b"weight"), parameter], [OldString(b"part"), part], [OldString(b"viewed"), viewed]]
    state = Call(ORDERED, (pairs,), {"_metadata": Call(ORDERED, ())})
    dtype = Call(Global("numpy", "dtype"), (OldString(b"f8"), 0, 1), (3, "<", None, None, None, -1, -1, 0))
    best = Call(Global("numpy.core.multiarray", "scalar"), (dtype, OldString(b"\x9a\x99\x99\x99\x99\x99\xb9?")))
    content = {OldString(b"state_dict"): state, "best_prec1": best, "author": OldString(b"Jos\xe9"), "arch": "resnet18"}
    writer.legacy(tmp_path / "net.pth.tar", content)
    expected = {"weight": weight, "part": weight.reshape(-1)[2:5].copy(), "viewed": weight.T.copy()}
    assert_same(models.read_weights(tmp_path / "net.pth.tar"), expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_checkpoints_give_their_weights_alone(form, key, tmp_path):
    writer, weight = Writer(), np.ones((2, 2), np.float32)
    scalar = Call(Global("numpy.core.multiarray", "scalar"), (Call(Global("numpy", "dtype"), ("f8", 0, 1)), b"\0" * 8))
    optimizer = {"state": {0: {"momentum_buffer": writer.tensor(weight)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    content = {
        "epoch": 90,
        "arch": "resnet18",
        "best_prec1": scalar,
        "optimizer": optimizer,
        "loss": writer.tensor(weight),
    }
    content[key] = {"module.fc.bias": writer.tensor(2 * weight)}
    write(form, tmp_path / "net.pth.tar", content, writer)
    assert_same(models.read_weights(tmp_path / "net.pth.tar"), {"module.fc.bias": 2 * weight})


def test_npz_files_are_read_without_pickles(tmp_path):
    arrays = {"a/W": np.ones((2, 3), np.float16), "b": np.arange(3)}
    np.savez(tmp_path / "net.npz", **arrays)
    assert_same(models.read_weights(tmp_path / "net.npz"), arrays)
    np.savez(tmp_path / "evil.npz", a=np.array([Writer], dtype=object))
    with pytest.raises(ValueError, match=r"evil\.npz: .*allow_pickle=False"):
        models.read_weights(tmp_path / "evil.npz")


def test_safetensors_are_read(tmp_path):
    names = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "bool": "BOOL"}
    arrays = {name: array for name, array in some_arrays().items() if name in names}
    content = {name: (names[name], array.shape, array.tobytes()) for name, array in arrays.items()}
    (tmp_path / "net.bin").write_bytes(safetensors(content))
    found = models.read_weights(tmp_path / "net.bin")
    assert_same({name: found[name] for name in arrays}, arrays)
    (tmp_path / "net.bin").write_bytes(safetensors({"a": ("F8_E4M3", (1,), b"1")}))
    with pytest.raises(ValueError, match=r"net\.bin: a is of F8_E4M3; expected one of F64, F32, F16, BF16, "):
        models.read_weights(tmp_path / "net.bin")
    (tmp_path / "net.bin").write_bytes(safetensors({}))
    with pytest.raises(
        ValueError, match=r"net\.bin: it holds no arrays by name, expected a network's weights; its keys are none"
    ):
        models.read_weights(tmp_path / "net.bin")
