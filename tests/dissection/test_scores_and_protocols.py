"""Scores and protocols: what is counted, by which convention, and what is refused."""

import numpy as np
import pytest

from interpjax.dissection import scoring
from interpjax.dissection.protocol import PROTOCOLS, get_protocol

IOU = np.array([[0.04, 0.01, 0.2], [0.03, 0.05, 0.05], [0.0, 0.0, 0.0], [0.039, 0.0, 0.2]])


def test_best_concept_is_the_first_of_equals_and_none_without_overlap():
    column, score = scoring.best_concepts(IOU)
    assert column.tolist() == [2, 1, -1, 2]
    assert score.tolist() == [0.2, 0.05, 0.0, 0.2]


def test_conventions_differ_in_what_they_count():
    category_of = np.array([0, 0, 1])
    detected = lambda convention: scoring.detected_concepts(  # noqa: E731
        IOU, category_of, threshold=0.04, convention=convention
    ).tolist()
    assert detected("best-label") == [1, 2]
    # Unit 0's best of category 0 is column 0, at exactly the cut: this convention wants more than it.
    assert detected("per-category") == [1, 2]
    assert scoring.detected_concepts(IOU, category_of, threshold=0.0399, convention="per-category").tolist() == [
        0,
        1,
        2,
    ]
    with pytest.raises(ValueError, match="convention = 'other': choose one of best-label, per-category"):
        detected("other")


def test_no_iou_exceeds_its_ceiling():
    ceilings = scoring.ceilings(np.array([100, 5, 0]), 1000, 0.05)
    np.testing.assert_allclose(ceilings, [0.5, 1, 0])


def test_protocols_say_how_they_differ_from_the_paper():
    assert PROTOCOLS["paper"].differences() == {}
    assert PROTOCOLS["paper"].describe() == "paper: the paper's definition"
    caffe = PROTOCOLS["caffe"].differences()
    assert caffe == {
        "top_quantile": (1 - 994 / 999, 0.005),
        "threshold_dtype": ("float32", "float64"),
        "upsampling": ("fieldmap", "bilinear"),
    }
    assert set(PROTOCOLS["all-pixels"].differences()) == {"unit_area"}
    assert PROTOCOLS["lite"].differences().keys() ^ PROTOCOLS["cgl"].differences().keys() == {"categories", "tap"}
    assert "upsampling = 'pil-bicubic' (paper: 'bilinear')" in PROTOCOLS["cgl"].describe()
    mine = get_protocol("cgl", upsampling="bilinear", categories=["color"])
    assert mine.name == "cgl"
    assert mine.differences()["categories"] == (("color",), None)


def test_protocol_fields_can_be_overridden_and_are_checked():
    assert get_protocol("paper", top_quantile=0.01).top_quantile == 0.01
    for fields, message in [
        ({"top_quantile": 1.5}, "protocol.top_quantile = 1.5: must lie between 0 and 1"),
        ({"tap": "middle"}, "protocol.tap = 'middle': choose one of pre, post"),
        ({"quantile": 0.1}, "protocol.quantile: no such field"),
        ({"upsampling": "nearest"}, "protocol.upsampling = 'nearest': choose one of bilinear, fieldmap"),
        ({"unit_area": "some"}, "protocol.unit_area = 'some': choose one of category, touched, all"),
        ({"categories": ()}, "protocol.categories = \\(\\): name one at least"),
    ]:
        with pytest.raises(ValueError, match=message):
            get_protocol("paper", **fields)
    with pytest.raises(ValueError, match="protocol = 'caffee': choose one of paper"):
        get_protocol("caffee")
