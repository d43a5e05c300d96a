"""What a dissection makes of its masks: by image, of groups, and the masks themselves, wherever thresholds fell."""

import numpy as np
import pytest
from dense_masks import masks_of
from small_network import network, random_images

from interpjax import dissection
from interpjax.data import load_broden
from interpjax.dissection import brackets, one_pass
from interpjax.dissection.dissect import masked
from interpjax.regularizers import Grouping

SETTINGS = {"layers": ("layer",), "batch_size": 2, "progress": False}
PROTOCOL = dissection.get_protocol("paper", top_quantile=0.05, detector_iou=0.05)


@pytest.fixture(scope="module")
def broden(tmp_path_factory):
    return load_broden(random_images(tmp_path_factory.mktemp("data") / "broden", 40))


@pytest.fixture(params=[4.0, 0.0], ids=["inside", "outside"], autouse=True)
def small_steps(request, monkeypatch):
    """With no margin, thresholds leave their brackets, and the layer is counted again."""
    monkeypatch.setattr(one_pass, "OPENING", 6)
    monkeypatch.setattr(brackets, "Z", request.param)


@pytest.mark.long
@pytest.mark.parametrize(
    "protocol", [PROTOCOL, pytest.param(dissection.get_protocol("lite", top_quantile=0.05), marks=pytest.mark.long)]
)
def test_masks_are_those_of_the_definition(broden, protocol):
    (results, batches), made = masked(network()[0], broden, protocol=protocol, **SETTINGS), network()[0]
    threshold, seen = results["layer"].thresholds, []
    for _ in range(2):  # they can be gone through again
        for batch in batches:
            images = np.stack([broden.records[number].image() for number in batch.numbers])
            maps = np.asarray(made(images)["layer"])
            expected = masks_of(maps, threshold, batch.labels, protocol, (32, 32))
            for ours, theirs in zip(batch.masks["layer"], expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)
            seen.extend(batch.numbers.tolist())
    assert sorted(seen) == sorted([*range(len(broden.records))] * 2)


def test_counts_by_image_add_up_and_are_read_back_from_the_cache(broden, tmp_path):
    settings = SETTINGS | {"keep_images": True, "protocol": PROTOCOL, "cache": tmp_path}
    result = dissection.dissect(network()[0], broden, **settings)["layer"]
    intersection, unit_area, label_area = result.images.totals()
    np.testing.assert_array_equal(intersection, result.intersection)
    np.testing.assert_array_equal(unit_area, result.unit_area)
    np.testing.assert_array_equal(label_area, result.label_area)
    assert result.images.numbers.tolist() == list(range(len(broden.records)))
    again, calls = network()
    assert dissection.dissect(again, broden, **settings)["layer"] == result
    assert calls == []
    (folder,) = tmp_path.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        "content.json",
        "result0-1-of-1.npz",
        "results-1-of-1.npz",
    ]


def test_groups_are_units_whose_masks_are_unions(broden):
    """A group of one unit is that unit; a group of all is what the union of all masks gives."""
    made = network()[0]
    alone = dissection.dissect(made, broden, protocol=PROTOCOL, groups={"layer": [[2], [0, 1]]}, **SETTINGS)["layer"]
    np.testing.assert_array_equal(alone.groups.intersection[0], alone.intersection[2])
    np.testing.assert_array_equal(alone.groups.unit_area[0], alone.unit_area[2])
    assert (alone.groups.unit_area[1] >= alone.unit_area[:2].max(axis=0)).all()
    assert (alone.groups.unit_area[1] <= alone.unit_area[:2].sum(axis=0)).all()
    whole = dissection.dissect(made, broden, protocol=PROTOCOL, groups={"layer": Grouping(num_groups=1)}, **SETTINGS)
    assert whole["layer"].groups.group_of.tolist() == [0, 0, 0]


def test_correlation_is_kept_where_it_is_asked_for(broden):
    made, maps = network()[0], network()[0]
    result = dissection.dissect(made, broden, protocol=PROTOCOL, correlation=True, **SETTINGS)["layer"]
    images = np.stack([record.image() for record in broden.records])
    stored = {"layer": np.asarray(maps(images)["layer"])}
    names = [record.name for record in broden.records]
    other = dissection.dissect_arrays(stored, broden, images=names, protocol=PROTOCOL, correlation=True, progress=False)
    np.testing.assert_allclose(result.metric("pearson"), other["layer"].metric("pearson"), atol=1e-9)
    assert np.abs(result.metric("cosine")).max() > 0.1


def test_stored_activations_have_groups_and_counts_by_image_too(broden):
    maps = {"layer": np.random.default_rng(0).normal(size=(len(broden.records), 8, 8, 4)).astype(np.float32)}
    names = [record.name for record in broden.records]
    settings = {"groups": {"layer": Grouping(num_groups=2)}, "keep_images": True, "progress": False}
    result = dissection.dissect_arrays(maps, broden, images=names, protocol=PROTOCOL, **settings)["layer"]
    np.testing.assert_array_equal(result.images.totals()[0], result.intersection)
    assert result.groups.intersection.shape == (2, len(result.concepts))


def test_groups_that_do_not_fit_are_refused_before_the_images_are_gone_over(broden):
    made, calls = network()
    with pytest.raises(ValueError, match="numbers of 5 units; expected 3, as many as the layer has"):
        dissection.dissect(made, broden, groups={"layer": np.zeros(5, int)}, **SETTINGS)
    assert len(calls) <= 16
    with pytest.raises(ValueError, match=r"groups\['conv9'\]: no such layer; the layers are layer"):
        dissection.dissect(made, broden, groups={"conv9": [[0]]}, **SETTINGS)


def test_groups_in_the_cache_are_those_of_the_cut(broden, tmp_path):
    settings = SETTINGS | {"groups": {"layer": [[0, 1, 2]]}, "cache": tmp_path}
    for cut in (0.05, 0.9):
        protocol = dissection.get_protocol("paper", top_quantile=0.05, detector_iou=cut)
        result = dissection.dissect(network()[0], broden, protocol=protocol, **settings)["layer"]
        assert result.groups.detectors.sum() == (result.best()["iou"] >= cut).sum()


def test_a_file_of_the_backlog_that_is_gone_is_named(broden, tmp_path):
    masks = masked(network()[0], broden, protocol=PROTOCOL, cache=tmp_path, **SETTINGS)[1]
    next(iter(tmp_path.glob("*/*batch0000003.npz"))).unlink()
    with pytest.raises(ValueError, match=r"batch0000003.npz: missing or damaged .* remove the folder"):
        list(masks)
