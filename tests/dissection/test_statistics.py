"""Exact quantiles and top images of a stream, in parts and merged, each against a full sort."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpjax.dissection import thresholds
from interpjax.dissection.thresholds import TopImages, TopQuantile


@settings(max_examples=60, deadline=None)
@given(
    values=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 400), st.integers(1, 3)), elements=st.floats(-5, 5, width=32)
    ),
    quantile=st.sampled_from([0.005, 5 / 999, 0.1, 0.5, 0.9]),
    parts=st.integers(1, 7),
    spare=st.integers(0, 50),
    room=st.sampled_from([1, 3, 1024]),
)
def test_quantile_equals_a_full_sort_in_parts_and_merged(values, quantile, parts, spare, room):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thresholds, "LEAST_SPARE", room)  # so that values are dropped even of short streams
        streams = [TopQuantile(quantile, len(values) + spare, values.shape[1]) for _ in range(2)]
        for number, part in enumerate(np.array_split(values, parts)):
            streams[number % 2].update(part)
        streams[0].merge(streams[1].state())
        expected = np.quantile(values.astype(np.float64), 1 - quantile, axis=0)
        np.testing.assert_array_equal(streams[0].result(), expected)
        np.testing.assert_array_equal(
            streams[0].result(quantile / 2), np.quantile(values.astype(np.float64), 1 - quantile / 2, axis=0)
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_quantile_of_a_long_stream_keeps_only_the_top(dtype):
    values = np.random.default_rng(0).normal(size=(600_000, 4)).astype(dtype)
    stream = TopQuantile(0.005, len(values), 4, dtype)
    for part in np.array_split(values, 60):
        stream.update(part)
    np.testing.assert_array_equal(stream.result(), np.quantile(values.astype(np.float64), 0.995, axis=0))
    assert stream.nbytes <= 4 * (0.005 * len(values) + 1 + thresholds.LEAST_SPARE) * values.itemsize
    assert stream.nbytes == stream.state()["negated"].nbytes


def test_a_rectified_unit_that_is_mostly_silent_has_threshold_zero():
    values = np.zeros((1000, 1), np.float32)
    values[:4] = 1
    stream = TopQuantile(0.005, 1000, 1)
    stream.update(values)
    assert stream.result()[0] == 0
    assert not np.signbit(stream.result()[0])


def test_quantile_refuses_no_values_too_many_and_shares_it_did_not_keep():
    stream = TopQuantile(0.005, 3, 1)
    with pytest.raises(ValueError, match="no activations came"):
        stream.result()
    with pytest.raises(ValueError, match="4 rows came, at most 3"):
        stream.update(np.zeros((4, 1), np.float32))
    with pytest.raises(ValueError, match=r"top_quantile = 0.1: expected at most the stream's, 0.005"):
        stream.result(0.1)


def test_top_images_are_the_largest_of_the_stream_and_of_equals_the_first():
    values = np.random.default_rng(3).integers(0, 9, size=(50, 4)).astype(float)
    streams = [TopImages(5, 4) for _ in range(2)]
    for number, part in enumerate(np.array_split(np.arange(50), 9)):
        streams[number % 2].update(part, values[part])
    streams[1].merge(streams[0].state())
    np.testing.assert_array_equal(streams[1].numbers, np.argsort(-values, axis=0, kind="stable")[:5].T)
