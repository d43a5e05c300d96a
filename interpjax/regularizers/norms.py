"""ℓp norms that stay finite, as do their derivatives. The block norm is made of them."""

import functools
import math
import numbers

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def check_exponent(name: str, value: float, *, highest: float = math.inf, use: str = "a norm") -> None:
    """Raises ValueError unless ``value`` can be an exponent of its use, 1 ≤ value ≤ highest."""
    if not isinstance(value, numbers.Real):
        raise ValueError(
            f"{name} = {value!r}: expected a Python number, not {type(value).__name__}, as it is static under jit"
        )
    if not 1 <= value <= highest:  # also refuses nan
        raise ValueError(f"{name} = {value}: expected 1 <= {name} <= {highest} for {use}")


def at_least_float32(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The same numbers in float32, or unchanged if they are in float64, for sums in half precision lose digits.

    The sum of 1e5 weights in bfloat16, for example, is off by more than 1 %.
    """
    return x.astype(np.promote_types(x.dtype, np.float32))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def lp_norm(x: Float[Array, "..."], p: float, axes: tuple[int, ...]) -> Float[Array, "..."]:
    r"""ℓp norm over ``axes``, computed as :math:`m \|x/m\|_p` with :math:`m = \max|x|`.

    Plain powers leave the range of float32 early (at p = 20 that of a weight of 0.01 is 0), while powers of the ratio
    to the largest entry never overflow. The derivative is that of :func:`lp_norm_gradient`.
    """
    magnitude = jnp.abs(x)
    largest = jnp.max(magnitude, axis=axes, keepdims=True)
    ratio = magnitude / jnp.where(largest > 0, largest, 1)
    largest = jnp.squeeze(largest, axes)
    if math.isinf(p):
        return largest
    if p == 1:
        return largest * jnp.sum(ratio, axis=axes)
    if p == 2:
        return largest * jnp.sqrt(jnp.sum(ratio * ratio, axis=axes))
    return largest * jnp.sum(ratio**p, axis=axes) ** (1 / p)


def lp_norm_gradient(
    x: Float[Array, "..."], norm: Float[Array, "..."], p: float, axes: tuple[int, ...]
) -> Float[Array, "..."]:
    r"""Gradient of :func:`lp_norm`: :math:`(|x_i|/\|x\|_p)^{p-1}\,\mathrm{sign}(x_i)`, with 0/0 := 0.

    Every ratio lies in [0, 1], so nothing overflows. At p = ∞ the entries that tie for the maximum share the
    subgradient evenly.
    """
    norm = jnp.expand_dims(norm, axes)
    safe = jnp.where(norm > 0, norm, 1)
    if math.isinf(p):
        tied = (jnp.abs(x) == norm) & (norm > 0)
        count = jnp.maximum(jnp.sum(tied, axis=axes, keepdims=True), 1)
        return jnp.where(tied, jnp.sign(x), 0) / count.astype(x.dtype)
    if p == 1:
        return jnp.sign(x)
    if p == 2:
        return x / safe
    ratio = jnp.abs(x) / safe
    # At 0 the power of a number below 1 has no derivative, and the product with sign(0) would be no number.
    return jnp.sign(x) * jnp.where(ratio > 0, jnp.where(ratio > 0, ratio, 1) ** (p - 1), 0)


@lp_norm.defjvp
def _lp_norm_jvp(p, axes, primals, tangents):
    (x,), (dx,) = primals, tangents
    norm = lp_norm(x, p, axes)
    return norm, jnp.sum(lp_norm_gradient(x, norm, p, axes) * dx, axis=axes)
