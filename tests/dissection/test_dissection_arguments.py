"""Arguments of a dissection: made alike where they will do, and otherwise refused by name."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pandas as pd
import pytest

from interpjax.dissection import arguments
from interpjax.dissection.protocol import get_protocol

PAPER, CGL = get_protocol("paper"), get_protocol("cgl")
FIELDMAP = ((-2, 0), (11, 9), (8, 10))
IMAGES = ("a.jpg", "b.jpg")
MAPS = np.zeros((2, 3, 3, 4), np.float32)


def run(**changes):
    return arguments.check_run(**({"layers": ("conv4", "conv5"), "protocols": [PAPER]} | changes))


def stored(activations=None, **changes):
    activations = {"conv5": MAPS} if activations is None else activations
    return arguments.check_arrays(activations, **({"images": IMAGES} | changes))


def test_run_is_made_alike():
    found = run(
        layers=["conv4", "conv5"],
        protocols=(PAPER, get_protocol("lite")),
        fieldmaps={"conv5": [list(part) for part in FIELDMAP]},
        batch_size=np.int64(8),
        image_size=np.int32(224),
        top_images=0,
        shard_images=1,
    )
    assert found == (("conv4", "conv5"), (PAPER, get_protocol("lite")), {"conv5": FIELDMAP}, 8, 224, 0, 1)
    assert all(type(size) is int for size in found[3:])
    assert all(type(value) is int for part in found.fieldmaps["conv5"] for value in part)
    assert run() == (("conv4", "conv5"), (PAPER,), {}, 64, None, 5, 4096)
    assert run(fieldmaps={"conv4": np.array(FIELDMAP)}).fieldmaps == {"conv4": FIELDMAP}


WHOLE = "must be a whole number of"
PARTS = r"needed is \(offset, size, stride\), each \(y, x\) in whole input pixels"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": "conv5"}, r"layers = 'conv5': needed is a sequence of names, as \('conv5',\)"),
        ({"layers": None}, r"layers = None: needed is a sequence of names, as \('conv5',\)"),
        ({"layers": {"conv5"}}, r"layers = {'conv5'}: needed is a sequence of names"),
        ({"layers": ()}, r"layers = \(\): name one at least"),
        ({"layers": ("conv5", 4)}, r"layers\[1\] = 4: must be a name, a string"),
        ({"layers": ("conv5", "conv4", "conv5")}, "layers: 'conv5' is twice in it"),
        ({"protocols": "lite"}, r"protocols = 'lite': needed is a sequence of Protocols, \[get_protocol\('paper'\)\]"),
        ({"protocols": PAPER}, r"protocols = Protocol\(name='paper'.*: needed is a sequence of Protocols"),
        ({"protocols": ["lite"]}, r"protocols\[0\] = 'lite': a Protocol is needed, get_protocol\('lite'\)"),
        ({"protocols": [PAPER, None]}, r"protocols\[1\] = None: a Protocol is needed, get_protocol\('paper'\)"),
        ({"protocols": []}, "protocols: needed is one at least"),
        ({"protocols": [PAPER, CGL]}, "protocols: .* all of the same tap, .*; given: paper post, cgl pre"),
        ({"batch_size": 0}, f"batch_size = 0: {WHOLE} 1 or more"),
        ({"batch_size": 8.0}, f"batch_size = 8.0: {WHOLE} 1 or more"),
        ({"batch_size": True}, f"batch_size = True: {WHOLE} 1 or more"),
        ({"batch_size": None}, f"batch_size = None: {WHOLE} 1 or more"),
        ({"image_size": (224, 224)}, rf"image_size = \(224, 224\): {WHOLE} 1 or more"),
        ({"image_size": 0}, f"image_size = 0: {WHOLE} 1 or more"),
        ({"top_images": -1}, f"top_images = -1: {WHOLE} 0 or more"),
        ({"top_images": False}, f"top_images = False: {WHOLE} 0 or more"),
        ({"shard_images": "many"}, f"shard_images = 'many': {WHOLE} 1 or more"),
        ({"fieldmaps": FIELDMAP}, r"fieldmaps = .*: needed is a mapping by layer, {'conv4': …}"),
        ({"fieldmaps": {"conv9": FIELDMAP}}, r"fieldmaps\['conv9'\]: no such layer; the layers are conv4, conv5"),
        ({"fieldmaps": {"conv5": 16}}, rf"fieldmaps\['conv5'\] = 16: {PARTS}"),
        ({"fieldmaps": {"conv5": ((0, 0), (16, 16), 16)}}, rf"fieldmaps\['conv5'\] = .*, 16\): {PARTS}"),
        ({"fieldmaps": {"conv5": (0, 16, 16)}}, rf"fieldmaps\['conv5'\] = \(0, 16, 16\): {PARTS}"),
        ({"fieldmaps": {"conv5": ((0, 0), (16, 16), (16.0, 16))}}, rf"fieldmaps\['conv5'\] = .*: {PARTS}"),
        ({"fieldmaps": {"conv5": None}}, rf"fieldmaps\['conv5'\] = None: {PARTS}"),
        (
            {"fieldmaps": {"conv5": ((0, 0), (16, 16), (0, 16))}},
            r"fieldmaps\['conv5'\] = .*: size and stride must be 1 or more",
        ),
    ],
)
def test_wrong_arguments_of_a_run_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        run(**changes)


def test_a_name_that_is_no_protocol_is_answered_with_one():
    with pytest.raises(ValueError, match=r"^protocol = 'light': a Protocol is needed, get_protocol\('paper'\)"):
        stored(protocol="light")
    with pytest.raises(ValueError, match=r"^protocol = 'caffe': a Protocol is needed, get_protocol\('caffe'\)"):
        stored(protocol="caffe")


def test_stored_activations_are_made_alike():
    found = stored(
        {"conv5": jnp.ones((2, 3, 3, 4)), "conv4": np.ones((2, 1, 1, 2), np.uint8)},
        images=pd.Series(IMAGES, index=[7, 3]),
        protocol=CGL,
        thresholds={"conv5": [0, 1, 2, 3], "conv4": np.ones(2, np.float32)},
        fieldmaps={"conv5": [list(part) for part in FIELDMAP]},
        top_images=2,
    )
    assert isinstance(found.activations["conv5"], np.ndarray)
    assert list(found.activations) == ["conv5", "conv4"]
    assert found.images == IMAGES
    assert found.protocol == CGL
    assert {layer: values.dtype for layer, values in found.thresholds.items()} == dict.fromkeys(
        ("conv5", "conv4"), np.float64
    )
    np.testing.assert_array_equal(found.thresholds["conv5"], [0, 1, 2, 3])
    assert found.fieldmaps == {"conv5": FIELDMAP}
    assert found.top_images == 2
    plain = stored({"conv5": MAPS.astype(ml_dtypes.bfloat16)}, images=np.array(IMAGES))
    assert plain.images == IMAGES
    assert (plain.protocol, plain.thresholds, plain.fieldmaps, plain.top_images) == (PAPER, None, {}, 5)
    assert stored().activations["conv5"] is MAPS


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        (MAPS, r"activations = ndarray of shape \(2, 3, 3, 4\): needed is {layer: array \[images, h, w, units\]}"),
        ({}, "activations = {}: needed is {layer: array"),
        ({5: MAPS}, r"activations\[0\] = 5: must be a name, a string"),
        ({"conv5": MAPS.tolist()}, r"activations\['conv5'\] = .*…: needed is a NumPy array \[images, h, w, units\]"),
        ({"conv5": None}, r"activations\['conv5'\] = None: needed is a NumPy array"),
        ({"conv5": MAPS.astype(object)}, r"activations\['conv5'\]: of dtype object; needed are real numbers"),
        ({"conv5": MAPS.astype(bool)}, r"activations\['conv5'\]: of dtype bool; needed are real numbers"),
        ({"conv5": MAPS.astype(complex)}, r"activations\['conv5'\]: of dtype complex128; needed are real numbers"),
        ({"conv5": MAPS[0]}, r"activations\['conv5'\] has the shape \(3, 3, 4\); needed is \[images, h, w, units\]"),
        ({"conv5": MAPS[:, :0]}, r"activations\['conv5'\] has the shape \(2, 0, 3, 4\); needed is"),
        ({"conv5": MAPS[:1]}, r"activations\['conv5'\] has 1 rows, images has 2 names"),
    ],
)
def test_wrong_activations_are_refused(activations, message):
    with pytest.raises(ValueError, match=message):
        stored(activations)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": "a.jpg"}, r"images = 'a.jpg': needed is a sequence of names, as \('a.jpg',\)"),
        ({"images": ["a.jpg", 3]}, r"images\[1\] = 3: must be a name, a string"),
        ({"images": np.array([3, 5])}, r"images\[0\] = 3: must be a name"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8)}, r"images = ndarray of shape \(2, 8, 8, 3\): needed is a seq"),
        ({"thresholds": [0.5] * 4}, r"thresholds = \[0.5, .*\]: needed is a mapping by layer, {'conv5': …}"),
        ({"thresholds": {"conv4": np.ones(4)}}, r"thresholds\['conv4'\]: no such layer; the layers are conv5"),
        ({"thresholds": {}}, "thresholds: the layer 'conv5' is missing; needed are 4 of every layer"),
        ({"thresholds": {"conv5": 0.5}}, r"thresholds\['conv5'\] has the shape \(\); needed are 4, one a unit"),
        ({"thresholds": {"conv5": np.ones(3)}}, r"thresholds\['conv5'\] has the shape \(3,\); needed are 4"),
        ({"thresholds": {"conv5": ["0.5"] * 4}}, r"thresholds\['conv5'\]: of dtype <U3; needed are real numbers"),
        ({"thresholds": {"conv5": [0.5, 1, np.nan, 2]}}, r"thresholds\['conv5'\]: that of unit 2 is NaN"),
        ({"fieldmaps": {"conv4": FIELDMAP}}, r"fieldmaps\['conv4'\]: no such layer; the layers are conv5"),
        ({"top_images": 2.5}, f"top_images = 2.5: {WHOLE} 0 or more"),
    ],
)
def test_wrong_arguments_of_stored_activations_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        stored(**changes)


def test_a_torch_tensor_is_no_array():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"activations\['conv5'\] = Tensor of shape \(2, 3, 3, 4\): needed is a NumPy"):
        stored({"conv5": torch.zeros(MAPS.shape)})
