"""Chance as an object: cuts, intervals, what is above them, and its file."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from interpjax.dissection import Dissection
from interpjax.dissection.chance import Chance, calibrated
from interpjax.dissection.protocol import get_protocol

CONCEPTS = pd.DataFrame({"number": [3, 9, 11], "name": ["red-c", "cat", "street-s"], "category": ["a", "b", "b"]})


def chance_of(best_iou, **fields) -> Chance:
    best_iou = np.asarray(best_iou, float)
    unique = (best_iou > 0.04).sum(axis=1)
    return Chance(
        **{"kind": "labels", "concepts": CONCEPTS, "protocol": get_protocol("paper")}
        | {"units": 1, "label_area": np.full(3, 10**6), "unique_detectors": unique, "best_iou": best_iou}
        | fields
    )


def dissected(iou_of_100, **fields) -> Dissection:
    """IoU in hundredths: masks and concepts have a million pixels each, and in common what gives it."""
    iou = np.asarray(iou_of_100) / 100
    shared = np.round(1e6 * 2 * iou / (1 + iou)).astype(np.int64)
    units = len(iou)
    return Dissection(
        **{
            "concepts": CONCEPTS,
            "categories": ("a", "b"),
            "protocol": get_protocol("paper"),
            "thresholds": np.ones(units),
            "intersection": shared,
            "unit_area": np.full(iou.shape, 10**6),
            "label_area": np.full(3, 10**6),
            "pixels": 10**8,
            "top_images": np.zeros((units, 0), int),
            "top_values": np.zeros((units, 0)),
        }
        | fields
    )


@pytest.mark.parametrize(
    ("draws", "share", "exceeding"),
    [(100, 0.05, 5), (100, 0.07, 7), (100, 0.29, 29), (119, 0.05, 5), (120, 0.05, 6), (20, 0.05, 1), (19, 0.05, 0)],
)
def test_a_cut_is_the_least_value_that_no_more_than_a_share_of_the_draws_exceeds(draws, share, exceeding):
    best = np.random.default_rng(0).random((draws, 3))
    cuts = chance_of(best).cuts(share)
    assert ((best > cuts).sum(axis=0) == exceeding).all()
    for column in range(3):
        assert cuts[column] in best[:, column]
        next_lower = max(value for value in [*best[:, column], -1] if value < cuts[column])
        assert (best[:, column] > next_lower).sum() > share * draws


def test_equal_values_are_never_above_their_cut():
    best = np.zeros((40, 3))
    best[:10, 0] = 0.5  # a quarter of the draws
    best[:, 1] = 0.1
    np.testing.assert_array_equal(chance_of(best).cuts(), [0.5, 0.1, 0.0])
    np.testing.assert_array_equal(chance_of(best, share=0.25).cuts(), [0.0, 0.1, 0.0])


def test_intervals_leave_half_of_the_share_out_on_either_side():
    best, unique = np.zeros((100, 3)), np.random.default_rng(1).permutation(100)
    whole = chance_of(best, unique_detectors=unique)
    assert whole.interval() == (2, 97)
    assert whole.interval(0.5) == (25, 74)
    assert whole.mean == 49.5
    assert whole.draws == 100
    assert chance_of(best[:39], unique_detectors=unique[:39]).interval() == (unique[:39].min(), unique[:39].max())


def test_units_are_calibrated_where_their_best_concept_is_above_its_own_cut():
    result = dissected([[30, 20, 0], [10, 20, 0], [11, 5, 0], [0, 0, 0], [20, 0, 0], [0, 0, 1]])
    chance = chance_of([[0.15, 0.25, 0.0]] * 2, units=6)
    # Units 0 and 4 are above 0.15, unit 1 is not above 0.25, unit 2 not above 0.15, unit 5 above 0.
    assert calibrated(result, chance) == 3
    assert calibrated(result, chance, unique=True) == 2
    assert calibrated(result, dataclasses.replace(chance, best_iou=np.zeros((2, 3)))) == 5
    exact = dataclasses.replace(chance, best_iou=np.repeat(result.iou.max(axis=0)[None], 2, axis=0))
    assert calibrated(result, exact) == 0


def test_dissections_are_draws():
    results = [
        dissected([[30, 20, 0], [3, 5, 0]]),
        dissected([[1, 3, 0], [2, 0, 50]]),
        dissected([[0, 0, 0], [0, 1, 0]]),
    ]
    chance = Chance.from_dissections(results)
    assert chance.kind == "untrained"
    assert chance.unique_detectors.tolist() == [2, 1, 0]
    np.testing.assert_array_equal(chance.best_iou, [own.iou.max(axis=0) for own in results])
    np.testing.assert_array_equal(chance.cuts(), chance.best_iou.max(axis=0))


def test_what_is_not_comparable_is_refused(untyped):
    result = dissected([[30, 20, 0]])
    other = CONCEPTS.assign(number=[3, 9, 12])
    with pytest.raises(ValueError, match="chance: it has 3 concepts; expected the same 3, with the same numbers"):
        calibrated(result, chance_of(np.zeros((2, 3)), concepts=other))
    with pytest.raises(ValueError, match=r"chance: counted by lite: .*; expected paper: the paper's definition"):
        calibrated(result, chance_of(np.zeros((2, 3)), protocol=get_protocol("lite")))
    with pytest.raises(ValueError, match=r"results\[1\]: counted by paper: top_quantile = 0.1 .*; expected paper: the"):
        Chance.from_dissections([result, dissected([[1, 2, 0]], protocol=get_protocol("paper", top_quantile=0.1))])
    with pytest.raises(ValueError, match=r"chance: of a layer with 2 units; expected 1, as of the same layer"):
        calibrated(result, chance_of(np.zeros((2, 3)), units=2))
    with pytest.raises(ValueError, match=r"chance: concept 'cat' has 5 pixels; expected 1000000, as on the same imag"):
        calibrated(result, chance_of(np.zeros((2, 3)), label_area=np.array([10**6, 5, 10**6])))
    with pytest.raises(ValueError, match=r"chance: a dict; expected the Chance of this layer, as chance\['conv5'\]"):
        result.calibrated_detectors({"conv5": chance_of(np.zeros((2, 3)))})
    with pytest.raises(ValueError, match=r"results\[1\]: a dict; expected a Dissection of the layer"):
        Chance.from_dissections([result, {"conv5": result}])
    with pytest.raises(ValueError, match=r"results: a Dissection; expected a list with a Dissection for each draw"):
        Chance.from_dissections(result)
    with pytest.raises(ValueError, match="results: there is none; expected a Dissection for each draw"):
        Chance.from_dissections([])
    with pytest.raises(ValueError, match="kind = 'noise': expected one of labels, rotation, untrained"):
        chance_of(np.zeros((2, 3)), kind="noise")
    with pytest.raises(ValueError, match="unique_detectors: there is no draw; expected one at least"):
        chance_of(np.zeros((0, 3)))
    for share in (-0.1, 1, float("nan"), "a"):
        with pytest.raises(ValueError, match=f"share = {share!r}: expected a number of 0 or more and below 1"):
            chance_of(np.zeros((2, 3))).cuts(share)


def test_saved_chance_is_read_back_from_the_very_name(tmp_path):
    chance = chance_of(np.random.default_rng(0).random((7, 3)), share=0.2, protocol=get_protocol("lite"))
    chance.save(tmp_path / "chance_labels")
    assert [path.name for path in tmp_path.iterdir()] == ["chance_labels"]
    again = Chance.load(str(tmp_path / "chance_labels"))
    assert again == chance
    assert again != dataclasses.replace(chance, kind="rotation")
    assert again != dataclasses.replace(chance, best_iou=chance.best_iou * 2)
    pd.testing.assert_frame_equal(again.concepts, CONCEPTS)
    assert calibrated(dissected([[30, 20, 0]], protocol=get_protocol("lite")), again) == 0
    dissected([[1, 2, 3]]).save(tmp_path / "iou.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "chance_labels").read_bytes()[:500])
    for name in ("iou.npz", "cut.npz"):
        with pytest.raises(ValueError, match=f"{name}: not a file that Chance.save wrote, or a damaged one"):
            Chance.load(tmp_path / name)


def test_chance_says_in_one_line_what_it_is():
    chance = chance_of(np.zeros((3, 3)), unique_detectors=np.array([1, 3, 4]))
    assert repr(chance) == (
        "Chance(labels: 2.7 unique detectors in the mean of 3 draws, 1 to 4 in most; paper: the paper's definition)"
    )
