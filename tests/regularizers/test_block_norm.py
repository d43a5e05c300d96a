"""The block norm against published outputs, brute force, and what a norm must satisfy."""

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpjax import regularizers as reg

PAIRS = [(1, 1), (2, 1), (2, 2), (2, 1.33), (1.5, 3), (4, 1), (np.inf, 1), (2, np.inf), (1, np.inf), (np.inf, np.inf)]
PAIRS += [(1, 2), (20, 1.1)]
KERNELS = ["one_by_one", "square"]
KERNELS += [pytest.param(kernel, marks=pytest.mark.long) for kernel in ("alexnet_conv1", "alexnet_conv2_small")]


def brute_force(kernel, groups, p, q):
    """In float64, group by group, with plain powers of a rescaled kernel."""
    scale = np.abs(kernel).max() or 1.0
    norms = [np.linalg.norm((kernel[..., group] / scale).ravel().astype(np.float64), p) for group in groups]
    return scale * np.linalg.norm(norms, q)


@pytest.mark.parametrize(("p", "q"), PAIRS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_matches_published_values_and_gradients(shared, kernel, p, q):
    golden = np.load(shared / "golden" / "block_norm.npz")
    weights, name = jnp.asarray(golden[f"{kernel}/kernel_hwio"]), f"{kernel}/G5_p{p:g}_q{q:g}"
    grouping = reg.Grouping(num_groups=5, remainder="free")
    value, gradient = jax.value_and_grad(lambda w: reg.block_norm(w, grouping, p=p, q=q))(weights)
    np.testing.assert_allclose(value, golden[f"{name}/value"], rtol=2e-6)  # float32 sums of up to 2e5 terms
    np.testing.assert_allclose(gradient, golden[f"{name}/grad_hwio"], rtol=2e-5, atol=1e-8)


@pytest.mark.parametrize("remainder", ["free", "last"])
@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_matches_brute_force_with_filters_left_over(p, q, remainder):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 13)).astype(np.float32)
    groups = [range(0, 4), range(4, 8), range(8, 13 if remainder == "last" else 12)]
    grouping = reg.Grouping(num_groups=3, remainder=remainder)
    value = reg.block_norm(jnp.asarray(kernel), grouping, p=p, q=q)
    np.testing.assert_allclose(value, brute_force(kernel, groups, p, q), rtol=1e-6)


@pytest.mark.parametrize("remainder", ["last", pytest.param("free", marks=pytest.mark.long)])
@pytest.mark.parametrize(("p", "q"), [pq for pq in PAIRS if np.isfinite(pq).all()])
def test_gradient_matches_numeric_differences(p, q, remainder):
    with jax.enable_x64(True):
        kernel = jnp.asarray(np.random.default_rng(1).normal(size=(2, 2, 7)))
        grouping = reg.Grouping(num_groups=3, remainder=remainder)

        def norm(flat):
            return reg.block_norm(flat.reshape(kernel.shape), grouping, p=p, q=q)

        flat = kernel.ravel()
        numeric = [(norm(flat + step) - norm(flat - step)) / 2e-6 for step in 1e-6 * jnp.eye(flat.size)]
        np.testing.assert_allclose(jax.grad(norm)(flat), numeric, atol=1e-8)


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_zero_weights_have_zero_gradient(p, q):
    grouping = reg.Grouping(num_groups=2)
    kernel = jnp.concatenate([jnp.zeros((3, 3, 4, 3)), jnp.ones((3, 3, 4, 3))], axis=-1)
    gradient = jax.grad(lambda w: reg.block_norm(w, grouping, p=p, q=q))(kernel)
    assert jnp.isfinite(gradient).all()
    assert not gradient[..., :3].any()
    assert gradient[..., 3:].all()
    assert not jax.grad(lambda w: reg.block_norm(w, grouping, p=p, q=q))(jnp.zeros_like(kernel)).any()


@pytest.mark.parametrize(("p", "q"), PAIRS)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_extreme_scales_keep_value_and_gradient(p, q, scale):
    kernel = jnp.asarray(np.random.default_rng(2).normal(size=(3, 3, 2, 10)), jnp.float32)
    grouping = reg.Grouping(num_groups=5)
    norm = jax.value_and_grad(lambda w: reg.block_norm(w, grouping, p=p, q=q))
    (value, gradient), (scaled_value, scaled_gradient) = norm(kernel), norm(kernel * scale)
    np.testing.assert_allclose(scaled_value / scale, value, rtol=1e-5)
    np.testing.assert_allclose(scaled_gradient, gradient, rtol=1e-4, atol=1e-7)


def test_ties_share_the_subgradient_evenly():
    kernel = jnp.array([[3.0, -3.0, 1.0, 2.0]])
    inner = jax.grad(lambda w: reg.block_norm(w, reg.Grouping(num_groups=1), p=jnp.inf))(kernel)
    np.testing.assert_array_equal(inner, [[0.5, -0.5, 0, 0]])
    outer = jax.grad(lambda w: reg.block_norm(w, reg.Grouping(num_groups=2), p=1, q=jnp.inf))(kernel[:, [0, 3, 3, 0]])
    np.testing.assert_array_equal(outer, [[0.5, 0.5, 0.5, 0.5]])


def test_bfloat16_is_accumulated_in_float32():
    kernel = jnp.full((5, 5, 256, 50), 0.01, jnp.bfloat16)
    norms = reg.group_norms(kernel, reg.Grouping(num_groups=5), p=2)
    assert norms.dtype == jnp.bfloat16
    expected = float(kernel[0, 0, 0, 0]) * np.sqrt(5 * 5 * 256 * 10)
    np.testing.assert_allclose(norms.astype(np.float32), expected, rtol=2**-8)  # bfloat16 keeps 8 bits


kernels = hnp.arrays(np.float32, (2, 3, 6), elements=st.floats(-8, 8, width=32))
exponents = st.sampled_from([1.0, 1.5, 2.0, 4.0, np.inf])


@settings(max_examples=60, deadline=None)
@given(x=kernels, y=kernels, a=st.floats(-4, 4, width=32), p=exponents, q=exponents)
def test_is_a_norm(x, y, a, p, q):
    grouping = reg.Grouping(num_groups=3)
    norm = lambda w: float(reg.block_norm(jnp.asarray(w), grouping, p=p, q=q))  # noqa: E731
    assert norm(x) >= 0
    assert norm(x + y) <= (norm(x) + norm(y)) * (1 + 1e-5) + 1e-5
    np.testing.assert_allclose(norm(a * x), abs(a) * norm(x), rtol=1e-5, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(x=kernels, p=exponents, q=exponents, data=st.data())
def test_order_of_filters_in_a_group_does_not_matter(x, p, q, data):
    order = list(data.draw(st.permutations([0, 1, 2]))) + list(data.draw(st.permutations([3, 4, 5])))
    grouping = reg.Grouping(num_groups=2)
    first, second = (reg.block_norm(jnp.asarray(w), grouping, p=p, q=q) for w in (x, x[..., order]))
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_penalty_sums_convolutions_and_leaves_the_rest():
    params = {
        "conv1": {"kernel": jnp.ones((3, 3, 2, 4)), "bias": jnp.ones(4)},
        "block": {"conv2": {"kernel": 2 * jnp.ones((1, 1, 4, 5))}},
        "fc": {"kernel": jnp.ones((7, 5))},
    }
    grouping = reg.Grouping(num_groups=2)
    total, layers = reg.block_norm_penalty(params, grouping)
    assert set(layers) == {"conv1", "block/conv2"}
    np.testing.assert_allclose(layers["block/conv2"], reg.block_norm(params["block"]["conv2"]["kernel"], grouping))
    np.testing.assert_allclose(total, sum(layers.values()), rtol=1e-6)
    gradient = jax.grad(lambda tree: reg.block_norm_penalty(tree, grouping)[0])(params)
    assert not gradient["fc"]["kernel"].any()
    assert not gradient["conv1"]["bias"].any()
    assert not gradient["block"]["conv2"]["kernel"][..., 4].any()  # the filter that is left over


def test_relevance_is_the_norm_of_each_group():
    kernel = jnp.asarray(np.random.default_rng(3).normal(size=(3, 3, 2, 4)), jnp.float32)
    relevance = reg.group_relevance({"params": {"conv1": {"kernel": kernel}}}, reg.Grouping(num_groups=2))
    np.testing.assert_allclose(relevance["conv1"][1], jnp.linalg.norm(kernel[..., 2:]), rtol=1e-6)


@pytest.mark.parametrize("transform", ["jit", "vmap", "jvp", pytest.param("hessian", marks=pytest.mark.long)])
def test_works_under_transformations(transform):
    kernel = jnp.asarray(np.random.default_rng(4).normal(size=(2, 2, 6)), jnp.float32)
    norm = lambda w: reg.block_norm(w, reg.Grouping(num_groups=3), p=2, q=1)  # noqa: E731
    if transform == "jit":
        np.testing.assert_allclose(jax.jit(norm)(kernel), norm(kernel), rtol=1e-6)
    elif transform == "vmap":
        stacked = jnp.stack([kernel, 2 * kernel])
        np.testing.assert_allclose(jax.vmap(norm)(stacked), [norm(kernel), norm(2 * kernel)], rtol=1e-6)
    elif transform == "jvp":
        _, slope = jax.jvp(norm, (kernel,), (kernel,))
        np.testing.assert_allclose(slope, norm(kernel), rtol=1e-6)  # Euler: a norm is homogeneous
    else:
        curvature = jax.hessian(lambda flat: norm(flat.reshape(kernel.shape)))(kernel.ravel())
        np.testing.assert_allclose(curvature @ kernel.ravel(), np.zeros(kernel.size), atol=1e-5)


@pytest.mark.parametrize(("p", "q"), [(0.5, 1), (2, 0.99), (float("nan"), 1), (-1, 1)])
def test_refuses_what_is_no_norm(p, q):
    with pytest.raises(ValueError, match=r"expected 1 <= [pq] <= inf for a norm"):
        reg.block_norm(jnp.ones((3, 3, 2, 4)), reg.Grouping(num_groups=2), p=p, q=q)


def test_names_the_layer_that_has_too_few_filters():
    with pytest.raises(ValueError, match=r"layer conv1: num_groups = 5: the layer has only 4 filters"):
        reg.block_norm_penalty({"conv1": {"kernel": jnp.ones((3, 3, 2, 4))}}, reg.Grouping(num_groups=5))
    with pytest.raises(ValueError, match="no convolution kernel"):
        reg.block_norm_penalty({"fc": {"kernel": jnp.ones((3, 4))}}, reg.Grouping(num_groups=2))


@pytest.mark.parametrize(("p", "q"), [(2, 4 / 3), (1.5, 1), (3, 1), (4, 1.5)])
def test_second_derivatives_are_finite_beside_zeros(p, q):
    """Along a weight that is not 0, the gradient at a weight or group that is 0 stays 0."""
    kernel = jnp.array([[1.0, 2.0, 0.0, 0.5, 0.0, 0.0]])
    norm = lambda w: reg.block_norm(w, reg.Grouping(num_groups=3), p=p, q=q)  # noqa: E731
    change = jax.jvp(jax.grad(norm), (kernel,), (jnp.array([[1.0, 0, 0, 0, 0, 0]]),))[1]
    assert jnp.isfinite(change).all()
    assert not change[0, jnp.array([2, 4, 5])].any()
    assert change[0, 1] != 0
