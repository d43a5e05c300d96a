"""Weight decay as a penalty: the baseline of every comparison."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.regularizers.kernels import check_names, layer_name, path_names
from interpjax.regularizers.norms import at_least_float32

PyTree = Any


def weight_decay_penalty(
    params: PyTree,
    *,
    include: Callable[[tuple, Any], bool] = lambda path, leaf: True,
    exclude: Collection[str] = (),
) -> Float[Array, ""]:
    r"""Half the squared ℓ2 norm of the parameters, :math:`\tfrac12 \sum \|w\|_2^2`.

    With plain SGD, adding λ times this to the loss is the weight decay λ of the published recipes (all
    parameters, biases and batch norm included). Beside a block norm, leave its kernels out::

        norm, by_layer = reg.block_norm_penalty(params, grouping)
        decay = reg.weight_decay_penalty(params, exclude=by_layer)

    Args:
      params: a pytree of parameters (linen or nnx). Of all variables of a linen network, only its parameters count.
      include: which leaves count, from their path in the pytree and their value; by default all.
      exclude: names of layers, as ``"block/conv2"``, whose kernels do not count; their biases do.

    Returns:
      A scalar in float32 or wider; 0 if no leaf counts.

    Raises:
      ValueError: if ``exclude`` names a layer that has no kernel.
    """
    if isinstance(params, Mapping) and isinstance(params.get("params"), Mapping):
        params = params["params"]  # not the statistics of batch norm
    leaves = jax.tree_util.tree_leaves_with_path(params)
    kernels = {path: layer_name(path) for path, _ in leaves if path_names(path)[-1:] == ("kernel",)}
    excluded = {exclude} if isinstance(exclude, str) else set(exclude)
    check_names("exclude", excluded, kernels.values())
    kept = [leaf for path, leaf in leaves if kernels.get(path) not in excluded and include(path, leaf)]
    counted = [at_least_float32(leaf) for leaf in kept]
    return 0.5 * sum((jnp.sum(jnp.square(leaf)) for leaf in counted), start=jnp.float32(0))
