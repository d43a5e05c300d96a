"""What a dissection found, as an object: how it shows, when two are equal, and what its file holds."""

import types

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from interpjax.dissection import Dissection
from interpjax.dissection.group_result import GroupResult
from interpjax.dissection.images import ImageCounts
from interpjax.dissection.protocol import get_protocol


def dissected(**fields) -> Dissection:
    """Three units against two concepts of two categories; the first two are detectors of the first concept."""
    return Dissection(
        **{
            "concepts": pd.DataFrame({"number": [3, 9], "name": ["red-c", "cat"], "category": ["color", "object"]}),
            "categories": ("color", "object"),
            "protocol": get_protocol("lite", top_quantile=0.1),
            "thresholds": np.array([0.5, 0.0, 1.5]),
            "intersection": np.array([[30, 1], [40, 2], [0, 0]]),
            "unit_area": np.array([[60, 50], [70, 60], [10, 0]]),
            "label_area": np.array([100, 20]),
            "pixels": 1000,
            "top_images": np.array([[4, 0], [1, 2], [0, 1]]),
            "top_values": np.array([[2.0, 1.0], [3.0, 1.0], [4.0, 4.0]]),
            "fieldmap": ((0, 0), (16, 16), (8, 8)),
            "preprocessing": {"mean": 0.0, "std": 255.0, "channels": "RGB"},
        }
        | fields
    )


def counts_by_image() -> ImageCounts:
    """Of two images, which together are what :func:`dissected` has."""
    intersection = np.array([[[30, 0], [10, 2], [0, 0]], [[0, 1], [30, 0], [0, 0]]])
    unit_area = np.array([[[40, 50], [20, 30], [5, 0]], [[20, 0], [50, 30], [5, 0]]])
    return ImageCounts(
        numbers=np.array([0, 4]),
        pixels=np.array([500, 500]),
        intersection=sparse.csr_array(intersection.reshape(2, -1)),
        unit_area=sparse.csr_array(unit_area.reshape(2, -1)),
        label_area=sparse.csr_array(np.array([[50, 20], [50, 0]])),
        category_of=np.array([0, 1]),
    )


def one_group(**fields) -> GroupResult:
    """Of the first two units of :func:`dissected`, as if the one covered the other."""
    return GroupResult(
        concepts=dissected().concepts,
        detector_iou=0.04,
        detects=np.array([0, 0, -1]),
        group_of=np.array([0, 0, -1]),
        intersection=np.array([[40, 2]]),
        unit_area=np.array([[70, 60]]),
        label_area=np.array([100, 20]),
        random_of=np.array([[-1, 0, 0]]),
        random_iou=np.array([[0.5]]),
        **fields,
    )


def test_results_say_in_one_line_what_they_are():
    words = "Dissection(3 units, 2 concepts, 1 unique detectors; lite: top_quantile = 0.1 (paper: 0.005); upsampling ="
    assert repr(dissected()).startswith(words)
    assert "\n" not in repr(dissected())
    assert len(repr(dissected())) < 400


def test_measures_follow_their_definitions_and_are_0_where_there_is_nothing():
    result = dissected(label_area=np.array([100, 0]))
    np.testing.assert_array_equal(result.metric("iou"), result.iou)
    np.testing.assert_allclose(result.metric("precision"), [[0.5, 0.02], [4 / 7, 2 / 60], [0, 0]])
    np.testing.assert_allclose(result.metric("recall"), [[0.3, 0], [0.4, 0], [0, 0]])
    np.testing.assert_allclose(result.metric("f1"), [[60 / 160, 2 / 50], [80 / 170, 4 / 60], [0, 0]])
    iou = dissected().iou
    np.testing.assert_allclose(dissected().metric("f1"), 2 * iou / (1 + iou))  # the one is a function of the other


def test_correlations_are_those_that_were_computed(untyped):
    computed = types.SimpleNamespace(pearson=lambda: np.full((3, 2), 0.5), cosine=lambda: np.full((3, 2), 0.25))
    result = dissected(correlation=computed)
    assert (result.metric("pearson") == 0.5).all()
    assert (result.metric("cosine") == 0.25).all()
    with pytest.raises(ValueError, match=r"metric = 'pearson': .* not computed; expected .*correlation=True"):
        dissected().metric("pearson")
    with pytest.raises(ValueError, match=r"metric = 'auc': choose one of iou, f1, precision, recall, pearson, cosine"):
        dissected().metric("auc")


def test_one_cut_is_no_sequence_of_cuts(untyped):
    for cuts in (0.04, "0.04", None):
        with pytest.raises(ValueError, match=rf"thresholds = {cuts!r}: expected a sequence of cuts, as \[0.04, 0.05\]"):
            dissected().sweep(cuts)
    for cut in ("a", float("nan"), True):
        with pytest.raises(ValueError, match=f"threshold = {cut!r}: expected a number, the IoU from which a unit is"):
            dissected().unique_detectors(cut)


def test_results_are_equal_if_their_contents_are():
    assert dissected() == dissected()
    reordered = {"channels": "RGB", "std": 255.0, "mean": 0.0}
    assert dissected() == dissected(preprocessing=reordered)
    for fields in [
        {"thresholds": np.array([0.5, 0.0, 1.25])},
        {"top_images": np.array([[4, 0], [1, 2], [0, 3]])},
        {"pixels": 1001},
        {"fieldmap": None},
        {"preprocessing": {}},
        {"protocol": get_protocol("lite")},
        {"concepts": pd.DataFrame({"number": [3, 9], "name": ["red-c", "dog"], "category": ["color", "object"]})},
        {"images": counts_by_image()},
        {"groups": one_group()},
    ]:
        assert dissected() != dissected(**fields), fields
    assert dissected() != 3


@pytest.mark.parametrize("name", ["result", "result.npz", "result.of.conv5"])
def test_saved_results_are_read_back_from_the_very_name(tmp_path, name):
    whole = dissected(images=counts_by_image(), groups=one_group(relevance=np.array([0.5])))
    for result in (dissected(), dissected(fieldmap=None, preprocessing={}), whole, dissected(groups=one_group())):
        result.save(str(tmp_path / name))
        assert [path.name for path in tmp_path.iterdir()] == [name]
        again = Dissection.load(str(tmp_path / name))
        assert again == result
        assert again.fieldmap == result.fieldmap
        assert again.images == result.images
        assert again.groups == result.groups
        pd.testing.assert_frame_equal(again.concepts, result.concepts)


def test_files_that_are_no_result_are_refused_by_name(tmp_path):
    dissected(images=counts_by_image()).save(tmp_path / "whole.npz")
    dissected().to_csv(tmp_path / "tally.csv")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:1000])
    (tmp_path / "empty.npz").touch()
    np.savez(tmp_path / "foreign.npz", thresholds=np.zeros(3))
    with np.load(tmp_path / "whole.npz") as stored:
        np.savez(tmp_path / "part.npz", **{name: stored[name] for name in stored if name != "images/numbers"})
    np.save(tmp_path / "array.npy", np.zeros(3))
    for name in ("tally.csv", "cut.npz", "empty.npz", "foreign.npz", "part.npz", "array.npy"):
        with pytest.raises(ValueError, match=f"{name}: not a file that Dissection.save wrote, or a damaged one"):
            Dissection.load(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        Dissection.load(tmp_path / "none.npz")
