"""Soft orthogonality: a loop written out, numeric differences, and the points without a root."""

import jax
import jax.numpy as jnp
import numpy as np

from interpjax import regularizers as reg

KERNEL = np.random.default_rng(0).normal(size=(2, 2, 3, 7))


def test_soft_orthogonality_matches_a_loop_over_pairs_of_filters():
    total = 0.0
    for i in range(7):
        for j in range(7):
            total += ((KERNEL[..., i] * KERNEL[..., j]).sum() - (i == j)) ** 2
    np.testing.assert_allclose(reg.soft_orthogonality(jnp.asarray(KERNEL, jnp.float32)), np.sqrt(total), rtol=1e-6)


def test_soft_orthogonality_is_zero_for_an_orthonormal_set_with_a_finite_gradient():
    kernel = jnp.eye(12, dtype=jnp.float32)[:, :7].reshape(2, 2, 3, 7)
    value, gradient = jax.value_and_grad(reg.soft_orthogonality)(kernel)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)
    rotation = np.linalg.qr(KERNEL.reshape(12, 7))[0].reshape(KERNEL.shape)
    assert reg.soft_orthogonality(jnp.asarray(rotation, jnp.float32)) < 1e-5
    wide = jnp.asarray(KERNEL[:1, :1], jnp.float32)  # seven filters of three weights
    assert reg.soft_orthogonality(wide) >= 2 * (1 - 1e-6)  # at least √(7 − 3)


def test_gradients_match_numeric_differences():
    with jax.enable_x64(True):
        penalty, kernel = jax.jit(reg.soft_orthogonality), jnp.asarray(KERNEL)
        gradient = np.asarray(jax.grad(penalty)(kernel))
        for place in [(0, 0, 0, 0), (1, 0, 2, 3), (1, 1, 1, 6)]:
            numeric = (penalty(kernel.at[place].add(1e-5)) - penalty(kernel.at[place].add(-1e-5))) / 2e-5
            np.testing.assert_allclose(gradient[place], numeric, rtol=1e-6)


def test_zero_weights_have_a_zero_gradient():
    value, gradient = jax.value_and_grad(reg.soft_orthogonality)(jnp.zeros(KERNEL.shape))
    np.testing.assert_allclose(value, np.sqrt(7), rtol=1e-6)
    np.testing.assert_array_equal(gradient, 0)


def test_half_precision_is_summed_in_float32():
    kernel = jnp.asarray(KERNEL, jnp.bfloat16)
    value = reg.soft_orthogonality(kernel)
    assert value.dtype == jnp.float32
    assert value == reg.soft_orthogonality(kernel.astype(jnp.float32))
