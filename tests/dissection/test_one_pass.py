"""One pass over the images against two: the same integers, however wide the brackets are and where they fail."""

import dataclasses

import numpy as np
import pytest
from small_network import random_images
from two_passes import two_passes

from interpjax import dissection
from interpjax.data import load_broden
from interpjax.data.images import SkippedImages
from interpjax.dissection import brackets, one_pass, opening
from interpjax.dissection.passes import BATCHES_AT_A_TIME


@pytest.fixture(scope="module")
def broden(tmp_path_factory):
    return load_broden(random_images(tmp_path_factory.mktemp("data") / "broden", 60))


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    monkeypatch.setattr(one_pass, "OPENING", 8)
    monkeypatch.setattr(brackets, "GROWTH", 1.1)


def network(calls=None):
    """Two layers of different maps: one rectified, with a unit that is hardly ever active, one of both signs."""

    def apply(variables, images):
        n, h, w, _ = images.shape
        means = images.reshape(n, h // 4, 4, w // 4, 4, 3).mean(axis=(2, 4)) @ variables
        fine = images.reshape(n, h // 2, 2, w // 2, 2, 3).mean(axis=(2, 4)) @ variables
        return {
            "coarse": np.maximum(means - 0.6, 0) if isinstance(means, np.ndarray) else (means - 0.6).clip(0),
            "fine": fine,
        }

    kernel = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    kernel[:, 6] = 0.2  # hardly ever above 0.6
    made = dissection.from_jax(
        apply, kernel, layers=("coarse", "fine"), preprocessing=dissection.Preprocessing(0.0, 255.0), name="two"
    )

    def counted(images):
        if calls is not None:
            calls.append(len(images))
        return made.activations(images)

    # On one device: on each one it would be compiled anew, and test_streaming.py has several.
    return dataclasses.replace(made, activations=counted, follows_images=False)


def maps_of(made, broden):
    images = np.stack([record.image() for record in broden.records])
    return {layer: np.asarray(values) for layer, values in made(images).items()}


def assert_equal(result, maps, broden, protocol, numbers=None):
    own = (
        broden
        if protocol.categories is None
        else broden.restricted([name for name in broden.categories if name in protocol.categories])
    )
    expected = two_passes(maps, own, protocol, (32, 32), numbers)
    for field, values in zip(("thresholds", "intersection", "unit_area", "label_area"), expected, strict=True):
        np.testing.assert_array_equal(getattr(result, field), values, err_msg=field)


@pytest.mark.parametrize(
    ("names", "z"),
    [
        (["paper", "lite"], 0.0),
        pytest.param(["paper", "caffe", "lite", "all-pixels"], 0.0, marks=pytest.mark.long),
        pytest.param(["paper", "caffe", "lite", "all-pixels"], 4.0, marks=pytest.mark.long),
    ],
)
def test_every_protocol_equals_two_passes(broden, monkeypatch, names, z):
    """With no margin at all, thresholds leave their brackets, and those layers are done again."""
    monkeypatch.setattr(brackets, "Z", z)
    calls = []
    made = network(calls)
    protocols = [dissection.get_protocol(name, top_quantile=0.04) for name in names]
    protocols.append(dissection.get_protocol("paper", top_quantile=0.2))
    found = dissection.dissect_all(made, broden, layers=made.layers, protocols=protocols, batch_size=4)
    batches = -(-len(broden.records) // 4)
    assert len(calls) == batches * (1 if z else 3)
    maps = maps_of(network(), broden)
    for protocol, results in zip(protocols, found, strict=True):
        for layer in made.layers:
            assert results[layer].intersection.any()
            assert_equal(results[layer], maps[layer], broden, protocol)


@pytest.mark.long
@pytest.mark.parametrize("z", [4.0, 0.0])
def test_overshooting_maps_that_are_left_out_below_their_threshold_equal_two_passes(broden, monkeypatch, z):
    monkeypatch.setattr(brackets, "Z", z)
    protocol = dissection.get_protocol("cgl", top_quantile=0.04)
    found = dissection.dissect(network(), broden, layers=("coarse", "fine"), protocol=protocol, batch_size=4)
    for layer, maps in maps_of(network(), broden).items():
        assert_equal(found[layer], maps, broden, protocol)


def test_images_that_cannot_be_read_are_left_out_of_both(broden, tmp_path):
    folder = random_images(tmp_path / "broden", 30)
    (folder / "images" / "more7.png").write_bytes(b"no image")
    data, skipped = load_broden(folder), SkippedImages()
    found = dissection.dissect(network(), data, layers=("coarse",), batch_size=4, skipped=skipped)
    assert [name.rsplit("/")[-1] for name in skipped.names] == ["more7.png"]
    numbers = [n for n, record in enumerate(data.records) if not record.name.endswith("more7.png")]
    read = dataclasses.replace(data, records=[data.records[number] for number in numbers])
    maps = maps_of(network(), read)["coarse"]
    assert_equal(found["coarse"], maps, data, dissection.get_protocol("paper"), numbers)


def test_maps_too_large_to_hold_are_computed_again(broden, monkeypatch):
    """The first images are, and no others."""
    monkeypatch.setattr(one_pass, "HELD", 0)
    calls = []
    found = dissection.dissect(network(calls), broden, layers=("coarse",), batch_size=4)
    assert len(calls) == -(-len(broden.records) // 4) + BATCHES_AT_A_TIME
    assert_equal(found["coarse"], maps_of(network(), broden)["coarse"], broden, dissection.get_protocol("paper"))


def test_few_positions_set_the_brackets_where_units_are_many(broden, monkeypatch):
    monkeypatch.setattr(opening, "SAMPLES", 1)
    found = dissection.dissect(network(), broden, layers=("coarse",), batch_size=4)
    assert_equal(found["coarse"], maps_of(network(), broden)["coarse"], broden, dissection.get_protocol("paper"))


def test_stored_activations_equal_two_passes(broden, monkeypatch):
    maps = maps_of(network(), broden)
    names = [record.name for record in broden.records]
    for z in (4.0, 0.0):
        monkeypatch.setattr(brackets, "Z", z)
        found = dissection.dissect_arrays(maps, broden, images=names)
        for layer, own in maps.items():
            assert_equal(found[layer], own, broden, dissection.get_protocol("paper"))
