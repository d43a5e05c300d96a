"""The general block norm over groups of filters, its parts, and the penalty it makes of a network."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.regularizers.groups import Grouping
from interpjax.regularizers.kernels import convolution_kernels
from interpjax.regularizers.norms import check_exponent, lp_norm

PyTree = Any


def group_norms(
    kernel: Float[Array, "*window filters"], grouping: Grouping, *, p: float = 2.0
) -> Float[Array, " groups"]:
    r"""ℓp norm of all the weights of each group of filters.

    .. math:: n_g = \Big(\sum_{i \in g} \|w_i\|_p^p\Big)^{1/p}

    Finite, with a finite gradient, for every ``p`` in [1, ∞], also where a group is all zero: the gradient
    there is 0.

    Args:
      kernel: weights with the filters on the last axis (HWIO for a convolution).
      grouping: which filters belong together; filters it leaves free are in no norm.
      p: the exponent, 1 to ``jnp.inf``.

    Returns:
      One norm per group, in the kernel's dtype (bfloat16 and float16 are accumulated in float32).

    Raises:
      ValueError: if p is below 1, or there are more groups than filters.

    References:
      Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021.
    """
    return _group_norms(kernel, grouping, p).astype(kernel.dtype)


def block_norm(
    kernel: Float[Array, "*window filters"], grouping: Grouping, *, p: float = 2.0, q: float = 1.0
) -> Float[Array, ""]:
    r"""The general block norm of one layer: the ℓq norm of the groups' ℓp norms.

    .. math:: \Omega(w) = \big\| (\|w_1\|_p, \dots, \|w_G\|_p) \big\|_q

    The gradient is :math:`(n_g/\Omega)^{q-1} (|w_{gi}|/n_g)^{p-1} \mathrm{sign}(w_{gi})` with 0/0 := 0; where a
    maximum is tied (p or q = ∞) the subgradient is shared evenly.

    Args:
      kernel: weights with the filters on the last axis (HWIO for a convolution).
      grouping: which filters belong together; filters it leaves free are in no norm.
      p: exponent inside a group, 1 to ``jnp.inf``.
      q: exponent across the groups, 1 to ``jnp.inf``.

    Returns:
      A scalar in the kernel's dtype (bfloat16 and float16 are accumulated in float32).

    Raises:
      ValueError: if p or q is below 1, or there are more groups than filters.

    References:
      Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021.
    """
    return _block_norm(kernel, grouping, p, q).astype(kernel.dtype)


def block_norm_penalty(
    params: PyTree, grouping: Grouping, *, p: float = 2.0, q: float = 1.0
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    r"""Sum of the block norms of all convolution kernels of a network, :math:`\sum_l \Omega(w^l)`.

    Args:
      params: a pytree of Flax parameters; its convolution kernels are found by name and rank.
      grouping: which filters of each layer belong together.
      p: exponent inside a group, 1 to ``jnp.inf``.
      q: exponent across the groups, 1 to ``jnp.inf``.

    Returns:
      The sum, and the value of each layer by its path (``"conv1"``, ``"block/conv2"``), in float32 or wider.

    Raises:
      ValueError: naming the layer, if the grouping does not fit it; if p or q is below 1; if ``params`` holds
        no convolution kernel.
    """
    layers = _each_layer(params, lambda kernel: _block_norm(kernel, grouping, p, q))
    return jnp.sum(jnp.stack(list(layers.values()))), layers


def group_relevance(
    variables: Mapping[str, PyTree], grouping: Grouping, *, p: float = 2.0
) -> dict[str, Float[Array, " groups"]]:
    r"""Relevance of every group of every convolution layer, :math:`\beta_{gl} = \|\tilde w_{gl}\|_p`.

    Args:
      variables: a network's variables, as ``model.init`` returns them.
      grouping: which filters of each layer belong together.
      p: the exponent, 1 to ``jnp.inf``.

    Returns:
      The group norms of each layer by its path.

    Raises:
      ValueError: as :func:`block_norm_penalty`.
    """
    return _each_layer(variables["params"], lambda kernel: group_norms(kernel, grouping, p=p))


def _group_norms(kernel: Array, grouping: Grouping, p: float) -> Array:
    check_exponent("p", p)
    # Sums of many squares lose digits in half precision: at 1e5 weights bfloat16 is off by more than 1 %.
    kernel = kernel.astype(jnp.promote_types(kernel.dtype, jnp.float32))
    groups = grouping.split(kernel)
    axes = tuple(axis for axis in range(groups.ndim) if axis != groups.ndim - 2)
    return lp_norm(groups, float(p), axes)


def _block_norm(kernel: Array, grouping: Grouping, p: float, q: float) -> Array:
    check_exponent("q", q)
    return lp_norm(_group_norms(kernel, grouping, p), float(q), (0,))


def _each_layer(params: PyTree, function) -> dict[str, Array]:
    values = {}
    for layer, kernel in convolution_kernels(params).items():
        try:
            values[layer] = function(kernel)
        except ValueError as error:
            raise ValueError(f"layer {layer}: {error}") from error
    return values
