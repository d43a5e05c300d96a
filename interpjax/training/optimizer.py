"""Learning rates and optimizers by configuration."""

import optax
from ml_collections import ConfigDict

from interpjax import regularizers
from interpjax.training.terms import block_norm_settings, strength_schedule


def num_steps(config: ConfigDict, train_examples: int) -> int:
    """Steps of the whole training: ``training.num_steps``, or that many epochs' worth of full batches."""
    if config.training.num_steps:
        return config.training.num_steps
    return max(1, round(config.training.num_epochs * steps_per_epoch(config, train_examples)))


def steps_per_epoch(config: ConfigDict, train_examples: int) -> float:
    """Batches that hold as many examples as there are; not a whole number, as batches run on across epochs."""
    return train_examples / config.training.batch_size


def make_schedule(config: ConfigDict, train_examples: int) -> optax.Schedule:
    """The learning rate at each step: constant, divided in steps of epochs, or cosine to 0 at the end."""
    settings = config.optimizer
    total = num_steps(config, train_examples)
    if settings.schedule == "constant":
        return optax.constant_schedule(settings.learning_rate)
    if settings.schedule == "cosine":
        return optax.cosine_decay_schedule(settings.learning_rate, total)
    every = settings.decay_every_epochs * steps_per_epoch(config, train_examples)
    drops = [round(every * i) for i in range(1, int(total / every) + 1)]
    return optax.piecewise_constant_schedule(settings.learning_rate, dict.fromkeys(drops, settings.decay_factor))


def make_optimizer(config: ConfigDict, schedule: optax.Schedule) -> optax.GradientTransformation:
    """SGD with momentum as in the published recipes, or Adam; with a proximal step of the block norm if so configured.

    Raises:
      ValueError: if the block norm has no proximal operator; on ``init``, if Adam is to make a proximal step.
    """
    if config.optimizer.name == "adam":
        optimizer = optax.adam(schedule)
    else:
        optimizer = optax.sgd(schedule, momentum=config.optimizer.momentum)
    block = config.regularizer.block_norm
    if not (block.proximal and block.strength > 0):
        return optimizer
    strength = strength_schedule(config, "block_norm")
    try:
        return regularizers.proximal_block_norm(schedule, strength, optimizer=optimizer, **block_norm_settings(config))
    except ValueError as error:
        raise ValueError(f"config.regularizer.block_norm: {error}") from error
