"""Maps that are none, and those with channels first: refused alike, wherever they come from."""

import dataclasses

import numpy as np
import pytest
from broden_layout import make_broden
from hypothesis import assume, given
from hypothesis import strategies as st

from interpjax import dissection
from interpjax.data import load_broden
from interpjax.dissection import arguments
from interpjax.errors import UserError

IMAGES = ("a.jpg", "b.jpg")
MAPS = np.zeros((2, 3, 3, 4), np.float32)


@pytest.fixture(scope="module")
def tiny_broden(tmp_path_factory):
    return load_broden(make_broden(tmp_path_factory.mktemp("data") / "broden"))


NO_MAPS = [
    (MAPS.tolist(), r"layer 'conv5': its maps are .*…; expected an array \[images, h, w, units\] of NumPy or JAX"),
    (None, "layer 'conv5': its maps are None; expected an array"),
    (MAPS.astype(object), "layer 'conv5': its maps are of dtype object; expected real numbers"),
    (MAPS.astype(bool), "layer 'conv5': its maps are of dtype bool; expected real numbers"),
    (MAPS.astype(np.complex64), "layer 'conv5': its maps are of dtype complex64; expected real numbers"),
    (MAPS.astype("datetime64[s]"), r"layer 'conv5': its maps are of dtype datetime64\[s\]; expected real numbers"),
    (MAPS.astype(np.longdouble), "layer 'conv5': its maps are of dtype float128; expected one that JAX has"),
    (MAPS.astype(">f4"), "layer 'conv5': its maps are of dtype >f4; expected one that JAX has"),
    (np.ma.masked_less(MAPS, 1), "layer 'conv5': its maps are MaskedArray of shape .*; expected an array"),
    (MAPS[0], r"layer 'conv5': its maps have the shape \(3, 3, 4\); expected \[images, h, w, units\]"),
    (MAPS[:, :0], r"layer 'conv5': its maps have the shape \(2, 0, 3, 4\); expected .*, none of h, w and units 0"),
    (np.zeros((2, 6, 4, 4)), r"layer 'conv5': its maps have the shape \(2, 6, 4, 4\), .* 4 units at 6 × 4 positions"),
]


@pytest.mark.parametrize(("maps", "message"), NO_MAPS)
def test_what_are_no_maps_is_refused_alike_wherever_it_comes_from(untyped, tiny_broden, maps, message):
    with pytest.raises(UserError, match=message):
        dissection.dissect_arrays({"conv5": maps}, tiny_broden, images=IMAGES)
    two = dataclasses.replace(tiny_broden, records=tiny_broden.records[:2])
    with pytest.raises(UserError, match=message):
        dissection.dissect(lambda images: {"conv5": maps}, two, layers=["conv5"], batch_size=2, progress=False)


@pytest.mark.parametrize("dtype", [bool, np.complex64])
def test_maps_of_a_jax_network_are_refused_alike(untyped, tiny_broden, dtype):
    network = dissection.from_jax(
        lambda variables, images: {"conv5": images.astype(dtype)},
        (),
        layers=["conv5"],
        preprocessing=dissection.Preprocessing(0, 255),
    )
    message = f"layer 'conv5': its maps are of dtype {np.dtype(dtype)}; expected real numbers"
    with pytest.raises(UserError, match=message):
        dissection.dissect(network, tiny_broden, layers=["conv5"], progress=False)


SQUARE, WIDE, TALL = (224, 224), (480, 640), (640, 480)


@pytest.mark.parametrize(
    ("shape", "images", "taken"),
    [
        ((256, 13, 13), [SQUARE], False),
        ((64, 55, 55), [SQUARE], False),
        ((512, 1, 1), [SQUARE], False),
        ((512, 15, 20), [WIDE], False),
        ((512, 20, 15), [TALL], False),
        ((256, 13, 13), [WIDE], False),  # a network that squashes its input
        ((256, 13, 13), [SQUARE, WIDE, TALL], False),
        ((13, 13, 256), [SQUARE], True),
        ((13, 13, 13), [SQUARE], True),
        ((1, 1, 512), [SQUARE], True),
        ((1, 1, 1), [SQUARE], True),
        ((15, 20, 512), [WIDE], True),
        ((20, 15, 15), [TALL], True),
        ((15, 20, 20), [WIDE], True),
        ((15, 20, 16), [TALL, WIDE], True),  # of one size, whatever the images' sizes
        ((7, 28, 64), [SQUARE], True),  # a layer that sees height and width differently
        ((64, 55, 55), [], True),
    ],
)
def test_channels_first_is_refused_where_no_image_can_have_such_maps(shape, images, taken):
    if taken:
        arguments.check_channels_last("conv5", (5, *shape), images)
        return
    height, width, units = shape
    told = rf"layer 'conv5': .*\(5, {height}, {width}, {units}\), .* {units} units at {height} × {width} positions, of "
    with pytest.raises(UserError, match=told + r".*expected \[images, h, w, units\]; .*maps.transpose\(0, 2, 3, 1\)"):
        arguments.check_channels_last("conv5", (5, *shape), images)


def side_after(side, layers):
    for kernel, stride, padding in layers:
        side = (side + 2 * padding - kernel) // stride + 1
    return side


LAYER = st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(0, 3))


@given(st.tuples(*2 * [st.integers(1, 300)]), st.lists(LAYER, max_size=6), st.integers(1, 300))
def test_maps_of_a_chain_of_convolutions_are_never_refused(image, layers, units):
    height, width = (side_after(side, layers) for side in image)
    assume(min(height, width) > 0)
    arguments.check_channels_last("conv5", (1, height, width, units), [image])


def test_a_torch_tensor_is_no_array():
    torch = pytest.importorskip("torch")
    with pytest.raises(UserError, match=r"layer 'conv5': its maps are Tensor of shape \(2, 3, 3, 4\); expected an arr"):
        arguments.check_activations({"conv5": torch.zeros(MAPS.shape)}, 2)
