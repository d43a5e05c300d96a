"""The exclusive lasso: a penalty under which the weights inside each group compete."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.regularizers.block_norm import block_norm
from interpjax.regularizers.checks import check_kernel
from interpjax.regularizers.groups import Grouping
from interpjax.regularizers.norms import at_least_float32


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
    return 0.5 * jnp.square(block_norm(at_least_float32(kernel), grouping, p=1.0, q=2.0))
