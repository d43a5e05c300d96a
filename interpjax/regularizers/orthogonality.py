"""Further penalties on the filters of one layer: soft orthogonality, and the exclusive lasso."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.regularizers.block_norm import block_norm
from interpjax.regularizers.checks import check_kernel
from interpjax.regularizers.groups import Grouping
from interpjax.regularizers.norms import lp_norm


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
    rows = kernel.reshape(-1, kernel.shape[-1]).astype(jnp.promote_types(kernel.dtype, jnp.float32))
    return lp_norm(rows.T @ rows - jnp.eye(rows.shape[1], dtype=rows.dtype), 2.0, (0, 1))


def exclusive_lasso(kernel: Float[Array, "*window filters"], grouping: Grouping) -> Float[Array, ""]:
    r"""Makes the weights *inside* a group compete, where the block norm makes the groups compete.

    .. math:: \tfrac12 \sum_g \|\tilde w_g\|_1^2

    It is the half-squared block norm of p = 1, q = 2, whose proximal operator is
    ``prox_block_norm(…, p=1, q=2, form="half_squared")``.

    Args:
      kernel: weights with the filters on the last axis.
      grouping: which filters belong together.

    Returns:
      A scalar in float32 or wider.

    Raises:
      ValueError: if the grouping does not fit.

    References:
      Zhou, Jin, Hoi, *Exclusive Lasso for Multi-task Feature Selection*, AISTATS 2010.
    """
    check_kernel(kernel)
    wide = kernel.astype(jnp.promote_types(kernel.dtype, jnp.float32))
    return 0.5 * jnp.square(block_norm(wide, grouping, p=1.0, q=2.0))
