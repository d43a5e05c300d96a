"""Soft receptive fields against the published code's outputs and the formula."""

import jax.numpy as jnp
import numpy as np
import pytest

from interpjax import regularizers as reg

MAPS = np.random.default_rng(0).normal(size=(3, 4, 5, 6))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_soft_receptive_fields_are_the_published_ones(golden):
    fields = reg.soft_receptive_field(jnp.asarray(golden["activations_nhwc"]), eps=float(golden["std_epsilon"]))
    np.testing.assert_allclose(fields, golden["soft_receptive_field_nhwc"], atol=2e-7)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (2.5, -1.5)])
def test_fields_are_a_sigmoid_of_standardized_maps(scale, shift):
    deviation = MAPS.reshape(-1, 6).std(axis=0, ddof=1) + 5e-3
    fields = reg.soft_receptive_field(jnp.asarray(MAPS, jnp.float32), scale, shift)
    np.testing.assert_allclose(fields, sigmoid(scale * MAPS / deviation + shift), rtol=1e-5)


def test_fields_behind_batch_norm_are_of_its_standardized_input():
    gamma = np.array([1.0, -0.5, 2.0, 0.01, -1.0, 0.3])
    beta = np.array([0.1, 0.2, -0.3, 0.0, 1.0, -0.1])
    output = jnp.asarray(gamma * MAPS + beta, jnp.float32)
    fields = reg.soft_receptive_field(output, 1.5, 0.2, batch_norm_scale=jnp.asarray(gamma, jnp.float32))
    np.testing.assert_allclose(fields, sigmoid(1.5 * (MAPS + beta / gamma) + 0.2), rtol=1e-4, atol=1e-6)
    tiny = reg.soft_receptive_field(output[..., :2], batch_norm_scale=jnp.array([0.0, -1e-9]))
    np.testing.assert_allclose(tiny, sigmoid(np.asarray(output[..., :2]) / [5e-3, -5e-3]), rtol=1e-4, atol=1e-6)


def test_half_precision_maps_have_statistics_in_float32():
    maps = jnp.asarray(100 + MAPS, jnp.bfloat16)
    fields = reg.soft_receptive_field(maps)
    assert fields.dtype == jnp.bfloat16
    expected = reg.soft_receptive_field(maps.astype(jnp.float32))
    np.testing.assert_allclose(fields.astype(np.float32), expected, atol=2**-8)
    assert reg.spatial_loss(fields).dtype == jnp.float32
