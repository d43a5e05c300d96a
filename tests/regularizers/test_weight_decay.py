"""Weight decay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

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


def test_with_the_block_norm_every_array_is_penalized_once():
    grouping = reg.Grouping(num_groups=3)
    _, by_layer = reg.block_norm_penalty(PARAMS, grouping)
    assert reg.weight_decay_penalty(PARAMS, exclude=by_layer) == 0.5 * (9 + 4)
    assert reg.weight_decay_penalty(PARAMS, exclude="fc") == 0.5 * (9 + 24)
    with pytest.raises(ValueError, match="exclude: no layer 'conv1'; choose from conv, fc"):
        reg.weight_decay_penalty(PARAMS, exclude=("conv1",))
    state = nnx.state(nnx.Conv(2, 3, (1, 1), rngs=nnx.Rngs(0)), nnx.Param)
    _, by_layer = reg.block_norm_penalty({"a": state}, grouping)
    assert reg.weight_decay_penalty({"a": state}) > 0
    assert reg.weight_decay_penalty({"a": state}, exclude=by_layer) == 0  # the bias starts at 0


def test_of_all_variables_the_parameters_count():
    variables = {"params": PARAMS, "batch_stats": {"bn": {"mean": jnp.ones(3), "var": jnp.ones(3)}}}
    assert reg.weight_decay_penalty(variables) == reg.weight_decay_penalty(PARAMS)
