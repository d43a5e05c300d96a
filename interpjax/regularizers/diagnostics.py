"""Measures of trained groups: their relevance and sparsity, dead filters, and the similarity of activation maps."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from interpjax.regularizers.block_norm import group_norms
from interpjax.regularizers.checks import check_kernel, check_maps, check_shape
from interpjax.regularizers.group_activation import group_dissimilarity, group_repulsion_loss
from interpjax.regularizers.groups import Grouping
from interpjax.regularizers.kernels import Groupings, check_names, grouped_kernels, select_kernels

PyTree = Any
BATCH_NORM_EPS = 1e-5


def group_relevance(
    variables: Mapping[str, PyTree],
    grouping: Groupings,
    *,
    p: float = 2.0,
    batch_norms: Mapping[str, str] | None = None,
    eps: float = BATCH_NORM_EPS,
    dense: bool = False,
) -> dict[str, Float[Array, " groups"]]:
    r"""Relevance of every group of every convolution layer, :math:`\beta_{gl} = \|\tilde w_{gl}\|_p`.

    With batch norm behind a convolution the scale of its kernel means nothing to the network; what does is the
    kernel with batch norm folded in, :math:`\gamma w / \sqrt{\sigma^2 + \varepsilon}`.

    Args:
      variables: a network's variables, as ``model.init`` returns them, or its parameters alone (also nnx's state;
        folding needs linen's variables).
      grouping: which filters of each layer belong together, for all layers alike or by name pattern.
      p: the exponent, 1 to ``jnp.inf``, a Python number.
      batch_norms: ``{convolution: batch norm behind it}``, both as paths like ``"conv1"``. Batch norm is folded into
        these kernels; by default into none. ``models.outline(model).batch_norms`` are those of a network.
      eps: the ε of batch norm.
      dense: whether kernels of dense layers count too.

    Returns:
      The group norms of each layer, by the layer's path.

    Raises:
      ValueError: as in :func:`block_norm_penalty`; or naming the layer, if a convolution or its batch norm is missing.
    """
    norms = dict(batch_norms or {})
    if norms:
        _check_folding(variables, norms, dense)
    relevance = {}
    for layer, (kernel, group) in grouped_kernels(variables, grouping, dense=dense).items():
        try:
            check_kernel(kernel)
            if layer in norms:
                kernel = _folded(kernel, variables, norms[layer], eps)
            relevance[layer] = group_norms(kernel, group, p=p)
        except ValueError as error:
            raise ValueError(f"layer {layer}: {error}") from error
    return relevance


def zero_group_share(norms: Float[Array, " groups"]) -> Float[Array, ""]:
    """Share of groups whose norm is exactly 0, as proximal steps make it, and a gradient does not."""
    return jnp.mean(norms == 0, dtype=jnp.float32)


def hoyer_sparsity(norms: Float[Array, " groups"]) -> Float[Array, ""]:
    r"""Sparsity of group norms: 0 where all are equal, 1 where one is all there is.

    .. math:: \frac{\sqrt G - \|n\|_1 / \|n\|_2}{\sqrt G - 1}

    Returns:
      A scalar in [0, 1]; 0 for a single group, and where all norms are 0 (or too small for a normal float32).

    Raises:
      ValueError: naming the shape, if it is another.

    References:
      Hoyer, *Non-negative Matrix Factorization with Sparseness Constraints*, JMLR 2004.
    """
    check_shape("norms", norms, (None,), "[groups], as of group_norms")
    groups, largest = len(norms), jnp.max(norms)
    if groups == 1:
        return jnp.float32(0)
    ratio = norms.astype(jnp.float32) / jnp.where(largest > 0, largest, 1)
    length = jnp.sqrt(jnp.sum(jnp.square(ratio)))
    root = jnp.sqrt(jnp.float32(groups))
    sparsity = (root - jnp.sum(ratio) / jnp.where(length > 0, length, 1)) / (root - 1)
    return jnp.where(length > 0, jnp.clip(sparsity, 0, 1), 0)


def dead_filters(activations: Float[Array, "n h w c"]) -> Int[Array, ""]:
    """Number of filters that are nowhere above 0 on any image. It is the same for maps before and after ReLU."""
    check_maps("activations", activations)
    return jnp.sum(jnp.max(activations, axis=(0, 1, 2)) <= 0)


def group_similarities(
    fields: Float[Array, "n h w c"], grouping: Grouping, pairs: Int[Array, "pairs 2"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean similarity 1 − D of filters of one group, and of different groups (soft IoU of their fields).

    Where both are near 1, the maps collapsed into constants; where they are near each other, groups mean nothing.

    Args:
      fields: of :func:`soft_receptive_field`.
      grouping: two groups or more of two filters or more.
      pairs: of :func:`draw_pairs`.

    Returns:
      (within groups, between groups), each in [0, 1].

    Raises:
      ValueError: as :func:`group_repulsion_loss`.
    """
    within = 1 - jnp.mean(group_dissimilarity(fields, grouping, pairs))
    return within, group_repulsion_loss(fields, grouping, pairs)


def _check_folding(variables: Mapping[str, PyTree], batch_norms: Mapping[str, str], dense: bool) -> None:
    for name in ("params", "batch_stats"):
        if name not in variables:
            raise ValueError(f"variables: expected all of a network's, to fold batch norm in; these have no {name!r}")
    check_names("batch_norms", batch_norms, select_kernels(variables, dense=dense))


def _folded(kernel: Array, variables: Mapping[str, PyTree], norm: str, eps: float) -> Array:
    scale, variance = _find(variables["params"], norm, "scale"), _find(variables["batch_stats"], norm, "var")
    return kernel * (scale * jax.lax.rsqrt(variance + eps)).reshape((1,) * (kernel.ndim - 1) + (-1,))


def _find(tree: Any, norm: str, leaf: str) -> Array:
    for name in (*norm.split("/"), leaf):
        if name not in tree:
            raise ValueError(
                f"its batch norm {norm!r} has no {leaf!r} in the variables; expected the path of a batch norm"
            )
        tree = tree[name]
    return tree
