"""Weight decay."""

import jax
import jax.numpy as jnp
import numpy as np

from interpjax import regularizers as reg

PARAMS = {"conv": {"kernel": jnp.full((1, 1, 2, 3), 2.0), "bias": jnp.array([3.0])}, "fc": {"kernel": jnp.ones((4, 1))}}


def test_gradient_is_the_parameter_itself():
    gradient = jax.grad(reg.weight_decay_penalty)(PARAMS)
    jax.tree.map(np.testing.assert_array_equal, gradient, PARAMS)


def test_include_leaves_the_convolutions_out():
    value = reg.weight_decay_penalty(PARAMS, include=lambda *at: not reg.is_convolution_kernel(*at))
    assert value == 0.5 * (9 + 4)


def test_equals_the_squared_block_norm_of_one_exponent():
    kernel = PARAMS["conv"]["kernel"]
    norm = reg.block_norm(kernel, reg.Grouping(num_groups=3), p=2, q=2)
    np.testing.assert_allclose(norm**2 / 2, reg.weight_decay_penalty(kernel), rtol=1e-6)
