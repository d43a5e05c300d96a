"""Proximal operators of ℓp norms for many vectors at once. Those of the block norm are made of them.

Every vector is a row of an array [groups, members] in float32 or wider. Rows may be filled up with zeros, which every
operator here leaves as they are.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.regularizers.norms import lp_norm

Rows = Float[Array, "groups members"]
PerRow = Float[Array, " groups"]
# Newton's method below ends after a dozen rounds, when nothing changes any more. Inputs of nan reach this limit.
MOST_ROUNDS = 100
# Rounds of the nested search for 1 < p < ∞; the tests' hardest cases, p = 1.05 and 20, need about half of them.
OUTER_ROUNDS = 40
INNER_ROUNDS = 16


def prox_lp(rows: Rows, strength: PerRow, p: float) -> Rows:
    r"""Minimizer of :math:`\tfrac12\|w - v\|_2^2 + \lambda \|w\|_p` for each row.

    Args:
      rows: v.
      strength: λ of each row, 0 or more.
      p: 1 to ``jnp.inf``.

    Returns:
      w; a row is exactly 0 where the dual norm of v is at most λ.

    References:
      Moreau's decomposition: w = v minus the projection of v on the ball of radius λ in the dual norm (Parikh and
      Boyd, *Proximal Algorithms*, 2014, Sec. 6.5).
    """
    if p == 1:
        return soft_threshold(rows, strength)
    if p == 2:
        norm = lp_norm(rows, 2.0, (1,))
        return rows * (jnp.maximum(norm - strength, 0) / _positive(norm))[:, None]
    if math.isinf(p):
        limit = simplex_threshold(jnp.abs(rows), strength)[:, None]
        return jnp.where(strength[:, None] > 0, jnp.clip(rows, -limit, limit), rows)
    return _prox_between(rows, strength, p)


def soft_threshold(rows: Rows, strength: PerRow) -> Rows:
    """Every entry drawn towards 0 by its row's strength, and no further."""
    return jnp.sign(rows) * jnp.maximum(jnp.abs(rows) - strength[:, None], 0)


def simplex_threshold(magnitudes: Rows, level: PerRow, slope: PerRow | None = None) -> PerRow:
    r"""The θ ≥ 0 of each row at which :math:`\sum_i (m_i - θ)_+ = \mathrm{level} + \mathrm{slope}·θ`.

    With slope 0, drawing every entry towards 0 by θ projects a vector on the ℓ1 ball of radius ``level``. The left
    side is convex and piecewise linear in θ, so that Newton's method from 0 comes from below and ends exactly, when
    no more entries leave the sum.

    Args:
      magnitudes: m, 0 or more.
      level: 0 or more.
      slope: 0 or more, by default 0.

    Returns:
      θ; 0 where even the whole sum is at most ``level``.

    References:
      Michelot, *A finite algorithm for finding the projection of a point onto the canonical simplex of ℝⁿ*, 1986.
    """
    slope = jnp.zeros_like(level) if slope is None else slope
    inside = jnp.sum(magnitudes, axis=1) <= level
    level = jnp.where(inside, 0, level)  # may be infinite there

    def again(state: tuple) -> Array:
        _, count, before, rounds = state
        return jnp.any(count != before) & (rounds < MOST_ROUNDS)

    def newton(state: tuple) -> tuple:
        threshold, before, _, rounds = state
        above = magnitudes - threshold[:, None]
        count = jnp.sum(above > 0, axis=1)
        # The small rest, not the whole sum, so that rounding does not add up from round to round.
        rest = jnp.sum(jnp.maximum(above, 0), axis=1) - level - slope * threshold
        step = rest / jnp.maximum(count.astype(rest.dtype) + slope, 1e-30)
        return threshold + jnp.where(count > 0, step, 0), count, before, rounds + 1

    none = jnp.full(len(magnitudes), -1)
    start = (jnp.zeros_like(level), none, none - 1, 0)
    threshold = jax.lax.while_loop(again, newton, start)[0]
    return jnp.where(inside, 0, jnp.maximum(threshold, 0))


def _prox_between(rows: Rows, strength: PerRow, p: float) -> Rows:
    r"""1 < p < ∞, p ≠ 2: by the ratios r = w/R to the norm R = ‖w‖_p, for which R·r + λ·r^(p−1) = |v| entry by entry.

    They fall as R grows, and R is where their own norm is 1: one root to find for each row, and in it one for each
    entry.
    """
    magnitudes = jnp.abs(rows)
    scale = _positive(jnp.max(magnitudes, axis=1))
    magnitudes, strength = magnitudes / scale[:, None], strength / scale
    gone = lp_norm(magnitudes, p / (p - 1), (1,)) <= strength
    bound = jnp.where(gone, 0, strength)  # may be infinite there
    # No ratio is above 1, so that R + λ is at least the largest entry, which is 1 here; and ‖w‖ is at most ‖v‖.
    lowest, highest = jnp.maximum(1 - bound, 0), lp_norm(magnitudes, p, (1,))

    def newton(_: Any, state: tuple) -> tuple:
        norm, low, high = state
        ratios = _ratios(magnitudes, norm[:, None], bound[:, None], p)
        size = lp_norm(ratios, p, (1,))
        low, high = jnp.where(size >= 1, norm, low), jnp.where(size >= 1, high, norm)
        # In logarithms, where the fall is straight for large R and flat for small: from above, steps do not overshoot.
        slope = _slope(ratios, size, norm, bound, p)
        better = norm * jnp.exp(jnp.clip(jnp.log(_positive(size)) / _positive(slope), -50, 50))
        return jnp.where((better > low) & (better < high), better, (low + high) / 2), low, high

    start = (highest, lowest, highest)
    norm = jax.lax.fori_loop(0, OUTER_ROUNDS, newton, start)[0]
    ratios = _ratios(magnitudes, norm[:, None], bound[:, None], p)
    kept = jnp.where((strength > 0)[:, None], norm[:, None] * ratios, magnitudes) * scale[:, None]
    return jnp.sign(rows) * jnp.where(gone[:, None], 0, kept)


def _ratios(magnitudes: Array, norm: Array, strength: Array, p: float) -> Array:
    """The r in [0, 1] with norm·r + strength·r^(p−1) = magnitude, or 1 if there is none."""
    # As linear·x + curved·x^k with k > 1, which is convex: Newton's method then comes down to the root from above.
    k = p - 1 if p > 2 else 1 / (p - 1)
    linear, curved = (norm, strength) if p > 2 else (strength, norm)
    start = jnp.minimum(magnitudes / _positive(linear), (magnitudes / _positive(curved)) ** (1 / k))
    start = jnp.where(linear > 0, start, (magnitudes / _positive(curved)) ** (1 / k))

    def newton(_: Any, x: Array) -> Array:
        power = curved * x ** (k - 1)
        return x - (linear * x + power * x - magnitudes) / _positive(linear + k * power)

    x = jax.lax.fori_loop(0, INNER_ROUNDS, newton, jnp.minimum(start, 1))
    x = jnp.clip(x, 0, 1)
    return x if p > 2 else x**k


def _slope(ratios: Array, size: Array, norm: Array, strength: Array, p: float) -> Array:
    """By how much the logarithm of the ratios' norm falls with the logarithm of R."""
    linear = norm[:, None] * ratios
    falls = linear / _positive(linear + (p - 1) * strength[:, None] * ratios ** (p - 1))
    falls = jnp.where(ratios < 1, falls, 0)  # those at the limit stay there
    return jnp.sum((ratios / _positive(size)[:, None]) ** p * falls, axis=1)


def _positive(x: Array) -> Array:
    return jnp.where(x > 0, x, 1)
