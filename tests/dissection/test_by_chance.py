"""Chance of a network: labels shuffled under its masks, and its maps rotated."""

import dataclasses

import numpy as np
import pytest
from small_network import network, thirteen_images

from interpjax import dissection
from interpjax.data import load_broden
from interpjax.dissection import get_protocol, label_draws, rotation
from interpjax.errors import UserError

SETTINGS = {"layers": ("layer",), "batch_size": 8, "progress": False}


@pytest.fixture(scope="module")
def broden(tmp_path_factory):
    return load_broden(thirteen_images(tmp_path_factory.mktemp("data") / "broden"))


def protocol(name="paper"):
    return get_protocol(name, top_quantile=0.05, detector_iou=0.05)


@pytest.mark.parametrize("name", ["paper", "all-pixels", pytest.param("lite", marks=pytest.mark.long)])
def test_labels_that_stay_where_they_are_give_the_dissection_itself(broden, monkeypatch, name):
    stay = lambda labels, seed, draw: [np.arange(len(own.numbers)) for own in labels]  # noqa: E731
    monkeypatch.setattr(label_draws, "draw_partners", stay)
    result = dissection.dissect(network()[0], broden, protocol=protocol(name), **SETTINGS)["layer"]
    chance = dissection.chance(network()[0], broden, draws=2, protocol=protocol(name), **SETTINGS)["layer"]
    np.testing.assert_array_equal(chance.best_iou, [result.iou.max(axis=0)] * 2)
    assert chance.unique_detectors.tolist() == [result.unique_detectors()] * 2
    assert chance.kind == "labels"
    assert chance.concepts.equals(result.concepts)
    assert result.iou.any()


def test_draw_n_of_shuffled_labels_is_the_same_however_many_there_are_and_follows_the_seed(broden):
    draws = [
        dissection.chance(network()[0], broden, draws=count, seed=seed, protocol=protocol(), **SETTINGS)
        for count, seed in [(5, 0), (3, 0), (3, 1)]
    ]
    whole, few, seeded = (own["layer"].best_iou for own in draws)
    np.testing.assert_array_equal(whole[:3], few)
    assert (few != seeded).any()


def test_each_rotation_is_a_dissection_of_the_rotated_maps(broden):
    made = network()[0]
    found = dissection.chance(made, broden, kind="rotation", draws=5, seed=3, protocol=protocol(), **SETTINGS)["layer"]
    assert found.kind == "rotation"
    plain = rotation.rotated(lambda images: made(images), ("layer",), draws=(4,), seed=3)
    maps = {"layer": lambda images: plain(images)["layer#4"]}
    own = dissection.dissect(lambda images: {"layer": maps["layer"](images)}, broden, protocol=protocol(), **SETTINGS)[
        "layer"
    ]
    np.testing.assert_array_equal(found.best_iou[4], own.iou.max(axis=0))
    assert found.unique_detectors[4] == own.unique_detectors()
    assert len({tuple(row) for row in found.best_iou}) == 5
    fewer = dissection.chance(made, broden, kind="rotation", draws=2, seed=3, protocol=protocol(), **SETTINGS)["layer"]
    np.testing.assert_array_equal(fewer.best_iou, found.best_iou[:2])


def test_rotated_maps_keep_all_angles_and_lengths_and_layers_have_rotations_of_their_own(broden):
    made = network(layers=("layer", "other"))[0]
    images = np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3)).astype(np.uint8)
    turned = rotation.rotated(made, ("layer", "other"), draws=(0, 1))
    assert turned.layers == ("layer#0", "layer#1", "other#0", "other#1")
    maps, before = turned(images), np.asarray(made(images)["layer"]).reshape(-1, 3)
    assert list(maps) == list(turned.layers)
    for after in maps.values():
        after = np.asarray(after).reshape(-1, 3)
        np.testing.assert_allclose(after @ after.T, before @ before.T, rtol=1e-4, atol=1e-5)  # sums in float32
    assert min(np.asarray(own).min() for own in maps.values()) < 0 < before.min()
    assert len({np.asarray(own).tobytes() for own in maps.values()}) == 4
    others = [rotation.rotated(made, ("layer",), draws=draws, seed=seed) for draws, seed in [((0,), 0), ((0,), 1)]]
    assert len({turned.fingerprint, made.fingerprint, *(own.fingerprint for own in others)}) == 4
    assert (turned.preprocessing, turned.follows_images) == (made.preprocessing, made.follows_images)


def test_rotations_are_uniform():
    matrices = np.array([rotation.random_rotation(3, [number]) for number in range(4000)])
    np.testing.assert_allclose(matrices @ matrices.swapaxes(1, 2), np.broadcast_to(np.eye(3), (4000, 3, 3)), atol=1e-12)
    traces = np.trace(matrices, axis1=1, axis2=2)
    # By Haar's measure the trace has the mean 0 and the variance 1: means of 4000 lie within five standard errors.
    assert abs(traces.mean()) < 5 / np.sqrt(4000)
    assert abs((traces**2).mean() - 1) < 5 * (traces**2).std() / np.sqrt(4000)


def test_sums_of_rotations_are_kept_where_there_is_a_cache(broden, tmp_path):
    made, calls = network()
    arguments = SETTINGS | {"kind": "rotation", "draws": 5, "protocol": protocol(), "cache": tmp_path}
    first = dissection.chance(made, broden, **arguments)["layer"]
    assert calls
    calls.clear()
    assert dissection.chance(made, broden, **arguments)["layer"] == first
    assert not calls


def test_wrong_arguments_are_refused(broden, untyped):
    made = network()[0]
    with pytest.raises(ValueError, match="kind = 'untrained': expected one of labels, rotation; for 'untrained'"):
        dissection.chance(made, broden, kind="untrained", **SETTINGS)
    with pytest.raises(ValueError, match="draws = 0: expected a whole number of 1 or more"):
        dissection.chance(made, broden, draws=0, **SETTINGS)
    with pytest.raises(ValueError, match=r"seed = -1: expected a whole number of 0 or more"):
        dissection.chance(made, broden, seed=-1, **SETTINGS)
    with pytest.raises(TypeError, match="'top_images' is none of its arguments"):
        dissection.chance(made, broden, top_images=3, **SETTINGS)
    alone = dataclasses.replace(broden, records=broden.records[:1])
    with pytest.raises(UserError, match="labels cannot be shuffled"):
        dissection.chance(made, alone, draws=1, **SETTINGS)
    with pytest.raises(UserError, match="layer 'conv9': the network gives maps of layer"):
        dissection.chance(made, broden, kind="rotation", draws=1, **(SETTINGS | {"layers": ("conv9",)}))
