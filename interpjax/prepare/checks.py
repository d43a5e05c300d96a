"""Finding, without allocating anything, what would keep a network from being trained as configured."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import optax

from interpjax import models
from interpjax.errors import Problems, UserError
from interpjax.regularizers.kernels import check_patterns, select_kernels
from interpjax.training import Objective
from interpjax.training.optimizer import OptimizerSettings
from interpjax.training.terms import term_shape


def check_objective(objective: Objective, model: nn.Module, image_size: int, batch_size: int) -> None:
    """Holds every term against the shapes of a network.

    Args:
      objective: what is to be minimized.
      model: the network, for use outside of parallel steps.
      image_size: side of the images that it sees.
      batch_size: images of a step.

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
                    raise  # out of the user's own code
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
    """Finds patterns of ``grouping.by_layer`` that match no layer that any term is of.

    Args:
      patterns: of names of layers.
      params: the network's parameters, or their shapes.
      dense: whether layers without a convolution count too.

    Raises:
      UserError: naming the field.
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


def check_optimizer(optimizer: OptimizerSettings, name: str, params: Any) -> None:
    """Initializes an optimizer on the shapes of a network.

    Args:
      optimizer: of the recipe.
      name: that the configuration gives it.
      params: the network's parameters, or their shapes.

    Raises:
      UserError: naming the field.
    """
    try:
        made = optimizer.optimizer(optax.constant_schedule(1.0))
    except UserError:
        raise
    except ValueError as error:  # the block norm has no such proximal operator
        raise UserError(f"config.regularizer.block_norm: {error}") from error
    try:
        jax.eval_shape(made.init, params)
    except ValueError as error:  # of the one optimizer that asks something of the network
        raise UserError(
            f"config.regularizer.block_norm.proximal = True, config.optimizer.name = {name!r}: {error}"
        ) from error
