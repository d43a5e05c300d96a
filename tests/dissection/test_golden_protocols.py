"""Protocols against the outputs of the published codes on real activations, field by field."""

import jax
import numpy as np
import pandas as pd
import pytest

from interpjax import dissection, parallel
from interpjax.data import load_broden

SIMPLE, CONV5 = ((0, 0), (17, 17), (17, 17)), ((-64, -64), (163, 163), (16, 16))
VARIANTS = {
    "paper": (dissection.get_protocol("paper"), None),
    "lite/six_categories": (dissection.get_protocol("lite", categories=None), None),
    "lite/five_categories": (dissection.get_protocol("lite"), None),
    "caffe/simple_fieldmap": (dissection.get_protocol("caffe"), SIMPLE),
    "caffe/alexnet_conv5_fieldmap": (dissection.get_protocol("caffe"), CONV5),
}
TABLES = {
    "lite/six_categories": "tally.csv",
    "lite/five_categories": "tally.csv",
    "caffe/simple_fieldmap": "result.csv",
    "caffe/alexnet_conv5_fieldmap": "result.csv",
}


@pytest.fixture(scope="module")
def broden(shared):
    return load_broden(shared / "data" / "mini_broden")


@pytest.fixture(scope="module")
def stored(shared):
    return dict(np.load(shared / "golden" / "dissect" / "activations.npz"))


@pytest.fixture(scope="module", autouse=True)
def one_device():
    """Everything is compiled for every device; that their number makes no difference is for test_streaming.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "local_devices", lambda: jax.local_devices()[:1])
        yield


@pytest.fixture(scope="module")
def outputs(shared, broden, stored):
    """Of each variant, what the published code gave and what ours gives with its thresholds."""

    def make(variant):
        protocol, fieldmap = VARIANTS[variant]
        expected = dict(np.load(shared / "golden" / "dissect" / variant / "matrices.npz"))
        primary = "label_category" if "label_category" in expected else "primary_category"
        expected["category_of"] = expected[primary]
        ours = dissection.dissect_arrays(
            {"fire9": stored["activations"]},
            broden,
            images=stored["images"].tolist(),
            protocol=protocol,
            thresholds={"fire9": expected["thresholds"]},
            fieldmaps={"fire9": fieldmap} if fieldmap else None,
        )
        return expected, ours["fire9"]

    return {variant: make(variant) for variant in VARIANTS}


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_counts_are_equal(outputs, variant):
    expected, ours = outputs[variant]
    columns = ours.concepts["number"].to_numpy()
    assert ours.categories == tuple(expected["categories"])
    category_of = expected["category_of"][columns]
    assert ours.concepts["category"].tolist() == expected["categories"][category_of].tolist()
    np.testing.assert_array_equal(ours.intersection, expected["intersection"][:, columns])
    np.testing.assert_array_equal(ours.label_area, expected["truth"][columns])
    np.testing.assert_array_equal(ours.unit_area, expected["activation_by_category"][:, category_of])
    np.testing.assert_allclose(ours.iou, expected["iou"][:, columns], rtol=0, atol=1e-6)
    missing = sorted(set(range(1, len(expected["truth"]))) - set(columns.tolist()))
    assert not expected["intersection"][:, missing].any()  # labels of material alone, where it is left out


@pytest.mark.parametrize("variant", TABLES)
def test_csv_is_equal_field_by_field(outputs, variant, shared, tmp_path):
    outputs[variant][1].to_csv(tmp_path / "tally.csv")
    ours = pd.read_csv(tmp_path / "tally.csv", keep_default_na=False)
    expected = pd.read_csv(shared / "golden" / "dissect" / variant / TABLES[variant], keep_default_na=False)
    assert list(ours.columns) == list(expected.columns)
    assert ours["unit"].tolist() == expected["unit"].tolist()
    for column in ours.columns:
        if column in ("category", "label") or column.endswith("-label"):
            assert ours[column].tolist() == expected[column].tolist(), column
        else:
            np.testing.assert_allclose(ours[column], expected[column], rtol=0, atol=1e-6, err_msg=column)


def test_paper_finds_the_same_thresholds_and_best_concepts(outputs, broden, stored, shared):
    names = stored["images"].tolist()
    ours = dissection.dissect_arrays({"fire9": stored["activations"]}, broden, images=names)["fire9"]
    expected = outputs["paper"][0]
    np.testing.assert_array_equal(ours.thresholds, expected["thresholds"])
    np.testing.assert_array_equal(ours.iou, outputs["paper"][1].iou)
    best = pd.read_csv(shared / "golden" / "dissect" / "paper" / "best.csv", keep_default_na=False)
    assert ours.best()["concept"].tolist() == best["label"].tolist()
    np.testing.assert_array_equal(ours.best()["iou"], best["score"])
    found = best["score"] > 0
    assert ours.best()["category"][found].tolist() == best["category"][found].tolist()
    assert ours.silent_units().tolist() == np.flatnonzero(expected["thresholds"] == 0).tolist()


@pytest.mark.parametrize(
    ("variant", "detectors", "distinct"),
    [
        ("paper", 37, 14),
        ("lite/five_categories", 40, 16),
        ("lite/six_categories", 41, 17),
        ("caffe/simple_fieldmap", 35, 14),
        ("caffe/alexnet_conv5_fieldmap", 39, 17),
    ],
)
def test_detectors_are_as_many_as_published(outputs, variant, detectors, distinct):
    ours = outputs[variant][1]
    assert (ours.best()["iou"] > 0.04).sum() == detectors
    assert ours.unique_detectors() == distinct
    assert ours.sweep([0.04]).iloc[0][["detectors", "unique_detectors"]].tolist() == [detectors, distinct]


@pytest.mark.parametrize("variant", ["paper", "lite/six_categories"])
def test_the_second_convention_counts_each_category_for_itself(outputs, variant):
    expected, ours = outputs[variant]
    iou, category_of = expected["iou"], expected["category_of"]
    distinct = 0
    for category in range(len(expected["categories"])):
        columns = [column for column in range(1, iou.shape[1]) if category_of[column] == category]
        best = [max(columns, key=lambda column: (unit[column], -column)) for unit in iou]
        distinct += len({column for unit, column in zip(iou, best, strict=True) if unit[column] > 0.04})
    assert ours.unique_detectors(convention="per-category") == distinct


@pytest.mark.parametrize("variant", ["lite/six_categories", "caffe/simple_fieldmap"])
def test_published_sketches_are_near_the_exact_rank(outputs, variant, broden, stored):
    """Their thinned sketch of 40,560 values a unit moves a threshold; here by how much, and what it costs."""
    protocol, fieldmap = VARIANTS[variant]
    exact = dissection.dissect_arrays(
        {"fire9": stored["activations"]},
        broden,
        images=stored["images"].tolist(),
        protocol=protocol,
        fieldmaps={"fire9": fieldmap} if fieldmap else None,
    )["fire9"]
    expected, ours = outputs[variant]
    values = stored["activations"].reshape(-1, 64).astype(np.float64)
    full_sort = np.quantile(values, 994 / 999, axis=0)
    rounded = full_sort.astype(np.float32) if protocol.threshold_dtype == "float32" else full_sort
    np.testing.assert_array_equal(exact.thresholds, rounded)
    share = (values > expected["thresholds"]).mean(axis=0)[expected["thresholds"] > 0]
    assert abs(share - 5 / 999).max() < 5e-4  # the sketch's own error in rank
    assert abs(exact.iou - ours.iou).max() < 0.01


def test_order_and_batches_do_not_matter(broden, stored, outputs):
    order = np.random.default_rng(0).permutation(len(stored["images"]))
    images = stored["images"][order].tolist()
    again = dissection.dissect_arrays({"fire9": stored["activations"][order]}, broden, images=images)["fire9"]
    expected = outputs["paper"][0]
    np.testing.assert_array_equal(again.thresholds, expected["thresholds"])
    np.testing.assert_array_equal(again.intersection, outputs["paper"][1].intersection)


def test_fieldmaps_are_made_up_from_the_map_as_published(outputs, broden, stored):
    """Without a field map: stride 224 // 13 = 17, as NetDissect's wrapper for PyTorch has it."""
    expected, _ = outputs["caffe/simple_fieldmap"]
    ours = dissection.dissect_arrays(
        {"fire9": stored["activations"]},
        broden,
        images=stored["images"].tolist(),
        protocol=dissection.get_protocol("caffe"),
        thresholds={"fire9": expected["thresholds"]},
    )["fire9"]
    np.testing.assert_array_equal(ours.intersection, expected["intersection"][:, ours.concepts["number"]])
