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


def test_ceilings_bound_every_iou_and_are_reached_by_masks_that_lie_in_the_concept():
    rng = np.random.default_rng(0)
    masks, concepts = (rng.random((6, 400)) < rng.random((6, 1)) * 0.3 for _ in range(2))
    concepts[4], concepts[5] = False, masks[2]
    shared = np.array([[np.sum(mask & concept) for concept in concepts] for mask in masks])
    unit_area, label_area = np.repeat(masks.sum(axis=1)[:, None], 6, axis=1), concepts.sum(axis=1)
    iou = shared / np.maximum(unit_area + label_area - shared, 1)
    ceilings = scoring.ceilings(unit_area, label_area)
    assert (iou.max(axis=0) <= ceilings).all()
    assert ceilings[4] == 0
    assert ceilings[5] == iou.max(axis=0)[5] == 1
    nested = scoring.ceilings(np.array([[100, 10, 30], [50, 10, 30]]), np.array([200, 100, 3]))
    np.testing.assert_array_equal(nested, [0.5, 0.1, 0.1])


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
