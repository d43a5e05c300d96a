"""Groups of units: their masks, counts, purity and entropy, by hand and against dense unions; random groups beside."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
from dense_masks import masked_batch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_images import CONCEPTS, IMAGE, batches_of, made

from interpjax.dissection import Dissection
from interpjax.dissection.group_result import GroupResult
from interpjax.dissection.groups import count_groups, group_masks, membership
from interpjax.dissection.images import count_images
from interpjax.dissection.masks import MaskedBatch, Masks
from interpjax.dissection.protocol import get_protocol
from interpjax.regularizers import Grouping

CATEGORIES = ("color", "object", "part")
NAMES = pd.DataFrame(
    {
        "number": CONCEPTS.numbers,
        "name": ["red-c", "blue-c", "cat", "wheel"],
        "category": [CATEGORIES[number] for number in CONCEPTS.category_of],
    }
)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_the_mask_of_a_group_is_the_union_of_its_members(data):
    group_of = np.array(
        data.draw(st.lists(st.integers(-1, 2), min_size=4, max_size=4).filter(lambda own: max(own) >= 0))
    )
    places = st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3))
    words = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1))
    records = sorted(data.draw(st.dictionaries(places, words, max_size=30)).items())
    image, tile, unit = np.array([place for place, _ in records], np.int32).reshape(-1, 3).T
    packed = np.array([word for _, word in records], np.uint32).reshape(-1, 2)
    expected = {}
    for (own_image, own_tile, own_unit), (low, high) in records:
        if group_of[own_unit] >= 0:
            key = own_image, own_tile, group_of[own_unit]
            before = expected.get(key, (0, 0))
            expected[key] = before[0] | low, before[1] | high
    ours = group_masks(Masks(image, unit, tile, packed), group_of)
    assert list(zip(ours.image, ours.tile, ours.unit, strict=True)) == sorted(expected)
    assert [tuple(word) for word in ours.words.tolist()] == [expected[key] for key in sorted(expected)]


def dissected(batches, protocol, units=3) -> Dissection:
    sums = count_images(batches, "conv", units=units, concepts=CONCEPTS, protocol=protocol).totals()
    return Dissection(
        concepts=NAMES,
        categories=CATEGORIES,
        protocol=protocol,
        thresholds=np.ones(units),
        intersection=sums[0],
        unit_area=sums[1],
        label_area=sums[2],
        pixels=1,
        top_images=np.zeros((units, 0), int),
        top_values=np.zeros((units, 0)),
    )


@pytest.mark.parametrize("name", ["paper", "lite", "all-pixels"])
def test_groups_count_as_a_unit_that_is_active_where_any_member_is(name):
    """A unit whose map is the maximum of its members' has the union of their masks, where nothing is interpolated."""
    _, packed, _ = made(np.random.default_rng(0), 9)
    packed = packed[::2]  # of one shape, that of the maps
    protocol = get_protocol(name, upsampling="bilinear")
    maps = np.random.default_rng(1).normal(size=(len(packed), *packed[0].shape, 5)).astype(np.float32)
    thresholds, numbers = np.full(5, 1.2), np.arange(len(packed))

    def batches(of):
        return [masked_batch(numbers, {"conv": of}, {"conv": thresholds[: of.shape[3]]}, packed, protocol, IMAGE)]

    def union(group_of):
        return dissected(
            batches(np.stack([maps[..., group_of == group].max(axis=-1) for group in range(2)], axis=-1)), protocol, 2
        )

    result, group_of = dissected(batches(maps), protocol, 5), np.array([0, 1, -1, 1, 0])
    ours = count_groups(batches(maps), "conv", group_of, dissection=result, draws=6, seed=4)
    expected = union(group_of)
    np.testing.assert_array_equal(ours.intersection, expected.intersection)
    np.testing.assert_array_equal(ours.unit_area, expected.unit_area)
    np.testing.assert_array_equal(ours.iou, expected.iou)
    assert ours.best()["concept"].tolist() == expected.best()["concept"].tolist()
    assert ours.unique_detectors() == expected.unique_detectors() > 0
    assert ours.random_of.shape == (6, 5)
    assert len({tuple(own) for own in ours.random_of.tolist()}) > 1
    for own, best in zip(ours.random_of, ours.random_iou, strict=True):
        assert sorted(own) == sorted(group_of)
        np.testing.assert_array_equal(best, union(own).iou.max(axis=1))
    again, other = (
        count_groups(batches(maps), "conv", group_of, dissection=result, draws=6, seed=seed) for seed in (4, 5)
    )
    assert again == ours
    assert other != ours


def test_a_group_of_one_unit_is_that_unit():
    _, packed, maps = made(np.random.default_rng(2), 9)
    protocol = get_protocol("lite")
    batches = batches_of(np.arange(9), packed, maps, protocol)
    result = dissected(batches, protocol)
    ours = count_groups(batches, "conv", np.array([1, -1, 0]), dissection=result, draws=1)
    np.testing.assert_array_equal(ours.intersection, result.intersection[[2, 0]])
    np.testing.assert_array_equal(ours.unit_area, result.unit_area[[2, 0]])
    assert (ours.intersection[0] == 0).all()  # the unit that has no mask


def by_hand(**fields) -> GroupResult:
    """Groups of 4, 4 and 2 of 11 units; those of the last are no detectors."""
    own = {
        "concepts": NAMES,
        "detector_iou": 0.04,
        "detects": np.array([0, 0, 0, 2, 1, 3, -1, -1, -1, -1, 2]),
        "group_of": np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, -1]),
        "intersection": np.array([[50, 0, 0, 0], [3, 0, 1, 0], [0, 0, 0, 0]]),
        "unit_area": np.array([[100, 100, 100, 100], [50, 50, 50, 50], [0, 0, 0, 0]]),
        "label_area": np.array([50, 10, 10, 10]),
        "random_of": np.array([[0, 0, 1, 1, 0, 0, 1, 1, 2, 2, -1], [2, 2, 0, 0, 0, 0, 1, 1, 1, 1, -1]]),
        "random_iou": np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]]),
    }
    return GroupResult(**(own | fields))


def test_purity_and_entropy_are_of_the_detectors_of_a_group():
    result = by_hand()
    assert result.sizes.tolist() == [4, 4, 2]
    assert result.detectors.tolist() == [4, 2, 0]
    np.testing.assert_array_equal(result.purity, [0.75, 0.5, math.nan])
    np.testing.assert_allclose(result.entropy, [2 - 0.75 * math.log2(3), 1, math.nan], rtol=1e-14)
    assert result.best()["concept"].tolist() == ["red-c", "red-c", ""]
    assert result.detected()["name"].tolist() == ["red-c"]
    assert by_hand(detector_iou=0.6).unique_detectors() == 0


def test_random_groups_of_one_size_are_taken_together():
    """Detectors of the first drawn groups: 0 0 1 3, 0 2, none; of the second: 0 2 1 3, none, 0 0."""
    mean, low, high = by_hand().random("purity")
    sizes_of_four = [0.5, 0.5, 0.25]
    assert mean.tolist() == [pytest.approx(1.25 / 3)] * 2 + [1]
    assert low.tolist() == [np.quantile(sizes_of_four, 0.025)] * 2 + [1]
    assert high.tolist() == [0.5, 0.5, 1]
    np.testing.assert_allclose(by_hand().random("entropy")[0], [4.5 / 3, 4.5 / 3, 0])
    np.testing.assert_allclose(by_hand().random("iou")[0], [0.25, 0.25, 0.4])
    with pytest.raises(ValueError, match="measure = 'relevance': choose one of purity, entropy, iou"):
        by_hand().random("relevance")


def test_the_table_and_the_summary_tell_what_has_no_value():
    result = by_hand(relevance=np.array([0.5, 0.25, 0.0]))
    table = result.table()
    assert table["main_concept"].tolist() == ["red-c", "blue-c", ""]
    assert table["purity_random"].tolist() == result.random("purity")[0].tolist()
    assert table["relevance"].tolist() == [0.5, 0.25, 0]
    assert table["group"].tolist() == [0, 1, 2]
    assert "relevance" not in by_hand().table()
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert [row["group"] for row in summary["by_group"]] == [1, 2, 3]
    assert [row["purity"] for row in summary["by_group"]] == [0.75, 0.5, None]
    assert summary["by_group"][2]["detectors"] == 0
    assert summary["means"]["purity"]["mean"] == 0.625
    assert summary["means"]["purity"]["random"] == pytest.approx((0.5 + (0.25 + 1) / 2) / 2)  # of each draw's mean
    assert summary["means"]["iou"]["low"] == pytest.approx(0.205)
    assert (summary["groups"], summary["unique_detectors"], summary["draws"]) == (3, 1, 2)
    assert repr(result) == "GroupResult(3 groups, 1 unique detectors; mean purity 0.62, of random groups 0.56)"


def test_a_layer_without_detectors_has_no_purity():
    result = by_hand(detects=np.full(11, -1))
    assert np.isnan(result.purity).all()
    assert np.isnan(result.random("entropy")).all()
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert summary["means"]["purity"] == {"mean": None, "random": None, "low": None, "high": None}
    assert "mean purity unknown, of random groups unknown" in repr(result)


def test_group_results_are_equal_if_their_contents_are():
    assert by_hand() == by_hand()
    assert by_hand() == GroupResult.from_arrays(by_hand().arrays(), NAMES)
    related = by_hand(relevance=np.ones(3))
    assert related == GroupResult.from_arrays(related.arrays(), NAMES)
    for other in (related, by_hand(detector_iou=0.05), by_hand(random_iou=np.zeros((2, 3))), 3):
        assert by_hand() != other
    assert by_hand() != dataclasses.replace(by_hand(), concepts=NAMES.assign(name=list("abcd")))


def test_groups_come_as_a_grouping_as_numbers_or_as_their_members():
    grouping = Grouping(num_groups=2)
    assert membership(grouping, 5).tolist() == [0, 0, 1, 1, -1]
    assert membership(Grouping(num_groups=2, order="strided"), 4).tolist() == [0, 1, 0, 1]
    assert membership(grouping.members(5), 5).tolist() == [0, 0, 1, 1, -1]
    assert membership([[3], (0, 2)], 4).tolist() == [1, -1, 1, 0]
    assert membership(np.array([0, -1, 1]), 3).tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    ("grouping", "message"),
    [
        (Grouping(num_groups=2, axis="inputs"), "grouping.axis = 'inputs': expected 'filters'"),
        (5, "grouping: a int; expected a Grouping, an integer array or a list"),
        (np.zeros(3), "grouping: a ndarray; expected a Grouping"),
        (np.array([0, 1]), "grouping: numbers of 2 units; expected 3"),
        (np.array([0, 2, 2]), r"grouping: units in groups \[0, 2\]; expected units in all from 0 to the last"),
        (np.array([-1, -1, -1]), r"grouping: units in groups \[\]"),
        (np.array([-2, 0, 1]), r"grouping: units in groups \[-2, 0, 1\]"),
        ([], r"grouping: units in groups \[\]"),
        ([[0], []], r"grouping: group 1 is \[\]; expected the numbers of its units"),
        ([0, 1], "grouping: group 0 is 0; expected the numbers of its units"),
        ([[0.5]], r"grouping: group 0 is \[0.5\]; expected the numbers of its units"),
        ([[0], [3]], "grouping: unit 3 in group 1; expected 0 to 2"),
        ([[0], [1, 0]], "grouping: a unit of group 1 comes twice"),
        ([[1, 1]], "grouping: a unit of group 0 comes twice"),
    ],
)
def test_what_is_no_grouping_of_the_layer_is_refused(grouping, message):
    with pytest.raises(ValueError, match=message):
        membership(grouping, 3)


def test_arguments_that_do_not_fit_are_refused():
    _, packed, maps = made(np.random.default_rng(2), 4)
    protocol = get_protocol("paper")
    batches = batches_of(np.arange(4), packed, maps, protocol)
    result = dissected(batches, protocol)
    with pytest.raises(ValueError, match="draws = 0: expected a whole number of 1 or more"):
        count_groups(batches, "conv", np.array([0, 0, 1]), dissection=result, draws=0)
    with pytest.raises(ValueError, match="relevance: of 3 groups; expected 2"):
        count_groups(batches, "conv", np.array([0, 0, 1]), dissection=result, relevance=np.ones(3))


def test_a_batch_without_a_mask_counts_nothing():
    _, packed, maps = made(np.random.default_rng(2), 4)
    protocol = get_protocol("lite")
    (batch,) = batches_of(np.arange(4), packed, maps, protocol)
    none = MaskedBatch(batch.numbers, batch.labels, {"conv": Masks(*(part[:0] for part in batch.masks["conv"]))})
    result = dissected([batch], protocol)
    ours = count_groups([none], "conv", np.array([0, 0, 1]), dissection=result, draws=2)
    assert not ours.intersection.any()
    assert not ours.unit_area.any()
    assert count_images([none], "conv", units=3, concepts=CONCEPTS, protocol=protocol).intersection.nnz == 0
