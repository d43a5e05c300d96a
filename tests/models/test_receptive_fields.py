"""Receptive fields against what really reaches a cell."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interpjax import models

# Of images, such that the windows of every layer reach the last row that is tried. A field is told as if images had no
# end: where the last window does not fit, cells at the edge see less.
SIDES = {"alexnet_b": 95, "squeezenet_places365": 101}


def positive(model, side):
    """Variables with which any light in a cell's receptive field makes the cell light."""
    shapes = models.outline(model, side).variables

    def fill(path, leaf):
        return jnp.zeros(leaf.shape) if path[-1].key in ("bias", "mean") else jnp.ones(leaf.shape)

    variables = jax.tree_util.tree_map_with_path(fill, shapes)
    kernels = jax.tree.map(lambda leaf: leaf / max(1, leaf[..., 0].size), variables["params"])
    return {**variables, "params": kernels}


@pytest.mark.parametrize(
    "name",
    [
        "caffenet",
        "resnet18",
        "densenet121",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("alexnet_b", "vgg16", "googlenet")),
        pytest.param("squeezenet_places365", marks=pytest.mark.long),
    ],
)
def test_cells_see_exactly_the_pixels_of_their_receptive_field(name):
    """Maxima hide from a gradient what is not the largest, so light is sent in at one row after the other instead."""
    fewer = {"blocks": (2, 2, 2, 2)} if name == "densenet121" else {}
    model = models.create_model(name, num_classes=2, width=0.0625, **fewer)
    side = SIDES.get(name, 99)
    variables = positive(model, side)
    infos = models.layers(model, side)
    chosen = [infos[round(share * (len(infos) - 1))] for share in (0, 0.2, 0.45, 0.7, 1)]
    rows = np.arange(0, side, 2)
    images = np.zeros((len(rows), side, side, 3), np.float32)
    images[np.arange(len(rows)), rows] = 1
    apply = jax.jit(
        lambda variables, images: models.apply_with_taps(
            model, variables, images, layers=[info.name for info in chosen], stage="pre"
        )[1]
    )
    maps = apply(variables, jnp.asarray(images))
    for info in chosen:
        lit = np.asarray(maps[info.name]).max(axis=(2, 3)) > 0  # [row of light, row of cells]
        (offset, _), (size, _), (stride, _) = info.receptive_field
        first = offset + stride * np.arange(lit.shape[1])
        expected = (rows[:, None] >= first) & (rows[:, None] < first + size)
        np.testing.assert_array_equal(lit, expected, err_msg=info.name)


def test_layers_are_listed_with_shapes_parameters_and_stages():
    info = {layer.name: layer for layer in models.layers(models.create_model("resnet18", num_classes=10))}
    last = info["layer4.1.conv2"]
    assert last.shape == (7, 7, 512)
    assert last.kernel == (3, 3, 512, 512)
    assert last.norm == "layer4.1.bn2"
    assert last.parameters == 3 * 3 * 512 * 512 + 2 * 512
    assert last.receptive_field == ((-217, -217), (435, 435), (32, 32))
    assert last.taps == ("conv", "norm", "pre", "post")
    assert info["layer4"].taps == ("pre", "post")
    assert info["layer4.1"].parameters == 2 * last.parameters
    whole = sum(info[name].parameters for name in ("conv1", "layer1", "layer2.0", "layer2.1"))
    assert whole < sum(layer.parameters for layer in info.values() if layer.kernel) == 11_689_512 - 1000 * 513
    assert info["conv1"].receptive_field == ((-3, -3), (7, 7), (2, 2))
