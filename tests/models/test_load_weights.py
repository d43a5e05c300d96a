"""Weights of models from files, under the names that others gave them."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from torch_writer import Writer

from interpjax import models

WIDTH = 0.125


def some_variables(name, **fields):
    model = models.create_model(name, **{"num_classes": 5, "width": WIDTH} | fields)
    shapes = models.outline(model).variables
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), dict(shapes))


def save(path, arrays):
    writer = Writer()
    writer.legacy(path, {"state_dict": {name: writer.tensor(array) for name, array in arrays.items()}, "epoch": 3})
    return path


def assert_same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    jax.tree.map(lambda a, b: np.testing.assert_equal(a.dtype, b.dtype), found, expected)


@pytest.mark.parametrize(
    "name", ["resnet18", "densenet121", "googlenet", "alexnet", "vgg16_bn", "squeezenet_places365"]
)
def test_exported_weights_come_back_from_a_file_bit_for_bit(name, tmp_path):
    variables = some_variables(name)
    path = save(tmp_path / "net.pth.tar", models.export_torch(name, variables, width=WIDTH))
    assert_same(models.load_weights(name, path, width=WIDTH), variables)
    assert_same(models.load_weights(name, path, num_classes=5, width=WIDTH), variables)


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("resnet18", lambda entry: f"module.{entry}"),
        ("densenet121", lambda entry: re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", entry)),
        ("densenet121", lambda entry: "module." + re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", entry)),
        ("alexnet", lambda entry: entry.replace("features.", "features.module.")),
        ("vgg16_bn", lambda entry: entry.replace("features.", "features.module.")),
        ("alexnet_b", lambda entry: CGL_ALEXNET_BN[entry.rpartition(".")[0]] + "." + entry.rpartition(".")[2]),
        ("alexnet", lambda entry: CGL_ALEXNET[entry.rpartition(".")[0]] + "." + entry.rpartition(".")[2]),
    ],
)
def test_names_of_wrappers_old_versions_and_other_code(name, others, tmp_path):
    variables = some_variables(name)
    arrays = models.export_torch(name, variables, width=WIDTH)
    renamed = {others(entry): array for entry, array in arrays.items()}
    assert renamed.keys() != arrays.keys()
    assert_same(models.load_weights(name, save(tmp_path / "net.pth", renamed), width=WIDTH), variables)


CGL_ALEXNET = {f"features.{place}": f"conv{i}" for i, place in enumerate((0, 3, 6, 8, 10), start=1)} | {
    f"classifier.{place}": f"fc{i}" for i, place in enumerate((1, 4, 6), start=1)
}


CGL_ALEXNET_BN = {f"conv{i}": f"features.{place}" for i, place in enumerate((0, 4, 8, 11, 14), start=1)} | {
    f"bn{i}": f"features.{place}" for i, place in enumerate((1, 5, 9, 12, 15), start=1)
}
CGL_ALEXNET_BN |= {f"fc{i}": f"classifier.{place}" for i, place in enumerate((1, 4, 6), start=1)}


def test_counters_and_auxiliary_heads_are_left_out(tmp_path):
    variables = some_variables("googlenet")
    arrays = models.export_torch("googlenet", variables, width=WIDTH)
    arrays |= {"aux1.fc1.weight": np.ones((3, 4), np.float32), "aux2.conv.bn.running_mean": np.ones(3, np.float32)}
    arrays |= {"conv1.bn.num_batches_tracked": np.array(7, np.int64)}
    assert_same(models.load_weights("googlenet", save(tmp_path / "net.pth", arrays), width=WIDTH), variables)


def test_all_that_is_wrong_is_named_at_once_with_the_file(tmp_path):
    arrays = models.export_torch("resnet18", some_variables("resnet18"), width=WIDTH)
    del arrays["bn1.running_var"], arrays["layer1.0.conv1.weight"]
    arrays |= {"fc.scale": np.ones(5, np.float32), "conv1.weight": arrays["conv1.weight"][:, :2]}
    path = save(tmp_path / "wrong.pth", {f"module.{entry}": array for entry, array in arrays.items()})
    with pytest.raises(ValueError, match=r"wrong\.pth: weights of resnet18: ") as caught:
        models.load_weights("resnet18", path, width=WIDTH)
    problems = set(str(caught.value).split("weights of resnet18: ")[1].split("; "))
    assert problems == {
        "bn1.running_var is missing, expected (8,)",
        "layer1.0.conv1.weight is missing, expected (8, 8, 3, 3)",
        "module.fc.scale is surplus, expected no such entry",
        "module.conv1.weight has the shape (8, 2, 7, 7), expected (8, 3, 7, 7)",
    }
    with pytest.raises(ValueError, match=r"wrong\.pth: .*module\.fc\.bias has the shape \(5,\), expected \(7,\)"):
        models.load_weights("resnet18", path, num_classes=7, width=WIDTH)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"conv1.weight": np.ones((8, 3, 11, 11), np.float32)}, "features.0.weight and conv1.weight are both"),
        ({"module.features.0.bias": np.ones(8, np.float32)}, "features.0.bias and module.features.0.bias are both"),
        ({"features.0.bias": np.ones(8, np.int64)}, "features.0.bias is of dtype int64, expected floating-point"),
        (
            {"features.0.bias": np.ones(8, np.complex64)},
            "features.0.bias is of dtype complex64, expected",
        ),
        ({"features.0.bias": np.array(["a"] * 8)}, "features.0.bias is of dtype <U1, expected floating-point"),
        ({"aux1.fc1.weight": np.ones(8, np.float32)}, "aux1.fc1.weight is surplus"),
        (
            {"features.0.bias": np.array([1, np.nan, -np.inf] + [1] * 5, np.float32)},
            "features.0.bias has 2 numbers that are not finite, expected none",
        ),
    ],
)
def test_entries_that_are_no_weights_of_the_model(entries, message):
    arrays = models.export_torch("alexnet", some_variables("alexnet"), width=WIDTH)
    with pytest.raises(ValueError, match=re.escape(message)):
        models.import_torch("alexnet", arrays | entries, width=WIDTH)


def test_imported_weights_are_copies_in_the_machine_s_order():
    variables = some_variables("alexnet")
    arrays = models.export_torch("alexnet", variables, width=WIDTH)
    swapped = {entry: array.astype(">f4") for entry, array in arrays.items()}
    assert_same(models.import_torch("alexnet", swapped, width=WIDTH), variables)
    found = models.import_torch("alexnet", arrays, width=WIDTH)
    for array in arrays.values():
        array[:] = 0  # as training goes on with them
    assert_same(found, variables)


def test_tensors_of_torch_are_taken_also_in_bfloat16_and_in_training():
    torch = pytest.importorskip("torch")
    arrays = models.export_torch("alexnet", some_variables("alexnet"), width=WIDTH)
    tensors = {entry: torch.from_numpy(array).bfloat16().requires_grad_() for entry, array in arrays.items()}
    found = models.import_torch("alexnet", tensors, width=WIDTH)["params"]["conv1"]["bias"]
    np.testing.assert_array_equal(found, tensors["features.0.bias"].detach().float().numpy())


def test_wrong_names_and_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"model = 'resnet19': choose one of"):
        models.load_weights("resnet19", tmp_path / "missing.pth")
    with pytest.raises(FileNotFoundError, match=r"missing\.pth"):
        models.load_weights("resnet18", tmp_path / "missing.pth")


def published(variables):
    """The published form of a small SqueezeNet's variables, as kernels of true convolutions."""
    arrays = {}
    for layer, leaves in variables["params"].items():
        if layer.endswith("_bn"):
            continue
        kernel = leaves["kernel"].reshape((1,) * (4 - leaves["kernel"].ndim) + leaves["kernel"].shape)
        own = layer.replace("_", "/")
        arrays |= {f"{own}/W": kernel.transpose(3, 2, 0, 1)[:, :, ::-1, ::-1], f"{own}/b": leaves["bias"]}
        if f"{layer}_bn" in variables["params"]:
            norm, statistics = variables["params"][f"{layer}_bn"], variables["batch_stats"][f"{layer}_bn"]
            arrays |= {f"{own}/bn_beta": norm["bias"], f"{own}/bn_gamma": norm["scale"]}
            arrays |= {f"{own}/bn_mean": statistics["mean"], f"{own}/bn_inv_std": 1 / np.sqrt(statistics["var"] + 1e-4)}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def test_squeezenet_as_it_was_published(tmp_path):
    variables = some_variables("squeezenet_places365")
    variables["batch_stats"] = jax.tree.map(np.abs, variables["batch_stats"])
    arrays = published(variables)
    np.savez(tmp_path / "net.npz", **arrays)
    found = models.load_weights("squeezenet_places365", tmp_path / "net.npz", num_classes=5, width=WIDTH)
    assert_same(found["params"], variables["params"])
    # The variance goes through a float32 inverse root; near ε that leaves fewer digits.
    for norm, statistics in variables["batch_stats"].items():
        np.testing.assert_array_equal(found["batch_stats"][norm]["mean"], statistics["mean"])
        np.testing.assert_allclose(found["batch_stats"][norm]["var"], statistics["var"], rtol=1e-6, atol=1e-8)
    arrays["conv1/W"] = arrays["conv1/W"][:1]
    del arrays["conv10/b"]
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(
        ValueError, match=r"wrong\.npz: .*conv10/b is missing, expected \(5,\); conv1/W has the shape \(1, 3, 3, 3\)"
    ):
        models.load_weights("squeezenet_places365", tmp_path / "wrong.npz", num_classes=5, width=WIDTH)


def test_the_published_squeezenet_itself(shared):
    path = shared / "data" / "squeezenet_places365" / "squeezenet_places365.npz"
    kernel = np.load(path)["fire2/expand3x3/W"][:, :, ::-1, ::-1].transpose(2, 3, 1, 0)  # of a true convolution
    for fields in ({}, {"num_classes": 365, "dtype": jnp.bfloat16}):
        found = models.load_weights("squeezenet_places365", path, **fields)
        np.testing.assert_array_equal(found["params"]["fire2_expand3x3"]["kernel"], kernel)


def test_weights_are_imported_for_networks_of_this_package(tmp_path):
    with pytest.raises(ValueError, match=r"model = 'flax\.linen:Dense': .*no field num_classes"):
        models.load_weights("flax.linen:Dense", tmp_path / "missing.pth")
    with pytest.raises(
        ValueError, match=rf"model = '{__name__}:OwnNet': weights are imported .*; choose one of alexnet, "
    ):
        models.import_torch(f"{__name__}:OwnNet", {})


class OwnNet(nn.Module):
    num_classes: int

    def __call__(self, images, *, train):
        return images
