"""Scores and protocols: what is counted, by which convention, and what is refused."""

import dataclasses
import json

import numpy as np
import pytest

from interpjax.dissection import Protocol, scoring
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


def test_protocol_fields_can_be_overridden(untyped):
    mine = get_protocol("paper", top_quantile=np.float32(0.25), detector_iou=1, categories=["color"])
    assert (mine.top_quantile, mine.detector_iou, mine.categories) == (0.25, 1.0, ("color",))
    assert json.loads(json.dumps(dataclasses.asdict(mine)))["top_quantile"] == 0.25


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": 5}, "protocol.name = 5: expected a string"),
        ({"top_quantile": 1.5}, "protocol.top_quantile = 1.5: expected a number between 0 and 1"),
        ({"top_quantile": np.nan}, "protocol.top_quantile = nan: expected a number between 0 and 1"),
        ({"top_quantile": "0.01"}, "protocol.top_quantile = '0.01': expected a number"),
        ({"top_quantile": True}, "protocol.top_quantile = True: expected a number"),
        ({"detector_iou": 0}, "protocol.detector_iou = 0.0: expected a number above 0 and at most 1"),
        ({"detector_iou": np.nan}, "protocol.detector_iou = nan: expected a number above 0 and at most 1"),
        ({"detector_iou": "0.04"}, "protocol.detector_iou = '0.04': expected a number"),
        ({"detector_iou": None}, "protocol.detector_iou = None: expected a number"),
        ({"tap": "middle"}, "protocol.tap = 'middle': choose one of pre, post"),
        ({"upsampling": "nearest"}, "protocol.upsampling = 'nearest': choose one of bilinear, fieldmap"),
        ({"unit_area": "some"}, "protocol.unit_area = 'some': choose one of category, touched, all"),
        ({"threshold_dtype": np.float32}, r"protocol.threshold_dtype = <class 'numpy.float32'>: choose one of float64"),
        ({"threshold_dtype": np.dtype("float32")}, r"protocol.threshold_dtype = dtype\('float32'\): choose one of"),
        ({"skip_below": "no"}, "protocol.skip_below = 'no': expected True or False"),
        ({"skip_below": 0}, "protocol.skip_below = 0: expected True or False"),
        ({"categories": ()}, r"protocol.categories = \(\): expected one at least"),
        ({"categories": "object"}, r"protocol.categories = 'object': expected a sequence of names, as \('object',\)"),
        ({"categories": ("object", 3)}, r"protocol.categories = \('object', 3\): expected a sequence of names"),
        ({"categories": {"object"}}, "protocol.categories = {'object'}: expected a sequence of names"),
    ],
)
def test_wrong_protocol_fields_are_refused(untyped, fields, message):
    with pytest.raises(ValueError, match=message):
        Protocol(**fields)


def test_unknown_protocols_and_fields_are_refused(untyped):
    with pytest.raises(ValueError, match=r"protocol.quantile: no such field; there are name, top_quantile"):
        get_protocol("paper", quantile=0.1)
    with pytest.raises(ValueError, match="protocol = 'caffee': choose one of paper"):
        get_protocol("caffee")
    with pytest.raises(ValueError, match=r"protocol = \['lite'\]: choose one of paper"):
        get_protocol(["lite"])
