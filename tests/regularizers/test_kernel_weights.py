"""The weights of multiple-kernel learning against the identity that defines them, and against a general minimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from interpjax import regularizers as reg

EXPONENTS = [1, 1.1, 4 / 3, 1.5, 1.9, 2]
positive = st.floats(2**-10, 2**10, width=32)
group_norms = st.lists(st.one_of(st.just(0.0), positive), min_size=1, max_size=9)
exponents = st.sampled_from(EXPONENTS)


def kernel_weights(norms, q, dtype=jnp.float32):
    return np.asarray(reg.kernel_weights(jnp.asarray(norms, dtype), q), np.float64)


def power_norm(x, r):
    """ℓr norm by plain powers in float64; it is the maximum for r = ∞."""
    return np.max(x) if np.isinf(r) else np.sum(np.asarray(x, np.float64) ** r) ** (1 / r)


def kernel_exponent(q):
    """R of a q, from 1 to ∞."""
    return np.inf if q == 2 else q / (2 - q)


def weighted_squares(norms, weights):
    """Σ n_g²/β_g, where 0/0 is 0."""
    squares = np.asarray(norms, np.float64) ** 2
    return np.sum(np.divide(squares, weights, out=np.zeros_like(squares), where=squares > 0))


@settings(max_examples=80, deadline=None)
@given(norms=group_norms, q=exponents)
def test_weights_attain_the_squared_norm_and_are_of_length_one(norms, q):
    norms = np.array(norms, np.float32)
    weights = kernel_weights(norms, q)
    np.testing.assert_allclose(weighted_squares(norms, weights), power_norm(norms, q) ** 2, rtol=1e-5)
    if norms.any():
        np.testing.assert_allclose(power_norm(weights, kernel_exponent(q)), 1, rtol=1e-5)


@settings(max_examples=80, deadline=None)
@given(norms=st.lists(positive, min_size=3, max_size=3), q=exponents, others=st.lists(positive, min_size=3, max_size=3))
def test_no_other_weights_of_length_one_give_less(norms, q, others):
    feasible = np.array(others) / power_norm(others, kernel_exponent(q))
    least = weighted_squares(norms, kernel_weights(norms, q))
    assert weighted_squares(norms, feasible) >= least * (1 - 1e-5)


@pytest.mark.parametrize("q", EXPONENTS)
def test_a_grid_of_two_weights_has_its_lowest_point_there(q):
    norms, r = np.array([3.0, 0.7]), kernel_exponent(q)
    first = np.linspace(1e-3, 1 - 1e-3, 2001)
    grid = np.stack([first, np.ones_like(first) if q == 2 else (1 - first**r) ** (1 / r)])
    lowest = np.min(np.sum(norms[:, None] ** 2 / grid, axis=0))
    ours = weighted_squares(norms, kernel_weights(norms, q))
    assert ours * (1 - 1e-6) <= lowest <= ours * (1 + 1e-2)


@pytest.mark.parametrize("q", [1, 4 / 3, 1.9])
def test_a_general_minimizer_finds_the_same_weights(q):
    norms, r = np.array([0.3, 2.0, 1.1, 0.9]), kernel_exponent(q)
    found = scipy.optimize.minimize(
        lambda beta: np.sum(norms**2 / beta),
        np.full(4, 4 ** (-1 / r)),
        jac=lambda beta: -(norms**2) / beta**2,
        bounds=[(1e-4, 1)] * 4,
        constraints={"type": "ineq", "fun": lambda beta: 1 - np.sum(beta**r), "jac": lambda b: -r * b ** (r - 1)},
        method="SLSQP",
        options={"ftol": 1e-10, "maxiter": 500},
    )
    assert found.success
    np.testing.assert_allclose(kernel_weights(norms, q), found.x, atol=1e-4)
    np.testing.assert_allclose(found.fun, power_norm(norms, q) ** 2, rtol=1e-6)


def test_both_ends_and_the_first_published_exponent_by_hand():
    np.testing.assert_allclose(kernel_weights([1, 3, 0, 4], 1), [1 / 8, 3 / 8, 0, 4 / 8], rtol=1e-6)
    np.testing.assert_array_equal(kernel_weights([1, 3, 0, 4], 2), [1, 1, 1, 1])
    # r = 2: as the cube roots of the squares, 1, 4 and 9, over the root of the sum of their squares.
    expected = np.array([1, 4, 9]) / np.sqrt(1 + 16 + 81)
    np.testing.assert_allclose(kernel_weights([1, 8, 27], 4 / 3), expected, rtol=1e-6)


@pytest.mark.parametrize("q", EXPONENTS)
def test_all_zero_norms_have_zero_weights_and_finite_gradients(q):
    np.testing.assert_array_equal(kernel_weights([0, 0, 0], q), 1 if q == 2 else 0)
    for norms in ([0.0, 0.0], [0.0, 2.0], [1e-30, 1e30]):
        gradient = jax.jacobian(lambda n: reg.kernel_weights(n, q))(jnp.array(norms))
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("q", EXPONENTS)
@pytest.mark.parametrize("scale", [1e-37, 1e37])
def test_the_scale_does_not_matter(q, scale):
    norms = np.array([0.5, 3.0, 0.0, 7.0])
    np.testing.assert_allclose(kernel_weights(norms * scale, q), kernel_weights(norms, q), rtol=1e-5)


def test_a_tiny_norm_beside_a_huge_one_keeps_its_weight():
    # The ratio of 1e-60 is no float32, but its power of a half is.
    np.testing.assert_allclose(kernel_weights([1e-30, 1e30], 1.5), [1e-30, 1], rtol=1e-4)


def test_bfloat16_is_computed_in_float32():
    norms = jnp.linspace(0.1, 7, 400, dtype=jnp.bfloat16)
    weights = reg.kernel_weights(norms, 4 / 3)
    assert weights.dtype == jnp.bfloat16
    wide = reg.kernel_weights(norms.astype(jnp.float32), 4 / 3)
    np.testing.assert_array_equal(weights, wide.astype(jnp.bfloat16))


@pytest.mark.parametrize("q", [1, 4 / 3, 1.9])
def test_gradients_match_numeric_differences(q):
    with jax.enable_x64(True):
        weights, norms = jax.jit(lambda n: reg.kernel_weights(n, q)), jnp.array([0.4, 2.0, 1.3])
        numeric = [(weights(norms + step) - weights(norms - step)) / 2e-6 for step in 1e-6 * jnp.eye(3)]
        np.testing.assert_allclose(jax.jacobian(weights)(norms), np.transpose(numeric), atol=1e-8)
        if q == 1:  # which has a derivative at 0, from above
            gradient = jax.jacobian(weights)(jnp.array([0.0, 2.0]))
            np.testing.assert_allclose(gradient, [[0.5, 0], [-0.5, 0]])


@pytest.mark.parametrize("q", [0.5, 2.1, float("inf"), float("nan")])
def test_exponents_below_one_and_above_two_are_refused(q):
    with pytest.raises(ValueError, match=f"q = {q}: expected 1 <= q <= 2 for kernel weights"):
        reg.kernel_weights(jnp.ones(3), q)


@pytest.mark.parametrize(
    ("norms", "message"),
    [
        (jnp.ones((2, 3)), r"norms: shape \(2, 3\); expected \[groups\]"),
        (jnp.ones(3, jnp.int32), "norms: of dtype int32; expected floating-point numbers"),
        (jnp.array([1.0, -1.0]), r"norms = \[ 1\. -1\.\]: expected 0 or more"),
    ],
)
def test_norms_of_a_wrong_kind_are_refused(untyped, norms, message):
    with pytest.raises(ValueError, match=message):
        reg.kernel_weights(norms, 1.5)
