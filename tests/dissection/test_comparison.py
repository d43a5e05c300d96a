"""Two dissections of the same images: the paired interval, its p-value, and what can be compared."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from test_significance import CONCEPTS, dissected, random_dissection

from interpjax import dissection
from interpjax.dissection import significance
from interpjax.dissection.comparison import _significance
from interpjax.dissection.protocol import get_protocol


def with_other_units(result, seed):
    """Other units on the same images and labels."""
    rng, label_area = np.random.default_rng(seed), result.images.label_area.toarray()
    area = rng.integers(0, 30, (12, 4, 2))
    return dissected(rng.integers(0, np.minimum(area[:, :, [0, 1, 1]], label_area[:, None]) + 1), area, label_area)


def test_differences_are_of_the_same_resamples():
    a = random_dissection()
    b = with_other_units(a, 5)
    comparison = dissection.compare(a, b, samples=80, seed=2)
    drawn = [significance.resample(own, 80, 2).detected for own in (a, b)]
    assert (drawn[0] != drawn[1]).any()
    difference = drawn[1].sum(axis=1) - drawn[0].sum(axis=1)
    assert (comparison.low, comparison.high) == tuple(np.quantile(difference, [0.025, 0.975]))
    assert comparison.difference == b.unique_detectors() - a.unique_detectors()
    table = comparison.by_category.set_index("category")
    objects = drawn[1][:, 1:].sum(axis=1) - drawn[0][:, 1:].sum(axis=1)
    assert table.loc["object", ["low", "high"]].tolist() == np.quantile(objects, [0.025, 0.975]).tolist()
    assert table["a"].to_dict() == a.by_category()
    assert table["difference"].sum() == comparison.difference
    mirrored = dissection.compare(b, a, samples=80, seed=2)
    assert (mirrored.low, mirrored.high, mirrored.p) == (-comparison.high, -comparison.low, comparison.p)
    pd.testing.assert_frame_equal(
        mirrored.lost.rename(columns={"share_a": "share_b", "share_b": "share_a"}), comparison.gained, check_like=True
    )


def test_a_network_does_not_differ_from_itself():
    comparison = dissection.compare(random_dissection(), random_dissection(), samples=30)
    assert (comparison.difference, comparison.low, comparison.high, comparison.p) == (0, 0, 0, 1)
    assert comparison.gained.empty
    assert comparison.lost.empty


def test_concepts_gained_and_lost_say_how_sure_they_are():
    """b detects the dog on all images, and the cat on one only; a detects the color on all."""
    label_area = np.tile([20, 20, 20], (30, 1))
    area = np.full((30, 2, 2), 20)
    ours, theirs = np.zeros((30, 2, 3), int), np.zeros((30, 2, 3), int)
    ours[:, 0, 0] = 20
    theirs[:, 0, 1] = 20
    theirs[0, 1, 2], area[1:, 1] = 20, 0
    label_area[1:, 2] = 1
    comparison = dissection.compare(dissected(ours, area, label_area), dissected(theirs, area, label_area), samples=400)
    assert comparison.gained["name"].tolist() == ["dog", "cat"]
    assert comparison.gained["share_b"][0] == 1
    # A resample lacks the only image of the cat with probability (1 − 1/30)³⁰ = 0.36; standard error 0.024.
    assert abs(comparison.gained["share_b"][1] - 0.64) < 0.08
    assert (comparison.gained["share_a"] == 0).all()
    assert comparison.lost[["name", "share_a", "share_b"]].to_numpy().tolist() == [["red-c", 1, 0]]
    assert comparison.lost.columns.tolist() == [*CONCEPTS.columns, "share_a", "share_b"]
    color = comparison.by_category.set_index("category").loc["color"]
    assert color.tolist() == [1, 0, -1, -1, -1, 2 / 401]
    assert repr(comparison).startswith("Comparison(2 - 1 = +1 unique detectors, 95 % interval +0 to +1, p = ")
    assert repr(comparison).endswith("; 2 concepts gained, 1 lost; 400 resamples of 30 images)")


@pytest.mark.parametrize(
    ("difference", "p"),
    [([1] * 19, 2 / 20), ([-1] * 19, 2 / 20), ([1] * 17 + [0, -1], 6 / 20), ([0] * 19, 1), ([-1, 1] * 9 + [0], 1)],
)
def test_p_is_twice_the_rarer_side_and_ties_are_on_both(difference, p):
    assert _significance(np.array(difference))[2] == pytest.approx(p, rel=1e-15)


def test_an_interval_that_leaves_out_0_goes_with_a_small_p():
    rng = np.random.default_rng(0)
    for shift in np.linspace(-3, 3, 41):
        low, high, p = _significance(np.round(rng.normal(shift, 1, 999)).astype(int))
        assert (p <= 0.05) == (low > 0 or high < 0), (low, high, p)


def test_what_cannot_be_compared_is_refused(untyped):
    result, fewer = random_dissection(), random_dissection(images=11)
    others = CONCEPTS.assign(name=["red-c", "dog", "bird"])
    changes = [
        (dataclasses.replace(result, images=None), "images: the counts by image were not kept"),
        (dataclasses.replace(result, concepts=others), r"concepts: .*'cat'.* of a where b has .*'bird'"),
        (dataclasses.replace(result, concepts=CONCEPTS[:2]), "concepts: .*'cat'.* of a where b has None"),
        (
            dataclasses.replace(result, protocol=get_protocol("paper", detector_iou=0.2, unit_area="all")),
            "protocol.unit_area: 'category' of a, 'all' of b; expected the same",
        ),
        (fewer, "images: number 11 is in one of a and b only"),
        (random_dissection(1), "images: a and b have other labels"),
    ]
    for other, message in changes:
        with pytest.raises(ValueError, match=message):
            dissection.compare(result, other, samples=10)
    for seed in (-1, 1.5, "a"):
        with pytest.raises(ValueError, match=f"seed = {seed!r}: expected a whole number of 0 or more"):
            dissection.compare(result, result, seed=seed)
    with pytest.raises(ValueError, match=r"b: a dict; expected the Dissection of a layer, as results\['conv5'\]"):
        dissection.compare(result, {"conv5": result})
    renamed = dataclasses.replace(result.protocol, name="mine")
    assert dissection.compare(result, dataclasses.replace(result, protocol=renamed), samples=10).difference == 0
