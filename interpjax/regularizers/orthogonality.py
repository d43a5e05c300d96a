"""Soft orthogonality: a penalty on how far the filters of one layer are from being orthonormal."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.regularizers.checks import check_kernel
from interpjax.regularizers.norms import at_least_float32, lp_norm


def soft_orthogonality(kernel: Float[Array, "*window filters"]) -> Float[Array, ""]:
    r"""Distance of a layer's filters from an orthonormal set.

    .. math:: \|W W^\top - I\|_F

    with a row of W for each filter. It cannot be 0 where there are more filters than weights in one.

    Args:
      kernel: weights with the filters on the last axis.

    Returns:
      A scalar in float32 or wider.

    Raises:
      ValueError: if the kernel is not of floating-point numbers.

    References:
      The published code of Varshneya et al., IJCAI 2021; Bansal, Chen, Wang, *Can We Gain More from Orthogonality
      Regularizations in Training Deep CNNs?*, NeurIPS 2018 (there squared).
    """
    check_kernel(kernel)
    rows = at_least_float32(kernel.reshape(-1, kernel.shape[-1]))
    return lp_norm(rows.T @ rows - jnp.eye(rows.shape[1], dtype=rows.dtype), 2.0, (0, 1))
