"""Losses on activation maps: soft receptive fields, and the loss that concentrates them."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


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
      axis_name: of the devices that share a minibatch; S is then the standard deviation over all of it.

    Returns:
      Maps in (0, 1), in the activations' dtype (statistics of bfloat16 and float16 in float32).

    References:
      Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021, Sec. 3.
    """
    wide = activations.astype(jnp.promote_types(activations.dtype, jnp.float32))
    if batch_norm_scale is None:
        divisor = _standard_deviation(wide, axis_name) + eps
    else:
        magnitude = jnp.maximum(jnp.abs(batch_norm_scale), eps)
        divisor = jnp.where(batch_norm_scale < 0, -magnitude, magnitude)
    factors = (scale / divisor).astype(wide.dtype)[None, None, None]
    return jax.nn.sigmoid(wide * factors + jnp.asarray(shift, wide.dtype)[None, None, None, None]).astype(
        activations.dtype
    )


def spatial_loss(fields: Float[Array, "n h w c"], eps: float = 1e-4) -> Float[Array, ""]:
    r"""How far a map's mass lies from its centre, in pixels of the map, mean over minibatch and maps.

    .. math:: L_s(\psi) = \frac{\sum_j \psi_j \|j - c\|_2}{\sum_j \psi_j + \varepsilon}, \qquad
              c = \frac{\sum_j j\,\psi_j}{\sum_j \psi_j + \varepsilon}

    The background counts: a map that is ½ nearly everywhere is judged by that (a negative P₂ helps).

    Args:
      fields: of :func:`soft_receptive_field`, or any maps that are 0 or more.
      eps: added to both denominators (1e-4 in the published code).

    Returns:
      A scalar in float32 or wider.

    References:
      Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021, Sec. 3.
    """
    fields = fields.astype(jnp.promote_types(fields.dtype, jnp.float32))
    return jnp.mean(_spread(fields, eps))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _spread(fields: Float[Array, "n h w c"], eps: float) -> Float[Array, "n c"]:
    """The spatial loss of each map."""
    distance, _, mass = _distances(fields, eps)
    return jnp.sum(fields * distance, axis=(1, 2)) / mass


@_spread.defjvp
def _spread_jvp(eps: float, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """By hand, because then it is one pass over the maps and needs nothing of their size but the distances.

    With L the loss, m the mass and v the sum of ψ_j (c − j)/‖j − c‖, which is how L·m grows with c:
    dL/dψ_j = (‖j − c‖ − L + v·(j − c)/m) / m.
    """
    (fields,), (tangent,) = primals, tangents
    distance, offsets, mass = _distances(fields, eps)
    spread = jnp.sum(fields * distance, axis=(1, 2)) / mass
    # Where the centre is on a pixel, its distance has no derivative: 0 is the one in between.
    pull = fields / jnp.where(distance > 0, distance, jnp.inf)
    drift = sum(_per_map(-jnp.sum(pull * offset, axis=(1, 2)) / mass) * offset for offset in offsets)
    slope = (distance - _per_map(spread) + drift) / _per_map(mass)
    return spread, jnp.sum(slope * tangent, axis=(1, 2))


def _distances(
    fields: Float[Array, "n h w c"], eps: float
) -> tuple[Float[Array, "n h w c"], tuple[Float[Array, "n h 1 c"], Float[Array, "n 1 w c"]], Float[Array, "n c"]]:
    """Of each pixel from the map's centre, by row and column too, and the map's mass."""
    rows = jnp.arange(fields.shape[1], dtype=fields.dtype)
    columns = jnp.arange(fields.shape[2], dtype=fields.dtype)
    by_row, by_column = jnp.sum(fields, axis=2), jnp.sum(fields, axis=1)
    mass = jnp.sum(by_row, axis=1) + eps
    centre_row = jnp.sum(by_row * rows[None, :, None], axis=1) / mass
    centre_column = jnp.sum(by_column * columns[None, :, None], axis=1) / mass
    down = rows[None, :, None, None] - _per_map(centre_row)
    across = columns[None, None, :, None] - _per_map(centre_column)
    return jnp.sqrt(jnp.square(down) + jnp.square(across)), (down, across), mass


def _per_map(values: Float[Array, "n c"]) -> Float[Array, "n 1 1 c"]:
    return values[:, None, None, :]


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _standard_deviation(maps: Float[Array, "n h w c"], axis_name: str | None) -> Float[Array, " c"]:
    return _moments(maps, axis_name)[0]


@_standard_deviation.defjvp
def _standard_deviation_jvp(axis_name: str | None, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """Without the way through the mean, which adds up to 0; and 0 at a constant map, where there is no derivative."""
    (maps,), (tangent,) = primals, tangents
    deviation, mean, freedom = _moments(maps, axis_name)
    change = jnp.sum((maps - mean[None, None, None]) * tangent, axis=(0, 1, 2))
    if axis_name is not None:
        change = jax.lax.psum(change, axis_name)
    return deviation, change / (freedom * jnp.where(deviation > 0, deviation, jnp.inf))


def _moments(
    maps: Float[Array, "n h w c"], axis_name: str | None
) -> tuple[Float[Array, " c"], Float[Array, " c"], Float[Array, ""]]:
    """Standard deviation and mean of each filter, and the degrees of freedom."""
    axes = (0, 1, 2)
    count, total = jnp.asarray(maps[..., 0].size, maps.dtype), jnp.sum(maps, axis=axes)
    if axis_name is not None:
        count, total = jax.lax.psum((count, total), axis_name)
    mean = total / count
    squares = jnp.sum(jnp.square(maps - mean[None, None, None]), axis=axes)
    if axis_name is not None:
        squares = jax.lax.psum(squares, axis_name)
    freedom = jnp.maximum(count - 1, 1)
    return jnp.sqrt(squares / freedom), mean, freedom
