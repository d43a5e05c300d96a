"""The general block norm over groups of filters, its parts, and the penalty it makes of a network."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.regularizers.checks import check_grouping, check_kernel
from interpjax.regularizers.groups import Grouping
from interpjax.regularizers.kernels import Groupings, grouped_kernels
from interpjax.regularizers.norms import at_least_float32, check_exponent, lp_norm

PyTree = Any
FORMS = ("norm", "power", "half_squared")


def group_norms(kernel: Float[Array, "*window filters"], grouping: Grouping, p: float = 2.0) -> Float[Array, " groups"]:
    r"""ℓp norm of all the weights of each group of filters.

    .. math:: n_g = \Big(\sum_{i \in g} \|w_i\|_p^p\Big)^{1/p}

    Finite, with a finite gradient, for every ``p`` in [1, ∞], also where a group is all zero: the gradient
    there is 0.

    Args:
      kernel: weights with the filters on the last axis (HWIO for a convolution).
      grouping: which filters belong together; filters it leaves free are in no norm.
      p: the exponent, 1 to ``jnp.inf``, a Python number (static under jit).

    Returns:
      One norm per group, in the kernel's dtype (bfloat16 and float16 are accumulated in float32).

    Raises:
      ValueError: if p is below 1, there are more groups than filters, or the kernel is not of floating-point numbers.

    References:
      Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021.
    """
    return _group_norms(kernel, grouping, p).astype(kernel.dtype)


def block_norm(
    kernel: Float[Array, "*window filters"], grouping: Grouping, p: float = 2.0, q: float = 1.0
) -> Float[Array, ""]:
    r"""The general block norm of one layer: the ℓq norm of the groups' ℓp norms.

    .. math:: \Omega(w) = \big\| (\|w_1\|_p, \dots, \|w_G\|_p) \big\|_q

    (each :math:`\|w_g\|_p` times the square root of the group's size, if the grouping says so).
    The gradient is :math:`(n_g/\Omega)^{q-1} (|w_{gi}|/n_g)^{p-1} \mathrm{sign}(w_{gi})` with 0/0 := 0; where a
    maximum is tied (p or q = ∞) the subgradient is shared evenly.

    Args:
      kernel: weights with the filters on the last axis (HWIO for a convolution).
      grouping: which filters belong together; filters it leaves free are in no norm.
      p: exponent inside a group, 1 to ``jnp.inf``, a Python number (static under jit).
      q: exponent across the groups, likewise.

    Returns:
      A scalar in the kernel's dtype (bfloat16 and float16 are accumulated in float32).

    Raises:
      ValueError: as :func:`group_norms`.

    References:
      Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021.
    """
    return _block_norm(kernel, grouping, p, q).astype(kernel.dtype)


def block_norm_penalty(
    params: PyTree,
    grouping: Groupings,
    p: float = 2.0,
    q: float = 1.0,
    *,
    form: str = "norm",
    layers: Sequence[str] = (),
    dense: bool = False,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    r"""Sum of the block norms of all convolution kernels of a network, :math:`\sum_l \Omega(w^l)`.

    Args:
      params: a pytree of Flax parameters (linen or nnx), or all of a linen network's variables; its kernels are
        found by name and rank.
      grouping: which filters of each layer belong together; or ``{name pattern: grouping}``, of which the first
        that matches a layer counts. None leaves the layer out, and so does a mapping with no pattern for it: write
        ``{"conv1": grouping, "*": default}`` to keep the others.
      p: exponent inside a group, 1 to ``jnp.inf``, a Python number (static under jit).
      q: exponent across the groups, likewise.
      form: ``"norm"`` Ω (as published), ``"power"`` Ω^q, ``"half_squared"`` ½Ω² (at p = q = 2, weight decay).
      layers: name patterns of the layers it is about; by default all. A pattern is a shell's, minds case, and is
        held against the layer's whole path: ``"conv[2-5]"``, ``"*/conv2"``.
      dense: whether kernels of dense layers count too.

    Returns:
      The sum, and the value of each layer by its path (``"conv1"``, ``"block/conv2"``), in float32 or wider.

    Raises:
      ValueError: naming the layer, if the grouping does not fit it; if p or q is below 1 or the form is none of
        the three; if ``params`` holds no such kernel, or a pattern matches none.
    """
    check_exponent("p", p)
    check_exponent("q", q)
    check_form(form, q)
    values = {}
    for layer, (kernel, group) in grouped_kernels(params, grouping, layers=layers, dense=dense).items():
        try:
            values[layer] = _form(_block_norm(kernel, group, p, q), form, q)
        except ValueError as error:
            raise ValueError(f"layer {layer}: {error}") from error
    return jnp.sum(jnp.stack(list(values.values()))), values


def check_form(form: str, q: float) -> None:
    """Raises ValueError unless ``form`` is one of a penalty, and defined for ``q``."""
    if form not in FORMS:
        raise ValueError(f"form = {form!r}: choose one of {', '.join(FORMS)}")
    if form == "power" and math.isinf(q):
        raise ValueError("form = 'power': expected a finite q for Ω^q, not inf")


def _form(norm: Array, form: str, q: float) -> Array:
    if form == "half_squared":
        return 0.5 * norm * norm
    return norm if form == "norm" or q == 1 else norm**q


def _group_norms(kernel: Array, grouping: Grouping, p: float) -> Array:
    check_exponent("p", p)
    check_kernel(kernel)
    check_grouping(grouping)
    groups = grouping.split(at_least_float32(kernel))
    axes = tuple(axis for axis in range(groups.ndim) if axis != groups.ndim - 2)
    return lp_norm(groups, float(p), axes)


def _block_norm(kernel: Array, grouping: Grouping, p: float, q: float) -> Array:
    check_exponent("q", q)
    norms = _group_norms(kernel, grouping, p)
    if grouping.weights != "none":
        norms = norms * jnp.asarray(grouping.factors(kernel), norms.dtype)
    return lp_norm(norms, float(q), (0,))
