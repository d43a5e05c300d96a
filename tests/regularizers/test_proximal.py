"""Proximal operators against the condition of optimality, a random search, and what each must satisfy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interpjax import regularizers as reg

INF = np.inf
PAIRS = [(1, 1), (2, 1), (2, 2), (INF, 1), (2, INF), (INF, INF), (1, INF), (2, 1.33), (2, 4), (4, 1), (1.5, 1)]
PAIRS += [(1.05, 1), (20, 1), (3, 3)]
SQUARED = [(2, 2, "half_squared"), (1, 2, "half_squared"), (2, 2, "power"), (1, 2, "power")]
# One of each kind of operator; every other takes a compilation of its own.
QUICK = {(2, 1), (1.5, 1), (2, 4), (1, INF), (1, 2)}
GROUPS = [range(0, 3), range(3, 6), range(6, 10)]
LAST = reg.Grouping(num_groups=3, remainder="last")  # of ten filters: GROUPS


def others_long(cases, quick=lambda p, q, *_: (p, q) in QUICK):
    """The cases, of which those that are not quick run with the long tests."""
    return [case if quick(*case) else pytest.param(*case, marks=pytest.mark.long) for case in cases]


def lp(x, p):
    """ℓp norm over the last axis, of float64 numbers of any size."""
    largest = np.abs(x).max(-1, keepdims=True)
    scaled = np.abs(x) / np.where(largest > 0, largest, 1)
    return largest[..., 0] * (scaled.max(-1) if np.isinf(p) else (scaled**p).sum(-1) ** (1 / p))


def omega(w, p, q, groups=GROUPS):
    flat = np.asarray(w, np.float64)
    return lp(np.stack([lp(flat[..., list(group)].reshape(-1), p) for group in groups]), q)


def dual_exponent(p):
    return INF if p == 1 else 1.0 if np.isinf(p) else p / (p - 1)


def dual(w, p, q, groups=GROUPS):
    return omega(w, dual_exponent(p), dual_exponent(q), groups)


def check_optimal(v, w, strength, p, q, groups=GROUPS):
    """(v − w)/λ is a subgradient of Ω at w: its dual norm is at most 1, and ⟨(v − w)/λ, w⟩ = Ω(w)."""
    v, w = np.asarray(v, np.float64), np.asarray(w, np.float64)
    pull, norm = (v - w) / strength, omega(w, p, q, groups)
    assert dual(pull, p, q, groups) <= 1 + 1e-5
    assert abs(np.sum(pull * w) - norm) <= 1e-5 * max(norm, 1e-3 * omega(v, p, q, groups))


def weights(seed=0, shape=(2, 2, 10), dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize(("p", "q"), others_long(PAIRS))
def test_result_is_optimal_at_every_strength(p, q):
    v = weights()
    with jax.enable_x64(True):
        for share in [1e-9, 1e-4, 0.01, 0.2, 0.5, 0.9, 0.999, 1 + 1e-9, 3, 1e12]:
            strength = share * dual(v, p, q)
            w = np.asarray(reg.prox_block_norm(jnp.asarray(v), strength, LAST, p=p, q=q))
            assert w.dtype == np.float64
            check_optimal(v, w, strength, p, q)
            assert w.any() == (share < 1)


@pytest.mark.parametrize("scale", [1, 1e-30, 1e30])
@pytest.mark.parametrize(("p", "q"), others_long(PAIRS))
def test_float32_result_is_optimal_at_every_scale(p, q, scale):
    # Strengths of the size of the weights: a rounding of w by 6e-8 of itself then is well below 1e-5 of the strength.
    v = (weights(1) * scale).astype(np.float32)
    for share in [0.2, 0.5, 0.9, 1.1]:
        strength = np.float32(share * dual(v, p, q))
        w = np.asarray(reg.prox_block_norm(jnp.asarray(v), jnp.asarray(strength), LAST, p=p, q=q))
        assert w.dtype == np.float32
        check_optimal(v, w, np.float64(strength), p, q)
        assert w.any() == (share < 1)


HARD = [(p, 1) for p in (1.3, 3, 5, 8, 20, 100)] + [(2, 1.3), (2, 10), (2, 50), (6, 6), (1, INF), (INF, INF)]
CASES = [(p, q, dtype) for dtype in (np.float32, np.float64) for p, q in HARD]
CASES += [(p, q, np.float64) for p, q in ((1.02, 1), (2, 1.05))]  # a power of 1/(p − 1) multiplies roundings by it


HARD_AND_QUICK = {(3, 1, np.float32), (2, 10, np.float64), (1, INF, np.float64)}


@pytest.mark.parametrize(("p", "q", "dtype"), others_long(CASES, lambda *case: case in HARD_AND_QUICK))
def test_one_weight_may_be_as_large_as_all_others_together(p, q, dtype):
    # The rounding of a weight of 1000 in float32 is 6e-5, which must stay small beside the strength.
    strength, tails = (20.0 if dtype == np.float32 else 0.1), weights(6) ** 7
    with jax.enable_x64(dtype == np.float64):
        for v in [tails, *(np.array([[large, 1, 0.1] * 3 + [0.01]]) for large in (5, 30, 1000))]:
            v = v.astype(dtype)
            w = np.asarray(reg.prox_block_norm(jnp.asarray(v), strength, LAST, p=p, q=q))
            check_optimal(v, w, strength, p, q)


@pytest.mark.parametrize(("p", "q", "form"), SQUARED)
def test_half_squared_and_power_are_optimal(p, q, form):
    v = weights(2)
    v[..., 3:6] = 0  # a group with nothing in it
    with jax.enable_x64(True):
        for strength in [1e-6, 0.01, 0.3, 1, 30, 1e6]:
            w = np.asarray(reg.prox_block_norm(jnp.asarray(v), strength, LAST, p=p, q=q, form=form))
            # The subgradients of ½Ω² are Ω times those of Ω.
            check_optimal(v, w, strength * (2 if form == "power" else 1) * omega(w, p, q), p, q)


@pytest.mark.parametrize("p", [1, 2, INF])
def test_power_of_one_is_the_norm(p):
    v = jnp.asarray(weights(3, dtype=np.float32))
    power, norm = (reg.prox_block_norm(v, 0.7, LAST, p=p, q=1, form=form) for form in ("power", "norm"))
    np.testing.assert_array_equal(power, norm)


def search(objective, start, rounds=250, samples=1500):
    """Lowest value that random steps of many sizes, some along few axes, find from a start."""
    rng, best = np.random.default_rng(0), start
    for _ in range(rounds):
        sizes = 10.0 ** rng.uniform(-7, 0, (samples, 1))
        axes = rng.random((samples, start.size)) < rng.uniform(0.1, 1, (samples, 1))
        steps = sizes * rng.normal(size=(samples, start.size)) * axes
        toward_zero = np.where(rng.random(steps.shape) < 0.1, 0, best + steps)
        tried = np.concatenate([best[None], best + steps, toward_zero])
        best = tried[np.argmin(objective(tried))]
    return objective(best[None])[0]


@pytest.mark.parametrize(("p", "q", "form"), others_long([*[(p, q, "norm") for p, q in PAIRS], *SQUARED]))
def test_a_random_search_finds_the_same_minimum_and_none_below(p, q, form):
    v, groups = np.array([1.3, -0.4, 0.9, 0.2, -2.1, 0.7, 0.05]), [[0, 1], [2, 3], [4, 5, 6]]
    strength = 0.4

    def objective(w):
        norm = lp(np.stack([lp(w[:, group], p) for group in groups], axis=-1), q)
        penalty = {"norm": norm, "power": norm**2, "half_squared": norm**2 / 2}[form]
        return np.sum((w - v) ** 2, axis=-1) / 2 + strength * penalty

    with jax.enable_x64(True):
        w = np.asarray(reg.prox_block_norm(jnp.asarray(v), strength, LAST, p=p, q=q, form=form))
    ours, lowest = objective(w[None])[0], search(objective, v)
    assert ours - 1e-9 <= lowest <= ours + 1e-5
    assert search(objective, w, rounds=30) >= ours - 1e-9


@pytest.mark.parametrize("dtype", [jnp.bfloat16, pytest.param(jnp.float32, marks=pytest.mark.long)])
@pytest.mark.parametrize(("p", "q", "form"), others_long([*[(p, q, "norm") for p, q in PAIRS], *SQUARED]))
def test_strength_zero_changes_no_bit(p, q, form, dtype):
    special = np.array([0.0, -0.0, 1e-40, 1e-30, -3e38, 1 / 3, np.pi, 7, 9, 11], np.float32)
    v = jnp.asarray(np.stack([special, weights(4, 10, np.float32)]), dtype)
    w = reg.prox_block_norm(v, 0.0, LAST, p=p, q=q, form=form)
    assert w.dtype == dtype
    assert np.asarray(w).tobytes() == np.asarray(v).tobytes()


@pytest.mark.parametrize("p", [1, 1.05, 1.5, 2, 4, 20, INF])
def test_a_group_is_exactly_zero_where_its_dual_norm_is_at_most_the_strength(p):
    v = weights(5)
    with jax.enable_x64(True):
        for group in GROUPS:
            limit = omega(v[..., list(group)], dual_exponent(p), 1, [range(len(group))])
            for share, gone in [
                (1 + 1e-12, True),
                (1 - 1e-3, False),
            ]:  # where it is equal, rounding may fall either way
                w = reg.prox_block_norm(jnp.asarray(v), share * limit, LAST, p=p)
                assert (not np.any(np.asarray(w)[..., list(group)])) == gone


@pytest.mark.parametrize(("p", "strength"), [(1, 4), (2, 5), (INF, 7)])
def test_a_dual_norm_equal_to_the_strength_gives_zero(p, strength):
    w = reg.prox_block_norm(jnp.array([[3.0, -4.0, 30.0, 64.0]]), strength, reg.Grouping(num_groups=2), p=p)
    np.testing.assert_array_equal(w[0, :2], [0, 0])
    assert np.all(w[0, 2:] > 0)
