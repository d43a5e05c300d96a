"""Intervals over images: against resamples counted one image after another, and where the answer is known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from interpjax.dissection import Dissection, significance
from interpjax.dissection.images import ImageCounts
from interpjax.dissection.protocol import get_protocol

CATEGORIES = ("color", "object")
CONCEPTS = pd.DataFrame({"number": [3, 5, 9], "name": ["red-c", "dog", "cat"], "category": ["color", *["object"] * 2]})


def dissected(intersection, area, label_area, **fields) -> Dissection:
    """Of counts by image: [images, units, 3], [images, units, 2] and [images, 3]."""
    images, units, _ = np.shape(intersection)
    counts = ImageCounts(
        numbers=np.arange(images),
        pixels=np.full(images, 100),
        intersection=sparse.csr_array(np.reshape(intersection, (images, -1))),
        unit_area=sparse.csr_array(np.reshape(area, (images, -1))),
        label_area=sparse.csr_array(label_area),
        category_of=np.array([0, 1, 1]),
    )
    sums = counts.totals()
    own = {
        "concepts": CONCEPTS,
        "categories": CATEGORIES,
        "protocol": get_protocol("paper", detector_iou=0.2),
        "thresholds": np.ones(units),
        "intersection": sums[0],
        "unit_area": sums[1],
        "label_area": sums[2],
        "pixels": 100 * images,
        "top_images": np.zeros((units, 0), int),
        "top_values": np.zeros((units, 0)),
        "images": counts,
    }
    return Dissection(**(own | fields))


def random_dissection(seed=0, images=12, units=4) -> Dissection:
    rng = np.random.default_rng(seed)
    label_area = rng.integers(0, 60, (images, 3)) * (rng.random((images, 3)) < 0.6)
    area = rng.integers(0, 30, (images, units, 2))
    area[:, -1] = 0  # the last unit has no mask
    most = np.minimum(area[:, :, [0, 1, 1]], label_area[:, None])
    return dissected(rng.integers(0, most + 1), area, label_area)


def test_intervals_are_those_of_resamples_counted_image_by_image(monkeypatch):
    result, drawn = random_dissection(), []
    weights = significance._weights

    def noted(*arguments):
        for some in weights(*arguments):
            drawn.extend(some)
            yield some

    monkeypatch.setattr(significance, "_weights", noted)
    table = significance.bootstrap(result, samples=70, seed=3)
    assert len(drawn) == 70
    expected = {statistic: [] for statistic in table["statistic"]}
    counts = result.images
    best = result.best()["concept"]
    for own in drawn:
        assert own.sum() == 12
        rows = np.repeat(np.arange(12), own)
        again = dissected(
            counts.intersection.toarray()[rows].reshape(12, 4, 3),
            counts.unit_area.toarray()[rows].reshape(12, 4, 2),
            counts.label_area.toarray()[rows],
        )
        expected["unique_detectors"].append(again.unique_detectors())
        expected["detectors"].append(again.sweep([0.2])["detectors"][0])
        for category, number in again.by_category().items():
            expected[f"unique_detectors/{category}"].append(number)
        for unit in range(4):
            column = np.flatnonzero(CONCEPTS["name"] == best[unit])
            expected[f"iou/unit {unit}"].append(again.iou[unit, column[0]] if best[unit] else 0)
    for statistic, low, high in table[["statistic", "low", "high"]].itertuples(index=False):
        assert (low, high) == tuple(np.quantile(expected[statistic], [0.025, 0.975])), statistic
    values = dict(zip(table["statistic"], table["value"], strict=True))
    assert values["unique_detectors"] == result.unique_detectors() > 0
    assert values["detectors"] == result.sweep([0.2])["detectors"][0]
    assert values["unique_detectors/object"] == result.by_category()["object"]
    assert [values[f"iou/unit {unit}"] for unit in range(4)] == result.best()["iou"].tolist()
    assert table.iloc[-1].tolist() == ["iou/unit 3", 0, 0, 0]
    assert table.columns.tolist() == ["statistic", "value", "low", "high"]


def test_images_that_are_all_alike_leave_no_doubt():
    one = np.array([[[10, 0, 0], [0, 0, 3]]])
    table = significance.bootstrap(
        dissected(one.repeat(5, 0), np.full((5, 2, 2), 10), np.full((5, 3), 20)), samples=20
    ).set_index("statistic")
    np.testing.assert_array_equal(table["low"], table["high"])
    np.testing.assert_array_equal(table["low"], table["value"])
    assert table.loc["unique_detectors", "value"] == 1
    assert table.loc["iou/unit 0", "value"] == 0.5


def test_the_share_of_a_concept_has_its_binomial_interval():
    """A unit that covers its concept wholly in half of the images: IoU is the share of those drawn."""
    hit = np.arange(100) % 2
    intersection = np.zeros((100, 1, 3), int)
    intersection[:, 0, 0] = 10 * hit
    area = np.repeat(intersection[:, :, :1], 2, axis=2)
    label_area = np.tile([10, 0, 0], (100, 1))
    table = significance.bootstrap(dissected(intersection, area, label_area), samples=4000).set_index("statistic")
    low, high = table.loc["iou/unit 0", ["low", "high"]]
    assert table.loc["iou/unit 0", "value"] == 0.5
    # 1.96 √(½ · ½ / 100) = 0.098; the share is in steps of 0.01
    assert abs(low - 0.402) < 0.011
    assert abs(high - 0.598) < 0.011


def test_the_seed_decides():
    result = random_dissection()
    first, again, other = (significance.bootstrap(result, samples=30, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    pd.testing.assert_frame_equal(first, result.bootstrap(samples=30, seed=1))


def test_the_score_sums_layers_over_the_same_resamples():
    """Twice the same layer: all that is drawn is drawn for both, so that the score is twice as much in each."""
    result, other = random_dissection(), random_dissection(1)
    alone = result.bootstrap(samples=50).set_index("statistic").loc["unique_detectors"]
    table = significance.bootstrap_score({"conv1": result, "conv2": result}, samples=50).set_index("statistic")
    assert table.index.tolist() == ["interpretability_score", "conv1/unique_detectors", "conv2/unique_detectors"]
    assert table.loc["interpretability_score"].tolist() == (2 * alone).tolist()
    assert table.loc["conv2/unique_detectors"].tolist() == alone.tolist()
    score = significance.bootstrap_score({"conv1": result, "conv2": other}, samples=50).loc[0, "value"]
    assert score == result.unique_detectors() + other.unique_detectors()


def test_what_has_no_intervals_is_refused():
    result, fewer = random_dissection(), random_dissection(images=11)
    with pytest.raises(ValueError, match=r"images: .* were not kept; expected dissect\(…, keep_images=True\)"):
        significance.bootstrap(dataclasses.replace(result, images=None))
    with pytest.raises(ValueError, match="layer 'b': other images than layer 'a'"):
        significance.bootstrap_score({"a": result, "b": fewer})
    with pytest.raises(ValueError, match="results: there is no layer"):
        significance.bootstrap_score({})
    with pytest.raises(ValueError, match="samples = 0: expected a whole number of 1 or more"):
        significance.bootstrap(result, samples=0)
