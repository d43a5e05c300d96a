"""What a dissection found, as an object: how it shows, when two are equal, and what its file holds."""

import numpy as np
import pandas as pd
import pytest

from interpjax.dissection import Dissection
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


def test_results_say_in_one_line_what_they_are():
    words = "Dissection(3 units, 2 concepts, 1 unique detectors; lite: top_quantile = 0.1 (paper: 0.005); upsampling ="
    assert repr(dissected()).startswith(words)
    assert "\n" not in repr(dissected())
    assert len(repr(dissected())) < 400


def test_one_cut_is_no_sequence_of_cuts(untyped):
    with pytest.raises(ValueError, match=r"thresholds = 0\.04: expected a sequence of cuts, as \[0.04\]"):
        dissected().sweep(0.04)


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
    ]:
        assert dissected() != dissected(**fields), fields
    assert dissected() != 3


@pytest.mark.parametrize("name", ["result", "result.npz", "result.of.conv5"])
def test_saved_results_are_read_back_from_the_very_name(tmp_path, name):
    for result in (dissected(), dissected(fieldmap=None, preprocessing={})):
        result.save(str(tmp_path / name))
        assert [path.name for path in tmp_path.iterdir()] == [name]
        again = Dissection.load(str(tmp_path / name))
        assert again == result
        assert again.fieldmap == result.fieldmap
        pd.testing.assert_frame_equal(again.concepts, result.concepts)


def test_files_that_are_no_result_are_refused_by_name(tmp_path):
    dissected().save(tmp_path / "whole.npz")
    dissected().to_csv(tmp_path / "tally.csv")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:1000])
    (tmp_path / "empty.npz").touch()
    np.savez(tmp_path / "foreign.npz", thresholds=np.zeros(3))
    np.save(tmp_path / "array.npy", np.zeros(3))
    for name in ("tally.csv", "cut.npz", "empty.npz", "foreign.npz", "array.npy"):
        with pytest.raises(ValueError, match=f"{name}: not a file that Dissection.save wrote, or a damaged one"):
            Dissection.load(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        Dissection.load(tmp_path / "none.npz")
