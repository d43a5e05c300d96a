"""The training of a configuration: the terms of its objective, its optimizer, and its duration."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import optax
from ml_collections import ConfigDict

from interpjax import models
from interpjax import regularizers as reg
from interpjax.errors import Problems, UserError
from interpjax.imports import import_object
from interpjax.models import Outline
from interpjax.prepare.checks import check_frozen, check_grouping, check_objective, check_optimizer
from interpjax.prepare.optimizers import read_optimizer, read_strength
from interpjax.regularizers.kernels import check_patterns, grouping_of, matches
from interpjax.training import Objective, Recipe, SoftFields, Term, terms
from interpjax.training.optimizer import Duration
from interpjax.training.terms import BlockNorm, Groupings


def read_recipe(config: ConfigDict, model: nn.Module, block: BlockNorm, grouping: Groupings) -> Recipe:
    """Reads how the network is trained, and checks that this fits the network.

    Args:
      config: the experiment.
      model: the network.
      block: the block norm, as :func:`read_block_norm` returns it.
      grouping: the grouping of filters, as :func:`read_grouping` returns it.

    Raises:
      UserError: naming the field, if a term of the objective or the optimizer does not fit the network.
    """
    alone, size, settings = models.outside_of_devices(model), config.data.image_size, config.training
    outline = models.outline(alone, size)
    found = _terms(config, outline, block, grouping)
    asked = Objective(tuple(term for term in found if not term.own)).layers
    objective = Objective(found, _soft_fields(config, outline, asked), settings.label_smoothing)
    recipe = Recipe(
        objective=objective,
        optimizer=read_optimizer(config, block),
        duration=Duration(settings.batch_size, settings.num_epochs, settings.num_steps),
        seed=config.seed,
        log_every_steps=settings.log_every_steps,
        eval_every_steps=settings.eval_every_steps,
        checkpoint_every_steps=settings.checkpoint_every_steps,
        keep_checkpoints=settings.keep_checkpoints,
        ema_decay=settings.ema_decay,
        skip_nonfinite=settings.on_nonfinite == "rollback",
        accumulate_steps=settings.accumulate_steps,
        profile_steps=tuple(settings.profile_steps),
    )
    params, problems = outline.variables["params"], Problems()
    with problems.collected():
        _check_split(config, model)
    with problems.collected():
        check_objective(objective, alone, size, settings.batch_size)
    with problems.collected():
        patterns = [pattern for pattern, _ in config.regularizer.grouping.by_layer]
        check_grouping(patterns, params, dense=config.regularizer.block_norm.dense)
    with problems.collected():
        check_frozen(config.model.frozen, params)
    with problems.collected():
        check_optimizer(recipe.optimizer, config.optimizer.name, params)
    problems.raise_all()
    return recipe


def read_grouping(config: ConfigDict) -> Groupings:
    """The configured grouping of filters by name pattern, as the regularizers take it.

    Raises:
      UserError: naming the field.
    """
    settings = config.regularizer.grouping
    shared = {"remainder": settings.remainder, "order": settings.order}
    instead = {name: settings[name] for name in ("group_size", "indices") if settings[name]}
    chosen = instead or {"num_groups": settings.num_groups}
    for entry in settings.by_layer:
        if isinstance(entry, str) or not isinstance(entry, Sequence) or [type(x) for x in entry] != [str, int]:
            raise UserError(
                f"config.regularizer.grouping.by_layer = {settings.by_layer!r}: expected pairs of a name pattern and a "
                "number of groups, as (('conv1', 8), ('conv5', 0)); of a single pair (('conv1', 8),), with the comma"
            )
    try:
        groupings: dict[str, reg.Grouping | None] = {}
        for pattern, count in settings.by_layer:  # the first that matches counts
            groupings.setdefault(pattern, reg.Grouping(num_groups=count, **shared) if count else None)
        groupings.setdefault("*", reg.Grouping(**chosen, **shared))
    except (TypeError, ValueError) as error:
        raise UserError(f"config.regularizer.grouping: {error}") from error
    return groupings


def read_block_norm(config: ConfigDict, grouping: Groupings) -> BlockNorm:
    """The settings of the block norm: its kernels and its exponents. They are read even if its strength is 0."""
    block = config.regularizer.block_norm
    own = {
        pattern: group and dataclasses.replace(group, axis=block.axis, weights=block.weights)
        for pattern, group in grouping.items()
    }
    return BlockNorm(own, block.axis, block.p, block.q, block.form, tuple(block.layers), block.dense)


def _terms(config: ConfigDict, outline: Outline, block: BlockNorm, grouping: Groupings) -> tuple[Term, ...]:
    """The terms with a strength above 0, and the user's own terms."""
    settings, problems = config.regularizer, Problems()
    beside = block if settings.block_norm.strength > 0 else None

    def mapped(name: str) -> tuple[str, ...]:
        return _mapped_layers(config, outline, name, grouping)

    makers: dict[str, Callable[[optax.Schedule, Any], Term]] = {
        "block_norm": lambda strength, own: terms.block_norm(strength, block, proximal=own.proximal),
        "weight_decay": lambda strength, own: terms.weight_decay(strength, tuple(own.layers), beside=beside),
        "soft_orthogonality": lambda strength, own: terms.soft_orthogonality(strength, tuple(own.layers)),
        "exclusive_lasso": lambda strength, own: terms.exclusive_lasso(strength, tuple(own.layers), grouping),
        "group_activation": lambda strength, own: terms.group_activation(
            strength, mapped("group_activation"), grouping, own.form
        ),
        "group_repulsion": lambda strength, own: terms.group_repulsion(
            strength, mapped("group_repulsion"), grouping, own.form
        ),
        "spatial": lambda strength, own: terms.spatial(strength, mapped("spatial")),
    }
    found: list[Term] = []
    for name, make in makers.items():
        if settings[name].strength > 0:
            with problems.collected():
                found.append(make(read_strength(settings[name]), settings[name]))
    with problems.collected():
        found += _own_terms(config, outline, tuple(makers))
    problems.raise_all()
    return tuple(found)


def _mapped_layers(config: ConfigDict, outline: Outline, name: str, grouping: Groupings) -> tuple[str, ...]:
    """The layers whose activation maps enter a loss."""
    patterns, known = tuple(config.regularizer[name].layers), _with_maps(outline)
    if not known:
        raise UserError(
            f"config.regularizer.{name}: {config.model.name} offers no layer before its non-linearity; expected a "
            'call of interpjax.models.offer(self, "conv1", pre=x, post=y) in its __call__'
        )
    try:
        check_patterns(f"config.regularizer.{name}.layers", patterns, known)
    except ValueError as error:
        raise UserError(str(error)) from error
    grouped = grouping if name != "spatial" else {"*": reg.Grouping()}
    layers = tuple(layer for layer in known if matches(layer, patterns) and grouping_of(layer, grouped) is not None)
    if not layers:
        raise UserError(
            f"config.regularizer.{name}.layers and grouping.by_layer leave out all of {', '.join(known)}; expected at "
            "least one to be left in"
        )
    return layers


def _with_maps(outline: Outline) -> tuple[str, ...]:
    """The layers whose maps may enter a loss on activations: the convolutions, or all layers if there is none."""
    names = [layer.name for layer in outline.layers if "pre" in layer.taps]
    return tuple(name for name in names if name in outline.convolutions) or tuple(names)


def _own_terms(config: ConfigDict, outline: Outline, names: tuple[str, ...]) -> list[Term]:
    field, found = "config.regularizer.own", dict[str, Term]()
    for entry in config.regularizer.own:
        if isinstance(entry, str) or not isinstance(entry, Sequence) or len(entry) != 2:
            raise UserError(
                f"{field} = {config.regularizer.own!r}: expected pairs, as (('mylosses:smoothness', 1e-3),)"
            )
        path, strength = entry
        function = import_object(field, path)
        if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength < math.inf:
            raise UserError(f"{field}: the strength of {path!r} is {strength!r}; expected a number of 0 or more")
        if strength == 0:
            continue
        if not callable(function):
            raise UserError(f"{field}: {path!r} is a {type(function).__name__}; expected a function of TermInputs")
        name = path.rpartition(":")[2].rpartition(".")[2]
        if name in (*names, *found):
            raise UserError(f"{field}: {path!r} is the second term of the name {name!r}; expected another name")
        layers = _with_maps(outline)  # maps that the function does not use are not computed
        found[name] = Term(name, optax.constant_schedule(float(strength)), function, layers, own=True)
    return list(found.values())


def _soft_fields(config: ConfigDict, outline: Outline, layers: tuple[str, ...]) -> SoftFields:
    settings = config.regularizer.soft_receptive_field
    if settings.statistics == "minibatch":
        return SoftFields(settings.scale, settings.shift, settings.learned)
    field = f"config.regularizer.soft_receptive_field.statistics = 'batch_norm': {config.model.name}'s"
    for layer in layers:
        if layer not in outline.batch_norms:
            raise UserError(
                f"{field} {layer} has none behind it; leave it out of the losses' layers, or use 'minibatch'"
            )
        if layer in outline.summed:
            raise UserError(
                f"{field} {layer} goes into a sum behind it, whose scale is not its batch norm's; leave it out of the "
                "losses' layers, or use 'minibatch'"
            )
    norms = {layer: outline.batch_norms[layer] for layer in layers}
    return SoftFields(settings.scale, settings.shift, settings.learned, norms)


def _check_split(config: ConfigDict, model: nn.Module) -> None:
    block, split = config.regularizer.block_norm, getattr(model, "split", ())
    if block.axis == "inputs" and block.strength > 0 and split:
        raise UserError(
            f"config.regularizer.block_norm.axis = 'inputs': the kernels of {', '.join(split)} are split over "
            f"halves of the input channels in {config.model.name}; choose 'filters'"
        )
