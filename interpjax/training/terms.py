"""The terms of the objective that a configuration turns on, by a strength above 0."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from interpjax import regularizers as reg
from interpjax.regularizers.kernels import (
    check_patterns,
    grouping_of,
    layer_name,
    matches,
    path_names,
    select_kernels,
)
from interpjax.training.fields import FIELD_PARAMS, make_fields
from interpjax.training.grouping import make_grouping
from interpjax.training.objective import Objective, Term, TermInputs

PyTree = Any


def make_objective(config: ConfigDict, model: nn.Module, *, axis_name: str | None) -> Objective:
    """The objective of a configuration.

    Where the block norm is on, it replaces weight decay on the kernels it covers; weight decay then covers what is
    left, so that no array is decayed twice.

    Args:
      config: the experiment.
      model: the network, for the names of its layers.
      axis_name: of the devices that share a minibatch.

    Raises:
      ValueError: naming the field, if a pattern matches no layer or batch norm is asked for where there is none.
    """
    makers: dict[str, Callable[[ConfigDict], Callable[[TermInputs], Any]]] = {
        "block_norm": _block_norm,
        "weight_decay": _weight_decay,
        "soft_orthogonality": _soft_orthogonality,
        "exclusive_lasso": _exclusive_lasso,
    }
    terms = [
        Term(name, strength_schedule(config, name), maker(config), by_gradient=not _by_proximal_step(config, name))
        for name, maker in makers.items()
        if config.regularizer[name].strength > 0
    ]
    losses: dict[str, Callable] = {
        "group_activation": functools.partial(_pair_loss, reg.group_activation_loss),
        "group_repulsion": functools.partial(_pair_loss, reg.group_repulsion_loss),
        "spatial": _spatial,
    }
    for name, loss in losses.items():
        if config.regularizer[name].strength > 0:
            layers = _layers(config, model, name)
            terms.append(Term(name, strength_schedule(config, name), loss(config, name, layers, axis_name), layers))
    return Objective(tuple(terms), make_fields(config, model, axis_name))


def strength_schedule(config: ConfigDict, name: str) -> optax.Schedule:
    """A term's strength at each step: as configured, from 0 over its warm-up."""
    settings = config.regularizer[name]
    if settings.warmup_steps:
        return optax.linear_schedule(0.0, settings.strength, settings.warmup_steps)
    return optax.constant_schedule(settings.strength)


def block_norm_settings(config: ConfigDict) -> dict[str, Any]:
    """The block norm's arguments, for its penalty as for its proximal step."""
    block = config.regularizer.block_norm
    return {
        "grouping": make_grouping(config, axis=block.axis, weights=block.weights),
        "p": block.p,
        "q": block.q,
        "form": block.form,
        "layers": tuple(block.layers),
        "dense": block.dense,
    }


def check_term(config: ConfigDict, term: Term, params: PyTree, fields: PyTree) -> None:
    """Raises ValueError, naming the field, where a term does not fit a network (as more groups than filters).

    Args:
      config: the experiment.
      term: of the objective.
      params: the network's parameters, or their shapes.
      fields: soft receptive fields by layer, or their shapes.
    """
    try:
        jax.eval_shape(
            lambda params, fields: term.function(TermInputs(params, fields, jax.random.key(0))), params, fields
        )
    except ValueError as error:
        raise ValueError(f"config.regularizer.{term.name}: {error}") from error


def _by_proximal_step(config: ConfigDict, name: str) -> bool:
    return name == "block_norm" and config.regularizer.block_norm.proximal


def _block_norm(config: ConfigDict) -> Callable[[TermInputs], Any]:
    settings = block_norm_settings(config)
    return lambda inputs: reg.block_norm_penalty(inputs.params, **settings)[0]


def _weight_decay(config: ConfigDict) -> Callable[[TermInputs], Any]:
    patterns, block = tuple(config.regularizer.weight_decay.layers), config.regularizer.block_norm
    settings = block_norm_settings(config)
    selection = {name: settings[name] for name in ("grouping", "layers", "dense")}

    def penalty(inputs: TermInputs) -> Any:
        covered = reg.grouped_kernels(inputs.params, **selection) if block.strength > 0 else {}
        leaves = jax.tree_util.tree_leaves_with_path(inputs.params)
        check_patterns("layers", patterns, dict.fromkeys(layer_name(path) for path, _ in leaves))

        def include(path: tuple, leaf: Any) -> bool:
            del leaf
            return path_names(path)[0] != FIELD_PARAMS and matches(layer_name(path), patterns)

        return reg.weight_decay_penalty(inputs.params, include=include, exclude=covered)

    return penalty


def _soft_orthogonality(config: ConfigDict) -> Callable[[TermInputs], Any]:
    layers = tuple(config.regularizer.soft_orthogonality.layers)
    return lambda inputs: _sum(reg.soft_orthogonality(w) for w in select_kernels(inputs.params, layers=layers).values())


def _exclusive_lasso(config: ConfigDict) -> Callable[[TermInputs], Any]:
    layers, grouping = tuple(config.regularizer.exclusive_lasso.layers), make_grouping(config)

    def penalty(inputs: TermInputs) -> Any:
        groupings = {layer: grouping_of(layer, grouping) for layer in reg.convolution_kernels(inputs.params)}
        kernels = reg.grouped_kernels(inputs.params, groupings, layers=layers)  # those of dense layers are not its own
        return _sum(reg.exclusive_lasso(kernel, group) for kernel, group in kernels.values())

    return penalty


def _pair_loss(
    loss: Callable, config: ConfigDict, name: str, layers: tuple[str, ...], axis_name: str | None
) -> Callable[[TermInputs], Any]:
    """The mean over layers of a loss on pairs of filters, drawn anew for each layer and step."""
    grouping, form = make_grouping(config), config.regularizer[name].form

    def mean(inputs: TermInputs) -> Any:
        values = []
        for number, layer in enumerate(layers):
            group, fields = grouping_of(layer, grouping), inputs.fields[layer]
            assert group is not None, layer  # those are not in layers
            try:
                pairs = reg.draw_pairs(jax.random.fold_in(inputs.key, number), group, fields.shape[-1])
                values.append(loss(fields, group, pairs, form, axis_name=axis_name))
            except ValueError as error:
                raise ValueError(f"layer {layer}: {error}") from error
        return _sum(values) / len(layers)

    return mean


def _spatial(config: ConfigDict, name: str, layers: tuple[str, ...], axis_name: str | None) -> Callable:
    del config, name, axis_name  # a mean over images: the mean of the devices' is that of them all
    return lambda inputs: _sum(reg.spatial_loss(inputs.fields[layer]) for layer in layers) / len(layers)


def _layers(config: ConfigDict, model: nn.Module, name: str) -> tuple[str, ...]:
    patterns = tuple(config.regularizer[name].layers)
    known: dict[str, None] = dict.fromkeys(model.conv_layers)
    check_patterns(f"config.regularizer.{name}.layers", patterns, known)
    grouped = make_grouping(config) if name != "spatial" else {"*": reg.Grouping()}
    layers = tuple(layer for layer in known if matches(layer, patterns) and grouping_of(layer, grouped) is not None)
    if not layers:
        raise ValueError(f"config.regularizer.{name}.layers and grouping.by_layer leave out all of {', '.join(known)}")
    return layers


def _sum(values: Any) -> Any:
    return sum(values, start=jnp.float32(0))
