"""Soft receptive fields, which tell where each filter is active. The losses on activations are made of them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.regularizers.checks import check_maps, check_shape
from interpjax.regularizers.norms import at_least_float32


def soft_receptive_field(
    activations: Float[Array, "n h w c"],
    scale: float | Float[Array, ""] = 1.0,
    shift: float | Float[Array, ""] = 0.0,
    eps: float = 5e-3,
    *,
    batch_norm_scale: Float[Array, " c"] | None = None,
    axis_name: str | None = None,
) -> Float[Array, "n h w c"]:
    r"""Where a filter is active, as a number between 0 and 1 at every position.

    .. math:: \psi = \sigma(P_1\, a / S + P_2)

    with S the filter's standard deviation over minibatch and space (unbiased) plus ``eps``. Behind batch norm with
    output :math:`a = \gamma\hat a + \beta`, with ``batch_norm_scale`` given as γ, instead
    :math:`\psi = \sigma(P_1 (\hat a + \beta/\gamma) + P_2) = \sigma(P_1\, a / \gamma + P_2)`, where γ nearer to 0
    than ``eps`` counts as ±``eps``.

    Args:
      activations: maps *before* the non-linearity.
      scale: P₁, a constant (1 in the published code) or learned.
      shift: P₂, a constant (0 in the published code) or learned.
      eps: added to the standard deviation (5e-3 in the published code).
      batch_norm_scale: γ of each filter; then no statistics are taken.
      axis_name: name of the axis of devices that share a minibatch; S is then the standard deviation over all of it.

    Returns:
      Maps in (0, 1), in the activations' dtype (statistics of bfloat16 and float16 in float32).

    Raises:
      ValueError: naming the argument and its shape, if the shape is wrong.

    References:
      Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021, Sec. 3.
    """
    check_maps("activations", activations)
    check_shape("scale", scale, (), "one number for all filters")
    check_shape("shift", shift, (), "one number for all filters")
    wide = at_least_float32(activations)
    if batch_norm_scale is None:
        divisor = _standard_deviation(wide, axis_name) + eps
    else:
        filters = activations.shape[-1]
        check_shape("batch_norm_scale", batch_norm_scale, (filters,), f"({filters},), one for each filter")
        magnitude = jnp.maximum(jnp.abs(batch_norm_scale), eps)
        divisor = jnp.where(batch_norm_scale < 0, -magnitude, magnitude)
    factors = (scale / divisor).astype(wide.dtype)[None, None, None]
    return jax.nn.sigmoid(wide * factors + jnp.asarray(shift, wide.dtype)[None, None, None, None]).astype(
        activations.dtype
    )


def _standard_deviation(maps: Float[Array, "n h w c"], axis_name: str | None) -> Float[Array, " c"]:
    axes = (0, 1, 2)
    count, total = jnp.asarray(maps[..., 0].size, maps.dtype), jnp.sum(maps, axis=axes)
    if axis_name is not None:
        count, total = jax.lax.psum((count, total), axis_name)
    squares = jnp.sum(jnp.square(maps - (total / count)[None, None, None]), axis=axes)
    if axis_name is not None:
        squares = jax.lax.psum(squares, axis_name)
    variance = squares / jnp.maximum(count - 1, 1)
    # The root has no derivative at 0, where a dead filter is.
    return jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1)), 0)
