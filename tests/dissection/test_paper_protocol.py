"""Protocol ``paper`` against the golden outputs on real activations, field by field."""

import numpy as np
import pandas as pd
import pytest

from interpjax import dissection
from interpjax.data import load_broden


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "golden" / "dissect"
    return {
        "input": dict(np.load(folder / "activations.npz")),
        "matrices": dict(np.load(folder / "paper" / "matrices.npz")),
        "best": pd.read_csv(folder / "paper" / "best.csv", keep_default_na=False),
        "header": (folder / "lite" / "six_categories" / "tally.csv").read_text().splitlines()[0],
    }


@pytest.fixture(scope="module")
def result(shared, golden):
    broden = load_broden(shared / "data" / "mini_broden")
    stored = golden["input"]
    return dissection.dissect_arrays({"fire9": stored["activations"]}, broden, images=stored["images"].tolist())[
        "fire9"
    ]


def test_thresholds_and_all_counts_are_equal(result, golden):
    expected, columns = golden["matrices"], result.concepts["number"].to_numpy()
    np.testing.assert_array_equal(result.thresholds, expected["thresholds"])
    np.testing.assert_array_equal(result.intersection, expected["intersection"][:, columns])
    np.testing.assert_array_equal(result.label_area, expected["truth"][columns])
    category_of = expected["label_category"][columns]
    np.testing.assert_array_equal(result.unit_area, expected["activation_by_category"][:, category_of])
    np.testing.assert_array_equal(result.iou, expected["iou"][:, columns])


def test_primary_categories_are_equal(result, golden):
    expected = golden["matrices"]
    names = expected["categories"][expected["label_category"][result.concepts["number"]]]
    assert result.concepts["category"].tolist() == names.tolist()


def test_best_concepts_and_scores_are_equal(result, golden):
    best, expected = result.best(), golden["best"]
    assert best["concept"].tolist() == expected["label"].tolist()
    np.testing.assert_array_equal(best["iou"], expected["score"])
    found = best["iou"] > 0
    assert best["category"][found].tolist() == expected["category"][found].tolist()


def test_unique_detectors_of_both_conventions(result, golden):
    assert (result.best()["iou"] > 0.04).sum() == 37  # as the golden README counts them
    assert result.unique_detectors() == 14
    iou, category_of = golden["matrices"]["iou"], golden["matrices"]["label_category"]
    distinct = 0
    for category in range(len(golden["matrices"]["categories"])):
        columns = [column for column in range(1, iou.shape[1]) if category_of[column] == category]
        best = [max(columns, key=lambda column: (unit[column], -column)) for unit in iou]
        distinct += len({column for unit, column in zip(iou, best, strict=True) if unit[column] > 0.04})
    assert result.unique_detectors(convention="per-category") == distinct


def test_csv_has_the_published_columns_and_order(result, golden, tmp_path):
    result.to_csv(tmp_path / "tally.csv")
    text = (tmp_path / "tally.csv").read_text()
    assert text.splitlines()[0] == golden["header"]
    table = pd.read_csv(tmp_path / "tally.csv", keep_default_na=False)
    assert sorted(table["unit"]) == list(range(1, 65))
    assert table["score"].is_monotonic_decreasing
    row = table.set_index("unit").loc[23]
    assert (row["part-label"], row["object-label"]) == ("wheel", "car")
    unit, wheel = 22, result.concepts["name"].tolist().index("wheel")
    assert row["part-intersect"] == result.intersection[unit, wheel]
    assert row["part-activation"] == result.unit_area[unit, wheel]
    assert row["part-truth"] == result.label_area[wheel]
    assert row["part-iou"] == row["score"] == result.iou[unit, wheel]


def test_order_of_the_images_does_not_matter(shared, golden, result):
    broden, stored = load_broden(shared / "data" / "mini_broden"), golden["input"]
    order = np.random.default_rng(0).permutation(len(stored["images"]))
    images = stored["images"][order].tolist()
    again = dissection.dissect_arrays({"fire9": stored["activations"][order]}, broden, images=images)["fire9"]
    np.testing.assert_array_equal(again.thresholds, result.thresholds)
    np.testing.assert_array_equal(again.intersection, result.intersection)
