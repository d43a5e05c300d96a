"""Proximal operators of the block norm, which make groups of filters exactly zero."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.regularizers.block_norm import check_form
from interpjax.regularizers.checks import check_amount, check_grouping, check_kernel
from interpjax.regularizers.groups import Grouping
from interpjax.regularizers.norms import at_least_float32, check_exponent, lp_norm
from interpjax.regularizers.prox_lp import MOST_ROUNDS, prox_lp, simplex_threshold, soft_threshold

Rows = Float[Array, "groups members"]


def prox_block_norm(
    kernel: Float[Array, "*window filters"],
    strength: float | Float[Array, ""] | Float[Array, " groups"],
    grouping: Grouping,
    p: float = 2.0,
    q: float = 1.0,
    *,
    form: str = "norm",
) -> Float[Array, "*window filters"]:
    r"""Proximal operator of the block norm, :math:`\arg\min_w \tfrac12\|w - v\|_2^2 + \lambda\,\Omega(w)`.

    Exact, by closed forms and one-dimensional roots, for q = 1 (any p), p = 2 (any q), p = q, and
    (p, q) = (1, ∞); for form ``"half_squared"`` at p = q = 2 (weight decay) and (1, 2) (the exclusive lasso).
    Weights are scaled by the largest one inside, so that nothing overflows. It is not meant to be differentiated.

    Args:
      kernel: v, with the filters on the last axis.
      strength: λ, 0 or more; for q = 1 it may also be one number for each group.
      grouping: which filters belong together; filters it leaves free stay as they are.
      p: exponent inside a group, 1 to ``jnp.inf``, a Python number (static under jit).
      q: exponent across the groups, likewise.
      form: ``"norm"``, ``"half_squared"``, or ``"power"`` (for q = 1, where it is the norm, and where it is twice a
        half square).

    Returns:
      The minimizer, in the kernel's shape and dtype.

    Raises:
      ValueError: naming what is supported, if there is no operator for p, q and form, or for groups of unequal weight;
        or if a strength is negative, unless it is traced.

    References:
      Parikh and Boyd, *Proximal Algorithms*, 2014; Bach, Jenatton, Mairal, Obozinski, *Optimization with
      Sparsity-Inducing Penalties*, 2012, Sec. 3.
    """
    check_prox(p, q, form)
    check_kernel(kernel)
    check_grouping(grouping)
    check_amount("strength", strength)
    return _prox(kernel, strength, grouping, float(p), float(q), form)


@functools.partial(jax.jit, static_argnames=("grouping", "p", "q", "form"))
def _prox(kernel: Array, strength: Any, grouping: Grouping, p: float, q: float, form: str) -> Array:
    wide = at_least_float32(kernel)
    groups = grouping.split(wide)
    rows = jnp.moveaxis(groups, -2, 0).reshape(groups.shape[-2], -1)
    strength = _weighted(jnp.asarray(strength, rows.dtype), grouping, wide, q, form)
    if form != "norm" and q == 2:
        shrunk = _prox_half_squared(rows, strength if form == "half_squared" else 2 * strength, p)
    else:
        largest = jnp.max(jnp.abs(rows))
        scale = jnp.where(largest > 0, largest, 1)
        shrunk = scale * _prox_norm(p, q)(rows / scale, strength / scale)
    # Divided and multiplied again, some numbers would not come back the same.
    shrunk = jnp.where((strength > 0)[:, None], shrunk, rows)
    back = shrunk.reshape(groups.shape[-2], *groups.shape[:-2], groups.shape[-1])
    return grouping.merge(jnp.moveaxis(back, 0, -2), wide).astype(kernel.dtype)


def check_prox(p: float, q: float, form: str) -> None:
    """Raises ValueError unless :func:`prox_block_norm` has this operator."""
    check_exponent("p", p)
    check_exponent("q", q)
    check_form(form, q)
    if form == "norm" or (q == 1 and form == "power"):
        known = q == 1 or p == 2 or p == q or (p == 1 and math.isinf(q))
    else:
        known = q == 2 and p in (1, 2)
    if not known:
        raise ValueError(
            f"p = {p}, q = {q}, form = {form!r}: no proximal operator; expected form norm with q = 1, p = 2, p = q, or "
            "(p, q) = (1, inf), or half_squared or power with (p, q) = (1, 2) or (2, 2)"
        )


def _weighted(strength: Array, grouping: Grouping, kernel: Array, q: float, form: str) -> Float[Array, " groups"]:
    """The strength of each group, multiplied by the group's weight."""
    factors = grouping.factors(kernel)
    if strength.ndim and q != 1:
        raise ValueError(f"strength of each group: expected q = 1, where the groups are independent, not q = {q}")
    if strength.shape not in ((), factors.shape):
        given = f"{len(strength)} strengths" if strength.ndim == 1 else f"strengths of shape {strength.shape}"
        raise ValueError(f"strength of each group: {given}; expected one number, or {len(factors)}, one for each group")
    if q != 1 and len(set(factors)) > 1:
        raise ValueError(
            f"weights = {grouping.weights!r} with q = {q}: no proximal operator; expected q = 1, or groups of one size"
        )
    squared = form == "half_squared" or (form == "power" and q == 2)
    return jnp.broadcast_to(strength, factors.shape) * jnp.asarray(factors ** (2 if squared else 1), strength.dtype)


def _prox_norm(p: float, q: float) -> Callable[[Rows, Array], Rows]:
    if q == 1:
        return lambda rows, strength: prox_lp(rows, strength, p)
    if p == q:  # one norm of all the weights
        return lambda rows, strength: prox_lp(rows.reshape(1, -1), strength[:1], p).reshape(rows.shape)
    if p == 2:
        return lambda rows, strength: _prox_of_norms(rows, strength[:1], q)
    return _prox_l1_linf


def _prox_of_norms(rows: Rows, strength: Float[Array, "1"], q: float) -> Rows:
    """(2, q): the prox of the ℓq norm on the groups' norms, along their directions."""
    norms = lp_norm(rows, 2.0, (1,))
    shrunk = prox_lp(norms[None], strength, q)[0]
    return rows * (shrunk / jnp.where(norms > 0, norms, 1))[:, None]


def _prox_l1_linf(rows: Rows, strength: Float[Array, " groups"]) -> Rows:
    r"""(1, ∞): every group on the ℓ1 ball of one radius t, by thresholds θ_g(t) that add up to λ.

    Their sum is convex, falling and piecewise linear in t: Newton's method from t = 0 comes from below.
    """
    magnitudes, level = jnp.abs(rows), strength[0]

    def again(state: tuple) -> Array:
        _, excess, rounds = state
        return (excess > 4 * jnp.finfo(rows.dtype).eps * level) & (rounds < MOST_ROUNDS)

    def newton(state: tuple) -> tuple:
        radius, _, rounds = state
        thresholds = simplex_threshold(magnitudes, jnp.broadcast_to(radius, strength.shape))
        count = jnp.sum(magnitudes > thresholds[:, None], axis=1)
        slope = jnp.sum(jnp.where(thresholds > 0, 1 / jnp.maximum(count, 1).astype(rows.dtype), 0))
        excess = jnp.sum(thresholds) - level
        return radius + jnp.maximum(excess, 0) / jnp.maximum(slope, 1e-30), excess, rounds + 1

    start = (jnp.zeros_like(level), jnp.full_like(level, jnp.inf), 0)
    radius = jax.lax.while_loop(again, newton, start)[0]
    thresholds = simplex_threshold(magnitudes, jnp.broadcast_to(radius, strength.shape))
    gone = jnp.sum(jnp.max(magnitudes, axis=1)) <= level
    return jnp.where(gone, 0, soft_threshold(rows, thresholds))


def _prox_half_squared(rows: Rows, strength: Float[Array, " groups"], p: float) -> Rows:
    """(2, 2): v / (1 + λ). (1, 2), the exclusive lasso: a group's weights lose λ times the sum of what is left."""
    if p == 2:
        return rows / (1 + strength)[:, None]
    safe = jnp.where(strength > 0, strength, 1)
    return soft_threshold(rows, simplex_threshold(jnp.abs(rows), jnp.zeros_like(safe), 1 / safe))
