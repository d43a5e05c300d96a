"""The exclusive lasso: a loop written out, numeric differences, and zero weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interpjax import regularizers as reg

KERNEL = np.random.default_rng(0).normal(size=(2, 2, 3, 7))
GROUPINGS = [
    (reg.Grouping(num_groups=3), [[0, 1], [2, 3], [4, 5]]),
    (reg.Grouping(num_groups=3, remainder="last"), [[0, 1], [2, 3], [4, 5, 6]]),
    (reg.Grouping(num_groups=3, order="strided"), [[0, 3], [1, 4], [2, 5]]),
    (reg.Grouping(indices=[[6, 0, 2], [3]]), [[6, 0, 2], [3]]),
]


def lasso(kernel):
    return reg.exclusive_lasso(kernel, GROUPINGS[1][0])


@pytest.mark.parametrize(("grouping", "groups"), GROUPINGS)
def test_exclusive_lasso_matches_a_loop_over_groups(grouping, groups):
    expected = sum(np.abs(KERNEL[..., group]).sum() ** 2 for group in groups) / 2
    np.testing.assert_allclose(reg.exclusive_lasso(jnp.asarray(KERNEL, jnp.float32), grouping), expected, rtol=1e-6)


def test_gradients_match_numeric_differences():
    with jax.enable_x64(True):
        penalty, kernel = jax.jit(lasso), jnp.asarray(KERNEL)
        gradient = np.asarray(jax.grad(penalty)(kernel))
        for place in [(0, 0, 0, 0), (1, 0, 2, 3), (1, 1, 1, 6)]:
            numeric = (penalty(kernel.at[place].add(1e-5)) - penalty(kernel.at[place].add(-1e-5))) / 2e-5
            np.testing.assert_allclose(gradient[place], numeric, rtol=1e-6)


def test_zero_weights_have_a_zero_gradient():
    value, gradient = jax.value_and_grad(lasso)(jnp.zeros(KERNEL.shape))
    np.testing.assert_allclose(value, 0, rtol=1e-6)
    np.testing.assert_array_equal(gradient, 0)


def test_half_precision_is_summed_in_float32():
    kernel = jnp.asarray(KERNEL, jnp.bfloat16)
    value = lasso(kernel)
    assert value.dtype == jnp.float32
    assert value == lasso(kernel.astype(jnp.float32))
