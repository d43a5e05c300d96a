"""The terms that an objective may have: regularizers with their settings, as functions of :class:`TermInputs`."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from interpjax import regularizers as reg
from interpjax.regularizers.kernels import (
    check_patterns,
    grouping_of,
    layer_name,
    matches,
    path_names,
    select_kernels,
)
from interpjax.training.objective import FIELD_PARAMS, Term, TermInputs

PyTree = Any
Groupings = Mapping[str, reg.Grouping | None]  # by name pattern; the first that matches a layer counts
Patterns = tuple[str, ...]
REPULSION_DRAWS = 2**16  # added to a layer's number, so that the two losses on pairs draw different pairs


@dataclasses.dataclass(frozen=True)
class BlockNorm:
    """The settings of a network's block norm: which kernels it covers, and its exponents.

    Attributes:
      grouping: the grouping of each layer, by name pattern, along the axis that is grouped.
      axis: the axis that is grouped, ``"filters"`` or ``"inputs"``.
      p: exponent within a group.
      q: exponent over the groups.
      form: as in :func:`interpjax.regularizers.block_norm_penalty`.
      layers: name patterns of the layers that it covers; all layers if it is empty.
      dense: whether it covers kernels of dense layers too.
    """

    grouping: Groupings
    axis: str = "filters"
    p: float = 2.0
    q: float = 1.0
    form: str = "norm"
    layers: Patterns = ()
    dense: bool = False

    def arguments(self) -> dict[str, Any]:
        """The arguments that the penalty and the proximal step share."""
        return {name: getattr(self, name) for name in ("grouping", "p", "q", "form", "layers", "dense")}

    def kernels(self, params: PyTree) -> dict[str, Any]:
        """The kernels that the block norm covers, each with its grouping."""
        return reg.grouped_kernels(params, self.grouping, layers=self.layers, dense=self.dense)


def block_norm(strength: optax.Schedule, block: BlockNorm, *, proximal: bool) -> Term:
    """The block norm, which is minimized by its gradient or by the optimizer's proximal step."""

    def penalty(inputs: TermInputs) -> Any:
        return reg.block_norm_penalty(inputs.params, **block.arguments())[0]

    return Term("block_norm", strength, penalty, by_gradient=not proximal)


def weight_decay(strength: optax.Schedule, layers: Patterns, *, beside: BlockNorm | None) -> Term:
    """Weight decay of all parameters but the kernels of the block norm beside it, so that none is decayed twice."""

    def penalty(inputs: TermInputs) -> Any:
        covered = beside.kernels(inputs.params) if beside else {}
        leaves = jax.tree_util.tree_leaves_with_path(inputs.params)
        check_patterns("layers", layers, dict.fromkeys(layer_name(path) for path, _ in leaves))

        def include(path: tuple, leaf: Any) -> bool:
            del leaf
            return _is_of_layers(path, layers)

        return reg.weight_decay_penalty(inputs.params, include=include, exclude=covered)

    return Term("weight_decay", strength, penalty)


def decayed(params: PyTree, *, beside: BlockNorm | None) -> PyTree:
    """Whether each parameter is decayed in an optimizer's own step: all but the kernels of the block norm beside it."""
    covered = beside.kernels(params) if beside else {}

    def include(path: tuple, leaf: Any) -> bool:
        del leaf
        return _is_of_layers(path, ()) and not (path_names(path)[-1] == "kernel" and layer_name(path) in covered)

    return jax.tree_util.tree_map_with_path(include, params)


def of_layers(params: PyTree, *, patterns: Patterns) -> PyTree:
    """Whether each parameter is of a layer whose name matches one of some patterns."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: _is_of_layers(path, patterns), params)


def _is_of_layers(path: tuple, patterns: Patterns) -> bool:
    """Whether a parameter is of a layer whose name matches, of any layer without patterns; soft fields' are of none."""
    return path_names(path)[0] != FIELD_PARAMS and matches(layer_name(path), patterns)


def soft_orthogonality(strength: optax.Schedule, layers: Patterns) -> Term:
    """Soft orthogonality, summed over the layers."""

    def penalty(inputs: TermInputs) -> Any:
        return _sum(reg.soft_orthogonality(kernel) for kernel in select_kernels(inputs.params, layers=layers).values())

    return Term("soft_orthogonality", strength, penalty)


def exclusive_lasso(strength: optax.Schedule, layers: Patterns, grouping: Groupings) -> Term:
    """The exclusive lasso, summed over the convolutions. It does not cover dense layers."""

    def penalty(inputs: TermInputs) -> Any:
        groupings = {layer: grouping_of(layer, grouping) for layer in reg.convolution_kernels(inputs.params)}
        kernels = reg.grouped_kernels(inputs.params, groupings, layers=layers)
        return _sum(reg.exclusive_lasso(kernel, group) for kernel, group in kernels.values())

    return Term("exclusive_lasso", strength, penalty)


def group_activation(strength: optax.Schedule, layers: tuple[str, ...], grouping: Groupings, form: str) -> Term:
    """The group activation loss, as its mean over the layers."""
    function = _pair_loss(reg.group_activation_loss, layers, grouping, form, draws=0)
    return Term("group_activation", strength, function, layers)


def group_repulsion(strength: optax.Schedule, layers: tuple[str, ...], grouping: Groupings, form: str) -> Term:
    """The similarity of filters of different groups, as its mean over the layers."""
    function = _pair_loss(reg.group_repulsion_loss, layers, grouping, form, draws=REPULSION_DRAWS)
    return Term("group_repulsion", strength, function, layers)


def spatial(strength: optax.Schedule, layers: tuple[str, ...]) -> Term:
    """The spatial loss, as its mean over the layers. The mean over devices is then the mean over all images."""

    def mean(inputs: TermInputs) -> Any:
        return _sum(reg.spatial_loss(inputs.fields[layer]) for layer in layers) / len(layers)

    return Term("spatial", strength, mean, layers)


def term_shape(term: Term, shapes: tuple[PyTree, ...]) -> Any:
    """The shape of a term's value, found without computing anything.

    Args:
      term: a term of the objective.
      shapes: the shapes of its inputs: params, maps, fields and key.

    Raises:
      ValueError: if the term does not fit the network, as with more groups than filters.
    """

    def of(params: PyTree, maps: PyTree, fields: PyTree, key: jax.Array) -> Any:
        return term.function(TermInputs(params, maps, fields, key, axis_name=None))

    return jax.eval_shape(of, *shapes)


def _pair_loss(
    loss: Callable, layers: tuple[str, ...], grouping: Groupings, form: str, *, draws: int
) -> Callable[[TermInputs], Any]:
    """The mean over layers of a loss on pairs of filters, drawn anew for each layer and step."""

    def mean(inputs: TermInputs) -> Any:
        values = []
        for number, layer in enumerate(layers):
            group, fields = grouping_of(layer, grouping), inputs.fields[layer]
            assert group is not None, layer  # layers that the grouping leaves out are not among these
            try:
                pairs = reg.draw_pairs(jax.random.fold_in(inputs.key, draws + number), group, fields.shape[-1])
                values.append(loss(fields, group, pairs, form, axis_name=inputs.axis_name))
            except ValueError as error:
                raise ValueError(f"layer {layer}: {error}") from error
        return _sum(values) / len(layers)

    return mean


def _sum(values: Any) -> Any:
    return sum(values, start=jnp.float32(0))
