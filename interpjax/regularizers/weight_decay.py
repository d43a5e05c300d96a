"""Weight decay as a penalty: the baseline of every comparison."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

PyTree = Any


def weight_decay_penalty(
    params: PyTree, *, include: Callable[[tuple, Any], bool] = lambda path, leaf: True
) -> Float[Array, ""]:
    r"""Half the squared ℓ2 norm of the parameters, :math:`\tfrac12 \sum \|w\|_2^2`.

    With plain SGD, adding λ times this to the loss is the weight decay λ of the published recipes (all
    parameters, biases and batch norm included).

    Args:
      params: a pytree of parameters.
      include: which leaves count, from their path in the pytree and their value; by default all.

    Returns:
      A scalar in float32 or wider; 0 if no leaf counts.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    counted = [leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)) for path, leaf in leaves if include(path, leaf)]
    return 0.5 * sum((jnp.sum(jnp.square(leaf)) for leaf in counted), start=jnp.float32(0))
