"""The spatial loss, which concentrates each activation map around one place."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.regularizers.checks import check_maps
from interpjax.regularizers.norms import at_least_float32


def spatial_loss(fields: Float[Array, "n h w c"], eps: float = 1e-4) -> Float[Array, ""]:
    r"""How far a map's mass lies from its centre, in pixels of the map, mean over minibatch and maps.

    .. math:: L_s(\psi) = \frac{\sum_j \psi_j \|j - c\|_2}{\sum_j \psi_j + \varepsilon}, \qquad
              c = \frac{\sum_j j\,\psi_j}{\sum_j \psi_j + \varepsilon}

    The background counts too: a map that is ½ nearly everywhere has its mass there. A negative P₂ lowers it.

    Args:
      fields: the soft receptive fields (:func:`soft_receptive_field`), or any maps of numbers of 0 or more.
      eps: added to both denominators (1e-4 in the published code).

    Returns:
      A scalar in float32 or wider.

    Raises:
      ValueError: naming the shape, if it is not that of maps.

    References:
      Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021, Sec. 3.
    """
    check_maps("fields", fields)
    fields = at_least_float32(fields)
    rows = jnp.arange(fields.shape[1], dtype=fields.dtype)[None, :, None, None]
    columns = jnp.arange(fields.shape[2], dtype=fields.dtype)[None, None, :, None]
    mass = jnp.sum(fields, axis=(1, 2), keepdims=True) + eps
    centre_row = jnp.sum(fields * rows, axis=(1, 2), keepdims=True) / mass
    centre_column = jnp.sum(fields * columns, axis=(1, 2), keepdims=True) / mass
    squared = jnp.square(rows - centre_row) + jnp.square(columns - centre_column)
    # Where the centre is on a pixel, its distance is 0 and the root has no derivative: 0 is the one in between.
    distance = jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1)), 0)
    return jnp.mean(jnp.sum(fields * distance, axis=(1, 2), keepdims=True) / mass)
