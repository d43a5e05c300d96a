"""Arguments of a dissection: made alike where they will do, and otherwise refused by name."""

import dataclasses
import inspect

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pandas as pd
import pytest
from broden_layout import make_broden

from interpjax import dissection
from interpjax.data import load_broden
from interpjax.dissection import arguments
from interpjax.dissection.protocol import get_protocol
from interpjax.dissection.settings import Settings

PAPER, CGL = get_protocol("paper"), get_protocol("cgl")
FIELDMAP = ((-2, 0), (11, 9), (8, 10))
IMAGES = ("a.jpg", "b.jpg")
UNITS = {"conv5": 4}
MAPS = np.zeros((2, 3, 3, 4), np.float32)


@pytest.fixture(scope="module")
def tiny_broden(tmp_path_factory):
    return load_broden(make_broden(tmp_path_factory.mktemp("data") / "broden"))


def made(**changes):
    return Settings(**({"layers": ("conv4", "conv5")} | changes))


def test_settings_are_made_alike(untyped):
    found = made(
        layers=["conv4", "conv5"],
        fieldmaps={"conv5": [list(part) for part in FIELDMAP]},
        batch_size=np.int64(8),
        image_size=np.int32(224),
        top_images=0,
        shard_images=1,
        num_threads=2,
        progress=False,
    )
    expected = (("conv4", "conv5"), {"conv5": FIELDMAP}, 8, 224, 0, 1, 2, False, {}, False, False)
    assert dataclasses.astuple(found) == expected
    assert all(type(size) is int for size in dataclasses.astuple(found)[2:7])
    assert all(type(value) is int for part in found.fieldmaps["conv5"] for value in part)
    assert dataclasses.astuple(made()) == (("conv4", "conv5"), {}, 64, None, 5, 4096, 8, True, {}, False, False)
    assert made(fieldmaps={"conv4": np.array(FIELDMAP)}).fieldmaps == {"conv4": FIELDMAP}
    assert arguments.check_protocols([PAPER, get_protocol("lite")]) == (PAPER, get_protocol("lite"))


def test_functions_show_the_settings_as_their_own():
    for function, more in [(dissection.dissect, {"protocol": None}), (dissection.dissect_all, {})]:
        shown = inspect.signature(function).parameters
        defaults = {name: own.default for name, own in shown.items() if own.default is not own.empty}
        assert defaults == {
            "skipped": None,
            "cache": None,
            "fieldmaps": None,
            "batch_size": 64,
            "image_size": None,
            "top_images": 5,
            "shard_images": 4096,
            "num_threads": 8,
            "progress": True,
            "groups": None,
            "keep_images": False,
            "correlation": False,
            **more,
        }
        assert "layers" in shown
        for name in shown:
            assert function.__doc__.count(f"\n      {name}: ") + function.__doc__.count(f"\n  {name}: ") == 1, name
        assert "**settings" not in function.__doc__
    stored = inspect.signature(dissection.dissect_arrays).parameters
    assert list(stored)[:3] == ["activations", "broden", "images"]
    assert {"protocol", "thresholds", "fieldmaps", "top_images", "num_threads", "progress"} < set(stored)
    assert "batch_size" not in stored
    assert "batch_size:" not in dissection.dissect_arrays.__doc__


def test_unknown_and_missing_arguments_are_named_with_the_known_ones():
    with pytest.raises(
        TypeError, match=r"dissect: 'layer' is none of its arguments; expected any of .*layers, .*cache"
    ):
        dissection.dissect(len, None, layer="conv5")
    # From Python 3.12 on it says "keyword-only argument".
    with pytest.raises(TypeError, match=r"missing a required (keyword-only )?argument: 'layers'"):
        dissection.dissect(len, None)
    with pytest.raises(
        TypeError, match=r"dissect_arrays: 'batch_size' is none of its arguments; expected any of .*images"
    ):
        dissection.dissect_arrays({}, None, images=[], batch_size=3)


WHOLE = "expected a whole number of"
PARTS = r"expected \(offset, size, stride\), each \(y, x\) in whole input pixels"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": "conv5"}, r"layers = 'conv5': expected a sequence of names, as \('conv5',\)"),
        ({"layers": None}, r"layers = None: expected a sequence of names, as \('conv5',\)"),
        ({"layers": {"conv5"}}, r"layers = {'conv5'}: expected a sequence of names"),
        ({"layers": ()}, r"layers = \(\): expected one at least"),
        ({"layers": ("conv5", 4)}, r"layers\[1\] = 4: expected a name, a string"),
        ({"layers": ("conv5", "conv4", "conv5")}, "layers: 'conv5' is twice in it"),
        ({"batch_size": 0}, f"batch_size = 0: {WHOLE} 1 or more"),
        ({"batch_size": 8.0}, f"batch_size = 8.0: {WHOLE} 1 or more"),
        ({"batch_size": True}, f"batch_size = True: {WHOLE} 1 or more"),
        ({"batch_size": None}, f"batch_size = None: {WHOLE} 1 or more"),
        ({"image_size": (224, 224)}, rf"image_size = \(224, 224\): {WHOLE} 1 or more"),
        ({"image_size": 0}, f"image_size = 0: {WHOLE} 1 or more"),
        ({"top_images": -1}, f"top_images = -1: {WHOLE} 0 or more"),
        ({"top_images": False}, f"top_images = False: {WHOLE} 0 or more"),
        ({"shard_images": "many"}, f"shard_images = 'many': {WHOLE} 1 or more"),
        ({"num_threads": 0}, f"num_threads = 0: {WHOLE} 1 or more"),
        ({"progress": 1}, "progress = 1: expected True or False"),
        ({"fieldmaps": FIELDMAP}, r"fieldmaps = .*: expected a mapping by layer, {'conv4': …}"),
        ({"fieldmaps": {"conv9": FIELDMAP}}, r"fieldmaps\['conv9'\]: no such layer; the layers are conv4, conv5"),
        ({"fieldmaps": {"conv5": 16}}, rf"fieldmaps\['conv5'\] = 16: {PARTS}"),
        ({"fieldmaps": {"conv5": ((0, 0), (16, 16), 16)}}, rf"fieldmaps\['conv5'\] = .*, 16\): {PARTS}"),
        ({"fieldmaps": {"conv5": (0, 16, 16)}}, rf"fieldmaps\['conv5'\] = \(0, 16, 16\): {PARTS}"),
        ({"fieldmaps": {"conv5": ((0, 0), (16, 16), (16.0, 16))}}, rf"fieldmaps\['conv5'\] = .*: {PARTS}"),
        ({"fieldmaps": {"conv5": None}}, rf"fieldmaps\['conv5'\] = None: {PARTS}"),
        (
            {"fieldmaps": {"conv5": ((0, 0), (16, 16), (0, 16))}},
            r"fieldmaps\['conv5'\] = .*: expected size and stride of 1 or more",
        ),
    ],
)
def test_wrong_settings_are_refused(untyped, changes, message):
    with pytest.raises(ValueError, match=message):
        made(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocols": "lite"}, r"protocols = 'lite': expected a sequence of Protocols, \[get_protocol\('paper'\)\]"),
        ({"protocols": PAPER}, r"protocols = Protocol\(name='paper'.*: expected a sequence of Protocols"),
        ({"protocols": ["lite"]}, r"protocols\[0\] = 'lite': expected a Protocol, as get_protocol\('lite'\)"),
        ({"protocols": [PAPER, None]}, r"protocols\[1\] = None: expected a Protocol, as get_protocol\('paper'\)"),
        ({"protocols": []}, "protocols: expected one at least"),
        ({"protocols": [PAPER, CGL]}, "protocols: .* all of the same tap, .*; given: paper post, cgl pre"),
    ],
)
def test_wrong_protocols_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        arguments.check_protocols(**changes)


def test_a_name_that_is_no_protocol_is_answered_with_one():
    with pytest.raises(ValueError, match=r"^protocol = 'light': expected a Protocol, as get_protocol\('paper'\)"):
        arguments.check_protocol("light")
    with pytest.raises(ValueError, match=r"^protocol = 'caffe': expected a Protocol, as get_protocol\('caffe'\)"):
        arguments.check_protocol("caffe")


def test_stored_activations_are_made_alike():
    maps = {"conv5": jnp.ones((2, 3, 3, 4)), "conv4": np.ones((2, 1, 1, 2), np.uint8)}
    found = arguments.check_activations(maps, 2)
    assert isinstance(found["conv5"], np.ndarray)
    assert list(found) == ["conv5", "conv4"]
    limits = arguments.check_thresholds({"conv5": [0, 1, 2, 3], "conv4": np.ones(2, np.float32)}, UNITS | {"conv4": 2})
    assert {layer: values.dtype for layer, values in limits.items()} == dict.fromkeys(("conv5", "conv4"), np.float64)
    np.testing.assert_array_equal(limits["conv5"], [0, 1, 2, 3])
    assert arguments.check_names("images", pd.Series(IMAGES, index=[7, 3]), "a.jpg") == IMAGES
    assert arguments.check_names("images", np.array(IMAGES), "a.jpg") == IMAGES
    assert arguments.check_activations({"conv5": MAPS.astype(ml_dtypes.bfloat16)}, 2)
    assert arguments.check_activations({"conv5": MAPS}, 2)["conv5"] is MAPS


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        (MAPS, r"activations = ndarray of shape \(2, 3, 3, 4\): expected {layer: array \[images, h, w, units\]}"),
        ({}, "activations = {}: expected {layer: array"),
        ({5: MAPS}, r"activations\[0\] = 5: expected a name, a string"),
        ({"conv5": MAPS[:1]}, r"activations\['conv5'\] has 1 rows, images has 2 names"),
    ],
)
def test_wrong_activations_are_refused(activations, message):
    with pytest.raises(ValueError, match=message):
        arguments.check_activations(activations, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": "a.jpg"}, r"images = 'a.jpg': expected a sequence of names, as \('a.jpg',\)"),
        ({"images": ["a.jpg", 3]}, r"images\[1\] = 3: expected a name, a string"),
        ({"images": np.array([3, 5])}, r"images\[0\] = 3: expected a name"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8)}, r"images = ndarray of shape \(2, 8, 8, 3\): expected a seq"),
        ({"thresholds": [0.5] * 4}, r"thresholds = \[0.5, .*\]: expected a mapping by layer, {'conv5': …}"),
        ({"thresholds": {"conv4": np.ones(4)}}, r"thresholds\['conv4'\]: no such layer; the layers are conv5"),
        ({"thresholds": {}}, "thresholds: the layer 'conv5' is missing; expected 4 of every layer"),
        ({"thresholds": {"conv5": 0.5}}, r"thresholds\['conv5'\] has the shape \(\); expected 4, one a unit"),
        ({"thresholds": {"conv5": np.ones(3)}}, r"thresholds\['conv5'\] has the shape \(3,\); expected 4"),
        ({"thresholds": {"conv5": ["0.5"] * 4}}, r"thresholds\['conv5'\]: of dtype <U3; expected real numbers"),
        ({"thresholds": {"conv5": [0.5, 1, np.nan, 2]}}, r"thresholds\['conv5'\]: that of unit 2 is NaN"),
        ({"fieldmaps": {"conv4": FIELDMAP}}, r"fieldmaps\['conv4'\]: no such layer; the layers are conv5"),
        ({"top_images": 2.5}, f"top_images = 2.5: {WHOLE} 0 or more"),
    ],
)
def test_wrong_arguments_of_stored_activations_are_refused(untyped, tiny_broden, changes, message):
    with pytest.raises(ValueError, match=message):
        dissection.dissect_arrays({"conv5": MAPS}, tiny_broden, **({"images": IMAGES} | changes))


def test_data_without_images_and_other_collections_of_skipped_ones_are_refused(untyped, tiny_broden):
    none = dataclasses.replace(tiny_broden, records=[])
    for run in (
        lambda: dissection.dissect_arrays({"conv5": MAPS}, none, images=IMAGES),
        lambda: dissection.dissect(lambda images: {"conv5": MAPS}, none, layers=["conv5"]),
    ):
        with pytest.raises(ValueError, match=r"broden: .*broden with no record of an image; expected one at least"):
            run()
    with pytest.raises(ValueError, match=r"skipped = \[\]: expected a SkippedImages\(\), or None"):
        dissection.dissect(lambda images: {"conv5": MAPS}, tiny_broden, layers=["conv5"], skipped=[])


@pytest.mark.parametrize("cache", ["", 5, "a_file"])
def test_a_cache_that_is_no_folder_is_named(untyped, tiny_broden, tmp_path, monkeypatch, cache):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").touch()
    network = dissection.from_jax(
        lambda variables, images: {"conv5": images},
        {},
        layers=["conv5"],
        preprocessing=dissection.Preprocessing.imagenet(),
        name="plain",
    )
    with pytest.raises(ValueError, match=rf"cache = '?{cache}'?: .*expected the path of a folder"):
        dissection.dissect(network, tiny_broden, layers=["conv5"], cache=cache)
    assert [path.name for path in tmp_path.iterdir()] == ["a_file"]
