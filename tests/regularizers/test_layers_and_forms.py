"""The block norm of whole networks: which layers, which groupings, which form of penalty, which kind of pytree."""

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from interpjax import parallel
from interpjax import regularizers as reg

RNG = np.random.default_rng(0)
G2 = reg.Grouping(num_groups=2)


def array(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


PARAMS = {
    "conv1": {"kernel": array(3, 3, 2, 4), "bias": array(4)},
    "block": {"conv2": {"kernel": array(1, 1, 4, 6)}, "conv3": {"kernel": array(1, 1, 6, 4)}},
    "fc": {"kernel": array(4, 6)},
}


def layers(*args, **kwargs):
    return set(reg.block_norm_penalty(PARAMS, *args, **kwargs)[1])


def test_patterns_choose_layers_and_groupings():
    assert layers(G2) == {"conv1", "block/conv2", "block/conv3"}
    assert layers(G2, layers=("block/*",)) == {"block/conv2", "block/conv3"}
    assert layers(G2, dense=True) == {"conv1", "block/conv2", "block/conv3", "fc"}
    assert layers(G2, layers="block/*") == {"block/conv2", "block/conv3"}
    assert layers(G2, layers=("*/conv2",)) == {"block/conv2"}
    groupings = {"conv1": None, "block/conv2": reg.Grouping(num_groups=3), "block/*": G2}
    assert layers(groupings) == {"block/conv2", "block/conv3"}
    values = reg.block_norm_penalty(PARAMS, groupings)[1]
    for layer, groups in (("conv2", 3), ("conv3", 2)):
        expected = reg.block_norm(PARAMS["block"][layer]["kernel"], reg.Grouping(num_groups=groups))
        np.testing.assert_allclose(values[f"block/{layer}"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"grouping": G2, "layers": ("conv9",)},
            "layers: 'conv9' matches no convolution; choose from block/conv2, ",
        ),
        ({"grouping": {"conv9": G2}, "dense": True}, "grouping: 'conv9' matches no layer; choose from .*, fc"),
        (
            {"grouping": {"*": G2, "fc": G2}},
            "grouping: 'fc' matches no convolution; choose from block/conv2, block/conv3, conv1$",
        ),
        ({"grouping": {"*": None}}, "grouping: all layers are left out; expected a Grouping for one of block/conv2"),
        ({"grouping": G2, "form": "squared"}, "form = 'squared': choose one of norm, power, half_squared"),
        ({"grouping": G2, "form": "power", "q": np.inf}, "expected a finite q"),
        ({"grouping": reg.Grouping(num_groups=5), "layers": ("conv1",)}, "layer conv1: num_groups = 5: .* only 4"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        reg.block_norm_penalty(PARAMS, **arguments)


@pytest.mark.parametrize(("q", "form"), [(1, "power"), (3, "power"), (1, "half_squared"), (3, "half_squared")])
def test_forms_are_functions_of_the_norm(q, form):
    kernel = PARAMS["conv1"]["kernel"]
    value = reg.block_norm_penalty({"c": {"kernel": kernel}}, G2, q=q, form=form)[0]
    norm = float(reg.block_norm(kernel, G2, q=q))
    np.testing.assert_allclose(value, norm**q if form == "power" else norm**2 / 2, rtol=1e-5)
    zero = jax.grad(lambda w: reg.block_norm_penalty({"c": {"kernel": w}}, G2, q=q, form=form)[0])(0 * kernel)
    np.testing.assert_array_equal(zero, 0)


@pytest.mark.long
def test_half_the_squared_norm_of_one_exponent_is_weight_decay_in_plain_sgd():
    grouping, optimizer = reg.Grouping(num_groups=2, remainder="error"), optax.sgd(0.1)
    target = jax.tree.map(jnp.ones_like, PARAMS)

    def block_norm(params):
        return reg.block_norm_penalty(params, grouping, p=2, q=2, form="half_squared", dense=True)[0]

    def decay(params):
        return reg.weight_decay_penalty(params, include=lambda path, leaf: leaf.ndim > 1)

    np.testing.assert_allclose(block_norm(PARAMS), decay(PARAMS), rtol=1e-6)
    ends = []
    for penalty in (block_norm, decay):
        params, memory = PARAMS, optimizer.init(PARAMS)

        def loss(params, penalty=penalty):
            return 0.1 * penalty(params) + optax.tree.norm(jax.tree.map(jnp.subtract, params, target), squared=True)

        for _ in range(20):
            updates, memory = optimizer.update(jax.grad(loss)(params), memory, params)
            params = optax.apply_updates(params, updates)
        ends.append(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), *ends)


def test_all_variables_of_a_network_are_as_good_as_its_parameters():
    variables = {"params": PARAMS, "batch_stats": {"bn": {"mean": array(4)}}}
    groupings = {"conv1": G2, "*": reg.Grouping(num_groups=4)}
    found, expected = (reg.block_norm_penalty(tree, groupings)[1] for tree in (variables, PARAMS))
    assert found == expected


class Network(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.conv1 = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.more = nnx.List([nnx.Conv(4, 6, (1, 1), rngs=rngs)])
        self.fc = nnx.Linear(6, 2, rngs=rngs)


@pytest.mark.long
def test_nnx_state_is_as_good_as_a_dictionary():
    state = nnx.state(Network(), nnx.Param)
    total, values = reg.block_norm_penalty(state, G2)
    assert set(values) == {"conv1", "more/0"}
    expected, _ = reg.block_norm_penalty(nnx.to_pure_dict(state), G2)
    np.testing.assert_allclose(total, expected)
    gradient = nnx.to_pure_dict(jax.grad(lambda s: reg.block_norm_penalty(s, G2)[0])(state))
    assert gradient["conv1"]["kernel"].all()
    assert not gradient["fc"]["kernel"].any()
    optimizer = reg.proximal_block_norm(1.0, 1e6, G2, layers=("conv1",), optimizer=optax.sgd(1.0))
    updates, _ = optimizer.update(jax.tree.map(jnp.zeros_like, state), optimizer.init(state), state)
    params = nnx.to_pure_dict(optax.apply_updates(state, updates))
    assert not params["conv1"]["kernel"].any()
    assert params["more"][0]["kernel"].all()


def dual_exponent(p):
    return np.inf if p == 1 else 1.0 if np.isinf(p) else p / (p - 1)


exponents = st.sampled_from([1.0, 4 / 3, 2.0, 5.0, np.inf])
kernels = hnp.arrays(np.float32, (2, 3, 6), elements=st.floats(-8, 8, width=32))


@settings(max_examples=60, deadline=None)
@given(x=kernels, y=kernels, p=exponents, q=exponents)
def test_the_dual_norm_bounds_the_product(x, y, p, q):
    grouping = reg.Grouping(num_groups=3)
    norm = reg.block_norm(jnp.asarray(x), grouping, p=p, q=q)
    dual = reg.block_norm(jnp.asarray(y), grouping, p=dual_exponent(p), q=dual_exponent(q))
    assert np.vdot(x.astype(np.float64), y) <= float(norm) * float(dual) * (1 + 1e-5) + 1e-5


def test_group_weights_multiply_the_norms():
    kernel = array(2, 2, 3, 7)
    grouping = reg.Grouping(num_groups=2, remainder="last", weights="sqrt_size")
    norms = np.asarray(reg.group_norms(kernel, grouping))  # of 3 and of 4 filters, as they are
    np.testing.assert_allclose(norms, [np.linalg.norm(kernel[..., :3]), np.linalg.norm(kernel[..., 3:])], rtol=1e-6)
    expected = np.hypot(norms[0] * np.sqrt(3 * 12), norms[1] * np.sqrt(4 * 12))
    np.testing.assert_allclose(reg.block_norm(kernel, grouping, q=2), expected, rtol=1e-6)


def test_gradient_on_every_device_is_that_of_one():
    kernel = array(3, 3, 2, 4)
    gradient = jax.grad(lambda w: reg.block_norm(w, G2, p=4, q=1.5))
    on_all = parallel.parallelize(lambda w: parallel.mean(gradient(w)))(parallel.replicate(kernel))
    for each in np.asarray(on_all):
        np.testing.assert_allclose(each, gradient(kernel), rtol=1e-5, atol=1e-7)
