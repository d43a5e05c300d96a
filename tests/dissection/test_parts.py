"""The parts of dissection, each against brute force."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpjax.dissection import passes, scoring, tally
from interpjax.dissection.protocol import get_protocol
from interpjax.dissection.thresholds import TopQuantile
from interpjax.dissection.top_images import TopImages
from interpjax.dissection.upsampling import upsample_bilinear


@settings(max_examples=60, deadline=None)
@given(
    values=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 400), st.integers(1, 3)), elements=st.floats(-5, 5, width=32)
    ),
    quantile=st.sampled_from([0.005, 0.1, 0.5, 0.9]),
    parts=st.integers(1, 7),
    spare=st.integers(0, 50),
)
def test_quantile_equals_a_full_sort(values, quantile, parts, spare):
    stream = TopQuantile(quantile, len(values) + spare, values.shape[1])
    for part in np.array_split(values, parts):
        stream.update(part)
    np.testing.assert_array_equal(stream.result(), np.quantile(values.astype(np.float64), 1 - quantile, axis=0))


def test_quantile_of_a_long_stream_keeps_only_the_top():
    values = np.random.default_rng(0).normal(size=(60_000, 4)).astype(np.float32)
    stream = TopQuantile(0.005, len(values), 4)
    for part in np.array_split(values, 60):
        stream.update(part)
    np.testing.assert_array_equal(stream.result(), np.quantile(values.astype(np.float64), 0.995, axis=0))
    assert len(stream._top) < 0.006 * len(values)


def test_quantile_refuses_no_values_and_too_many():
    stream = TopQuantile(0.005, 3, 1)
    with pytest.raises(ValueError, match="no activations came"):
        stream.result()
    with pytest.raises(ValueError, match="4 rows came, at most 3"):
        stream.update(np.zeros((4, 1), np.float32))


def pixelwise_bilinear(grid, height, width):
    """Each pixel for itself, from the definition: half-pixel centres, coordinates clamped to the grid."""
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            v = min(max((y + 0.5) * grid.shape[0] / height - 0.5, 0), grid.shape[0] - 1)
            u = min(max((x + 0.5) * grid.shape[1] / width - 0.5, 0), grid.shape[1] - 1)
            for i in range(grid.shape[0]):
                for j in range(grid.shape[1]):
                    result[y, x] += max(0, 1 - abs(v - i)) * max(0, 1 - abs(u - j)) * grid[i, j]
    return result


@pytest.mark.parametrize(
    ("source", "target"), [((3, 5), (7, 11)), ((4, 4), (4, 4)), ((1, 2), (5, 4)), ((6, 6), (4, 3))]
)
def test_upsampling_equals_the_definition(source, target):
    grid = np.random.default_rng(1).normal(size=source)
    np.testing.assert_allclose(upsample_bilinear(grid[None], *target)[0], pixelwise_bilinear(grid, *target), atol=1e-12)


def test_upsampling_keeps_plateaus_exactly():
    plateau = np.full((1, 5, 5), 0.1, np.float32)
    assert (upsample_bilinear(plateau, 17, 17) == np.float64(np.float32(0.1))).all()


def test_counts_equal_brute_force():
    rng = np.random.default_rng(2)
    maps = rng.normal(size=(6, 4, 4, 3)).astype(np.float32)
    channels = [[rng.integers(0, 4, (9, 9)), rng.integers(0, 4, (9, 9)), int(rng.integers(0, 5))] for _ in range(6)]
    channels[5] = [np.zeros((9, 9), int), 4]  # an image with a label of one category only
    numbers, category_of = np.array([1, 2, 4]), np.array([0, 0, 1])  # label 3 is no concept
    records = [type("Record", (), {"labels": lambda _, c=c: {"any": c}, "label_shape": (9, 9)})() for c in channels]
    thresholds = np.quantile(maps.astype(np.float64), 0.8, axis=(0, 1, 2))
    batches = lambda: iter([(np.arange(6), {"layer": maps})])  # noqa: E731
    columns = passes.ConceptColumns(numbers, category_of, 2)
    labels, units = passes.count(batches, records, columns, {"layer": thresholds})
    intersection, areas, truth = np.zeros((3, 3), int), np.zeros((3, 3), int), np.zeros(3, int)
    for image in range(6):
        planes = [np.any([np.broadcast_to(c, (9, 9)) == n for c in channels[image]], axis=0) for n in numbers]
        for column, plane in enumerate(planes):
            truth[column] += plane.sum()
            counts = any(p.any() for other, p in enumerate(planes) if category_of[other] == category_of[column])
            for unit in range(3):
                mask = pixelwise_bilinear(maps[image, :, :, unit].astype(np.float64), 9, 9) > thresholds[unit]
                intersection[unit, column] += (mask & plane).sum()
                areas[unit, column] += mask.sum() * counts
    np.testing.assert_array_equal(labels.label_area, truth)
    np.testing.assert_array_equal(units["layer"].intersection, intersection)
    np.testing.assert_array_equal(units["layer"].area_by_category[:, category_of], areas)
    expected = intersection / np.maximum(areas + truth - intersection, 1)
    np.testing.assert_allclose(tally.iou(units["layer"].intersection, areas, labels.label_area), expected)


def test_activations_that_are_not_finite_are_refused():
    maps = np.zeros((1, 2, 2, 1), np.float32)
    maps[0, 1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="layer conv1: an activation is not finite"):
        passes.find_thresholds(lambda: iter([(np.arange(1), {"conv1": maps})]), 0.005, 1, 1)


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


def test_top_images_are_the_largest_of_the_stream():
    values = np.random.default_rng(3).normal(size=(50, 4))
    top = TopImages(5, 4)
    for part in np.array_split(np.arange(50), 9):
        top.update(part, values[part])
    np.testing.assert_array_equal(top.numbers, np.argsort(-values, axis=0)[:5].T)


def test_protocol_fields_can_be_overridden_and_are_checked():
    assert get_protocol("paper", top_quantile=0.01).top_quantile == 0.01
    for fields, message in [
        ({"top_quantile": 1.5}, "protocol.top_quantile = 1.5: must lie between 0 and 1"),
        ({"tap": "middle"}, "protocol.tap = 'middle': choose one of pre, post"),
        ({"quantile": 0.1}, "protocol.quantile: no such field"),
    ]:
        with pytest.raises(ValueError, match=message):
            get_protocol("paper", **fields)
    with pytest.raises(ValueError, match="protocol = 'caffee': choose one of paper"):
        get_protocol("caffee")
