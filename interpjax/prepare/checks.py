"""Finds what would keep a network from being trained as configured, without allocating any arrays."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import optax

from interpjax import models
from interpjax.data.splits import Deferred, Split
from interpjax.errors import Problems, UserError
from interpjax.regularizers.kernels import check_patterns, layer_name, matches, select_kernels
from interpjax.training import Objective, Recipe
from interpjax.training.optimizer import OptimizerSettings
from interpjax.training.terms import term_shape

MOST_STEPS = 2**31 - 1  # the number of a step is int32
MOST_DECAYS = 10_000


def check_objective(objective: Objective, model: nn.Module, image_size: int, batch_size: int) -> None:
    """Checks every term of an objective on the shapes of a network.

    Args:
      objective: the objective that is to be minimized.
      model: the network, for use outside of parallel steps.
      image_size: side in pixels of the images that the network sees.
      batch_size: number of images in a step.

    Raises:
      UserError: naming the fields of the terms that do not fit.
    """
    images = jax.ShapeDtypeStruct((batch_size, image_size, image_size, 3), "float32")
    shapes = jax.eval_shape(
        lambda variables, images: _inputs(objective, model, variables, images),
        models.outline(model, image_size).variables,
        images,
    )
    problems = Problems()
    for term in objective.terms:
        with problems.collected():
            try:
                value = term_shape(term, shapes)
            except ValueError as error:
                if term.own:
                    raise  # the error comes from the user's own code
                raise UserError(f"config.regularizer.{term.name}: {error}") from error
            if getattr(value, "shape", None) != ():
                found = f"an array of shape {value.shape}" if hasattr(value, "shape") else f"a {type(value).__name__}"
                raise UserError(f"config.regularizer.own: {term.name} gives {found}; expected a scalar")
    problems.raise_all()


def _inputs(objective: Objective, model: nn.Module, variables: Any, images: Any) -> tuple[Any, ...]:
    maps = models.apply_with_taps(model, variables, images, layers=objective.layers, stage="pre")[1]
    params = variables["params"] | objective.soft_fields.params()
    made = objective.inputs(params, maps, key=jax.random.key(0), axis_name=None)
    return made.params, made.maps, made.fields, made.key


def check_grouping(patterns: Sequence[str], params: Any, *, dense: bool) -> None:
    """Checks that every pattern of ``grouping.by_layer`` matches a layer.

    Args:
      patterns: the patterns of layers' names.
      params: the network's parameters, or their shapes.
      dense: whether dense layers count too, and not only convolutions.

    Raises:
      UserError: naming the field and the pattern that matches no layer.
    """
    kind = "layer" if dense else "convolution (of dense layers only with block_norm.dense)"

    def check(params: Any) -> None:
        kernels = select_kernels(params, dense=dense)
        check_patterns("config.regularizer.grouping.by_layer", patterns, kernels, kind=kind)

    if patterns:
        try:
            jax.eval_shape(check, params)
        except ValueError as error:
            raise UserError(str(error)) from error


def check_frozen(patterns: Sequence[str], params: Any) -> None:
    """Checks that every pattern of ``model.frozen`` matches a layer, and that a layer is left to train.

    Args:
      patterns: the patterns of layers' names.
      params: the network's parameters, or their shapes.

    Raises:
      UserError: naming the field and the pattern that matches no layer.
    """
    layers = dict.fromkeys(layer_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params))
    try:
        check_patterns("config.model.frozen", patterns, layers)
    except ValueError as error:
        raise UserError(str(error)) from error
    if patterns and all(matches(layer, patterns) for layer in layers):
        raise UserError(f"config.model.frozen = {tuple(patterns)!r}: no layer is left to train; leave one out")


def check_profile(steps: tuple[int, ...], total: int) -> None:
    """Raises UserError if the last step of a profile is beyond the training, which has ``total`` steps."""
    if steps and steps[-1] > total:
        raise UserError(
            f"config.training.profile_steps = {steps!r}: expected steps of the training, which has {total} of them"
        )


def check_optimizer(optimizer: OptimizerSettings, name: str, params: Any) -> None:
    """Checks that an optimizer can be initialized on the shapes of a network.

    Args:
      optimizer: the optimizer of the recipe.
      name: the name of the optimizer in the configuration.
      params: the network's parameters, or their shapes.

    Raises:
      UserError: naming the field, if the block norm's proximal step does not fit the optimizer or the network, or
        there is nothing to prune.
    """
    if (pruning := optimizer.pruning) is not None:
        try:
            jax.eval_shape(pruning.kernels, params)
        except ValueError as error:
            raise UserError(f"config.optimizer.pruning.layers = {pruning.layers!r}: {error}") from error
    if optimizer.proximal is None:
        jax.eval_shape(optimizer.optimizer(optax.constant_schedule(1.0), total=1).init, params)
        return  # an error above is of the user's own optimizer
    try:
        made = optimizer.optimizer(optax.constant_schedule(1.0), total=1)
    except UserError:
        raise
    except ValueError as error:  # the block norm has no such proximal operator
        raise UserError(f"config.regularizer.block_norm: {error}") from error
    try:
        jax.eval_shape(made.init, params)
    except ValueError as error:  # only the proximal step checks the network and the optimizer before it
        raise UserError(
            f"config.regularizer.block_norm.proximal = True, config.optimizer.name = {name!r}: {error}"
        ) from error


def check_length(recipe: Recipe, train: Split) -> None:
    """Checks the length of a training on its data, as far as their number is known before they are read.

    Args:
      recipe: how the network is trained.
      train: the images to train on.

    Raises:
      UserError: naming the field, if a batch is larger than the data, or there are too many steps or decays.
    """
    examples = train.known_length if isinstance(train, Deferred) else len(train)
    if examples is None:
        return
    duration, rate = recipe.duration, recipe.optimizer.learning_rate
    if duration.batch_size > examples:
        raise UserError(
            f"config.training.batch_size = {duration.batch_size}: expected at most {examples}, the number of training "
            "images"
        )
    steps = duration.steps(examples)
    if steps > MOST_STEPS:
        raise UserError(
            f"config.training.num_epochs = {duration.num_epochs}: {steps} steps with {examples} training images; "
            f"expected at most {MOST_STEPS}"
        )
    every = rate.decay_every_epochs * duration.steps_per_epoch(examples)
    if rate.schedule == "step" and steps / every > MOST_DECAYS:
        raise UserError(
            f"config.optimizer.decay_every_epochs = {rate.decay_every_epochs}: the learning rate would change more "
            f"than {MOST_DECAYS} times in {steps} steps; expected a larger number"
        )
