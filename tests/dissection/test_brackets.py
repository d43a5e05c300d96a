"""Quantiles by brackets that close in, against a full sort: right, or said to be outside."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpjax.dissection import brackets
from interpjax.dissection.brackets import Bracket

VALUES = st.one_of(st.sampled_from([0.0, 0.0, 0.0, 1.0, 6.0]), st.floats(-2, 6, width=32, allow_subnormal=False))


def stream(values, share, opening, size, images=None):
    """A bracket that has seen images [n, positions, units], as the pass does it."""
    own = Bracket(share, images or len(values), values.shape[1], values.shape[2], values.dtype)
    own.open(values[:opening])
    for start in range(0, len(values), size):
        part = values[start : start + size]
        image, _, unit = np.nonzero(part > own.over)
        own.add(len(part), part.min(axis=(0, 1)), image, unit, part[part > own.over])
        own.narrow()
    return own


@settings(max_examples=80, deadline=None)
@given(
    values=hnp.arrays(np.float32, st.tuples(st.integers(2, 40), st.integers(1, 9), st.just(2)), elements=VALUES),
    share=st.sampled_from([0.005, 0.04, 0.3]),
    z=st.sampled_from([0.0, 1.0, 4.0]),
    opening=st.integers(2, 40),
    size=st.integers(1, 7),
)
def test_what_is_found_inside_equals_a_full_sort(values, share, z, opening, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brackets, "Z", z)
        patch.setattr(brackets, "GROWTH", 1.1)
        whole = stream(values, share, opening, size)
        found = whole.found()
        halves = [stream(part, share, opening, size, images=len(values)) for part in np.array_split(values, 2)]
        joined = Bracket.joined([half.state() for half in halves]).found()
        again = Bracket(share, len(values), values.shape[1], 2, values.dtype)
        again.restore(whole.state())
    expected = np.quantile(values.reshape(-1, 2).astype(np.float64), 1 - share, axis=0)
    for own in (found, joined, again.found()):
        np.testing.assert_array_equal(own.values[~own.outside], expected[~own.outside])
    if opening >= len(values):
        assert not found.outside.any()


def test_few_values_are_kept_of_a_long_stream_and_it_stays_inside():
    rng = np.random.default_rng(0)
    shares = rng.gamma(1.0, 0.4, size=(4000, 1, 8))  # images differ
    values = (rng.normal(size=(4000, 50, 8)) + shares).astype(np.float32)
    largest = []
    own = Bracket(0.005, 4000, 50, 8, np.dtype(np.float32))
    own.open(values[:256])
    for start in range(0, 4000, 32):
        part = values[start : start + 32]
        image, _, unit = np.nonzero(part > own.over)
        own.add(len(part), part.min(axis=(0, 1)), image, unit, part[part > own.over])
        own.narrow()
        largest.append(own.nbytes)
    found = own.found()
    assert not found.outside.any()
    np.testing.assert_array_equal(found.values, np.quantile(values.reshape(-1, 8).astype(np.float64), 0.995, axis=0))
    half_a_percent = 0.005 * values.size * 8  # a value and its unit
    assert max(largest) < 0.5 * half_a_percent


def test_a_plateau_is_counted_and_not_kept():
    """Nearly all values are 6, as of a unit that saturates; and nearly all 0, as of one that is hardly ever active."""
    values = np.zeros((300, 40, 2), np.float32)
    values[..., 0] = 6
    values[::50, 0, 0], values[::50, 0, 1] = 5, 1
    own = stream(values, 0.005, 100, 10)
    assert own.found().values.tolist() == [6, 0]
    assert not own.found().outside.any()
    assert own.nbytes < 1000


def test_nothing_that_came_is_an_error():
    with pytest.raises(ValueError, match="no activations came: expected at least one image"):
        Bracket(0.005, 10, 4, 2, np.dtype(np.float32)).found()
