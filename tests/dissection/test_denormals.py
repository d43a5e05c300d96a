"""Denormal activations are 0 for the host and the device alike, and nothing else is changed."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from interpjax.dissection.denormals import flush_denormals

BITS = {np.float32: np.uint32, np.float64: np.uint64}


def edges(dtype):
    """Numbers on both sides of the smallest normal one, of both signs, and the extremes."""
    limits = np.finfo(dtype)
    below = np.nextafter(limits.tiny, dtype(0))
    positive = np.array([0, limits.smallest_subnormal, below, limits.tiny, 1, limits.max, np.inf], dtype)
    return np.concatenate([positive, -positive])


@pytest.mark.parametrize("dtype", BITS)
def test_numbers_below_the_smallest_normal_one_are_zero_and_no_zero_is_negative(dtype):
    tiny, largest = np.finfo(dtype).tiny, np.finfo(dtype).max
    kept = np.array([0, 0, 0, tiny, 1, largest, np.inf, 0, 0, 0, -tiny, -1, -largest, -np.inf], dtype)
    found = np.asarray(flush_denormals(edges(dtype)))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.view(BITS[dtype]), kept.view(BITS[dtype]))


@pytest.mark.parametrize("dtype", BITS)
def test_all_other_numbers_keep_their_bits(dtype):
    shape = (64,)

    @given(arrays.arrays(BITS[dtype], shape, elements=st.integers(0, np.iinfo(BITS[dtype]).max)))
    def check(bits):
        values = bits.view(dtype)
        # NumPy is asked about the bits: this thread may compute with denormals as XLA does.
        denormal = (bits & np.array(np.inf, dtype).view(BITS[dtype])) == 0
        found, nan = np.asarray(flush_denormals(values)), np.isnan(values)
        np.testing.assert_array_equal(np.isnan(found), nan)
        expected = np.where(denormal, 0, bits)
        np.testing.assert_array_equal(found.view(BITS[dtype])[~nan], expected[~nan])

    check()


@pytest.mark.parametrize("dtype", BITS)
def test_host_and_device_then_compare_alike(dtype):
    """Without it a device takes denormals for 0, and the host does not."""
    with jax.enable_x64(True):
        maps = flush_denormals(edges(dtype))
        on_device = jax.jit(lambda a: a[:, None] > a[None])(maps)
    on_host = np.asarray(maps)[:, None] > np.asarray(maps)[None]
    np.testing.assert_array_equal(on_device, on_host)


def test_other_dtypes_become_float32_where_they_may_be_normal():
    half = np.array([6e-8, -1e-6, 6.1e-5, 0], np.float16)  # three denormals of float16
    np.testing.assert_array_equal(flush_denormals(half), half.astype(np.float32))
    brain = np.array([1e-40, -1e-38, 2e-38, 1], ml_dtypes.bfloat16)
    np.testing.assert_array_equal(flush_denormals(brain), np.where([0, 0, 1, 1], brain.astype(np.float32), 0))
    whole = flush_denormals(jnp.arange(-2, 3))
    assert whole.dtype == jnp.float32
    np.testing.assert_array_equal(whole, [-2, -1, 0, 1, 2])


def test_float64_stays_float64_and_on_its_device_and_jit_may_be_around_it():
    maps = np.array([[1 + 1e-12, 1e-40]])
    np.testing.assert_array_equal(np.asarray(flush_denormals(maps)), maps)
    device = jax.local_devices()[1]
    on_device = jax.device_put(np.float32([1e-40, 2e-38]), device)
    for flush in (flush_denormals, jax.jit(flush_denormals)):
        found = flush(on_device)
        assert found.device == device
        assert found.tolist() == [0, np.float32(2e-38)]
