"""Proximal operators of every kind of grouping, under transformations, and what they refuse."""

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpjax import regularizers as reg

INF = np.inf
KERNEL = jnp.asarray(np.random.default_rng(0).normal(size=(2, 2, 3, 8)), jnp.float32)
G2 = reg.Grouping(num_groups=2)


@pytest.mark.parametrize(
    ("p", "q"), [(2, 1), (1, INF), *(pytest.param(p, q, marks=pytest.mark.long) for p, q in ((INF, 1), (2, 3)))]
)
def test_other_orders_are_a_permutation_away(p, q):
    def prox(kernel, grouping):
        return np.asarray(reg.prox_block_norm(kernel, 1.5, grouping, p=p, q=q))

    strided = reg.Grouping(num_groups=2, order="strided")
    order = np.array([0, 2, 4, 6, 1, 3, 5, 7])
    expected = prox(KERNEL[..., order], G2)[..., np.argsort(order)]
    np.testing.assert_allclose(prox(KERNEL, strided), expected, rtol=1e-5, atol=1e-6)
    indices = reg.Grouping(indices=[[7, 0, 3], [2, 5, 1]])
    order = np.array([7, 0, 3, 2, 5, 1])
    expected = np.asarray(KERNEL).copy()  # 4 and 6 are free
    expected[..., order] = prox(KERNEL[..., order], G2)
    np.testing.assert_allclose(prox(KERNEL, indices), expected, rtol=1e-5, atol=1e-6)
    inputs = reg.Grouping(num_groups=2, axis="inputs")  # of three inputs, the last is free
    expected = prox(jnp.swapaxes(KERNEL, -1, -2), G2).swapaxes(-1, -2)
    np.testing.assert_allclose(prox(KERNEL, inputs), expected, rtol=1e-5, atol=1e-6)


def test_free_filters_stay_as_they_are():
    found = reg.prox_block_norm(KERNEL, 1e9, reg.Grouping(num_groups=3))
    np.testing.assert_array_equal(found[..., 6:], KERNEL[..., 6:])
    assert not found[..., :6].any()
    assert not reg.prox_block_norm(KERNEL, 1e9, reg.Grouping(num_groups=3, remainder="last")).any()


def test_group_weights_and_strengths_of_each_group_multiply():
    last = reg.Grouping(num_groups=3, remainder="last")
    weighted = reg.Grouping(num_groups=3, remainder="last", weights="sqrt_size")
    factors = jnp.sqrt(12 * jnp.array([2.0, 2.0, 4.0]))  # twelve weights a filter
    for p in (1, 2, 4, INF):
        found = reg.prox_block_norm(KERNEL, 0.1, weighted, p=p)
        np.testing.assert_allclose(found, reg.prox_block_norm(KERNEL, 0.1 * factors, last, p=p), rtol=1e-6)
    alike = reg.Grouping(num_groups=2, weights="sqrt_size")
    found = reg.prox_block_norm(KERNEL, 0.1, alike, p=2, q=3)
    np.testing.assert_allclose(found, reg.prox_block_norm(KERNEL, 0.1 * np.sqrt(48), G2, p=2, q=3), rtol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_shape_and_dtype_are_kept(dtype):
    found = reg.prox_block_norm(KERNEL.astype(dtype), 0.5, G2)
    assert (found.shape, found.dtype) == (KERNEL.shape, dtype)
    exact = reg.prox_block_norm(KERNEL.astype(dtype).astype(jnp.float32), 0.5, G2)
    np.testing.assert_array_equal(found, exact.astype(dtype))


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (2, 1),
        (1, INF),
        *(pytest.param(p, q, marks=pytest.mark.long) for p, q in ((INF, 1), (1.5, 1), (2, INF), (3, 3))),
    ],
)
def test_works_in_jit_and_vmap(p, q):
    prox = lambda kernel, strength: reg.prox_block_norm(kernel, strength, G2, p=p, q=q)  # noqa: E731
    kernels, strengths = jnp.stack([KERNEL, 3 * KERNEL, 0 * KERNEL]), jnp.array([0.3, 2.0, 0.1])
    found = jax.jit(jax.vmap(prox))(kernels, strengths)
    for each, kernel, strength in zip(found, kernels, strengths, strict=True):
        np.testing.assert_allclose(each, prox(kernel, strength), rtol=2e-5, atol=1e-6)


kernels = hnp.arrays(np.float32, (3, 6), elements=st.floats(-8, 8, width=32))
pairs = st.sampled_from([(1, 1), (2, 1), (2, 2), (INF, 1), (2, INF), (INF, INF), (1, INF), (2, 1.5), (4, 1), (1.5, 1)])


@settings(max_examples=100, deadline=None)
@given(x=kernels, y=kernels, pq=pairs, strength=st.floats(0, 20, width=32))
def test_is_nonexpansive(x, y, pq, strength):
    p, q = pq
    grouping = reg.Grouping(num_groups=3)
    first, second = (
        np.asarray(reg.prox_block_norm(jnp.asarray(w), jnp.float32(strength), grouping, p=p, q=q)) for w in (x, y)
    )
    assert np.linalg.norm(first - second) <= np.linalg.norm(x - y) * (1 + 1e-5) + 1e-5
    assert np.linalg.norm(first) <= np.linalg.norm(x) * (1 + 1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": 4, "q": 2}, r"p = 4, q = 2, form = 'norm': no proximal operator; expected form norm with q = 1"),
        ({"p": 2, "q": 1, "form": "half_squared"}, "no proximal operator"),
        ({"strength": -0.1}, "strength = -0.1: expected 0 or more"),
        ({"strength": float("nan")}, "strength = nan: expected 0 or more"),
        ({"strength": jnp.ones(3)}, "strength of each group: 3 strengths; expected one number, or 2"),
        ({"strength": jnp.ones(2), "q": 2}, "strength of each group: expected q = 1"),
        (
            {"grouping": reg.Grouping(num_groups=3, remainder="last", weights="sqrt_size"), "q": 2},
            "weights = 'sqrt_size' with q = 2",
        ),
        ({"grouping": reg.Grouping(num_groups=9)}, "num_groups = 9: the layer has only 8 filters"),
        ({"p": 0.5}, "p = 0.5: expected 1 <= p <= inf"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        reg.prox_block_norm(**({"kernel": KERNEL, "strength": 0.1, "grouping": G2} | arguments))
