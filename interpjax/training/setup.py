"""A network ready to be trained, checked, or read back, as a configuration says."""

from pathlib import Path

import flax.linen as nn
import jax
import optax
from ml_collections import ConfigDict

from interpjax import models, parallel
from interpjax.training import optimizer as optimizer_lib
from interpjax.training.checkpoint import Checkpoints
from interpjax.training.fields import field_params
from interpjax.training.grouping import check_groupings
from interpjax.training.state import TrainState, create_train_state
from interpjax.training.terms import check_term, make_objective


def check(config: ConfigDict, model: models.Classifier) -> None:
    """Finds, without allocating anything, what would keep a network from being trained as configured.

    Raises:
      ValueError: naming the field, if the batch size does not fit the devices, the image size the network, or a
        term of the objective its layers.
    """
    parallel.check_batch_size("config.training.batch_size", config.training.batch_size)
    alone, size = model.clone(axis_name=None), config.data.image_size
    images = jax.ShapeDtypeStruct((config.training.batch_size, size, size, 3), "float32")
    try:
        variables = jax.eval_shape(lambda x: alone.init(jax.random.key(0), x), images)
    except ValueError as error:
        raise ValueError(f"config.data.image_size = {size}: {error}") from error
    check_groupings(config, variables["params"])
    block = config.regularizer.block_norm
    if block.axis == "inputs" and block.strength > 0 and model.split:
        raise ValueError(
            f"config.regularizer.block_norm.axis = 'inputs': the kernels of {', '.join(model.split)} are split over "
            f"halves of the input channels in {config.model.name}; choose 'filters'"
        )
    objective = make_objective(config, alone, axis_name=None)

    def fields(variables, images):
        maps = models.apply_with_taps(alone, variables, images, layers=objective.layers, stage="pre")[1]
        return objective.fields_fn(variables["params"], maps)

    shapes = jax.eval_shape(fields, variables, images)
    for term in objective.terms:
        check_term(config, term, variables["params"], shapes)
    optimizer = optimizer_lib.make_optimizer(config, optax.constant_schedule(1.0))
    try:
        jax.eval_shape(optimizer.init, variables["params"])
    except ValueError as error:  # of the one optimizer that asks something of the network
        raise ValueError(
            f"config.regularizer.block_norm.proximal = True, config.optimizer.name = {config.optimizer.name!r}: {error}"
        ) from error


def restore_state(config: ConfigDict, model: nn.Module, workdir: Path) -> TrainState:
    """The state of a workdir's latest checkpoint, as numpy arrays.

    Raises:
      CheckpointError: if there is none, or it cannot be read.
    """
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore(_state_shapes(config, model))[0]


def _state_shapes(config: ConfigDict, model: nn.Module) -> TrainState:
    optimizer = optimizer_lib.make_optimizer(config, optax.constant_schedule(1.0))  # its memory has the same shape
    return jax.eval_shape(lambda: create_state(config, model, optimizer))


def create_state(config: ConfigDict, model: nn.Module, optimizer: optax.GradientTransformation) -> TrainState:
    """The network at its start, with whatever else the configuration trains."""
    return create_train_state(
        model,
        optimizer,
        image_size=config.data.image_size,
        seed=config.seed,
        further_params=field_params(config),
    )
