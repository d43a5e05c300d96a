"""The optimizer of a configuration, with its learning rate and the proximal step that follows it."""

import functools
from collections.abc import Callable
from typing import Any

import optax
from ml_collections import ConfigDict

from interpjax.errors import UserError
from interpjax.imports import import_object
from interpjax.training import terms
from interpjax.training.optimizer import LearningRate, OptimizerSettings, ProximalStep
from interpjax.training.promotion import promoting
from interpjax.training.pruning import Pruning
from interpjax.training.terms import BlockNorm


def read_optimizer(config: ConfigDict, norm: BlockNorm) -> OptimizerSettings:
    """The configured optimizer.

    Args:
      config: the experiment.
      norm: the block norm. While it is on, the optimizer does not decay its kernels.
    """
    settings, block = config.optimizer, config.regularizer.block_norm
    rate = LearningRate(
        settings.learning_rate,
        settings.schedule,
        settings.decay_every_epochs,
        settings.decay_factor,
        settings.warmup_steps,
    )
    beside = norm if block.strength > 0 else None
    proximal = ProximalStep(read_strength(block), norm) if beside and block.proximal else None
    frozen, own = tuple(config.model.frozen), settings.pruning
    pruning = Pruning(own.sparsity, own.start, own.stop, tuple(own.layers), frozen) if own.sparsity > 0 else None
    return OptimizerSettings(_maker(config, beside), rate, proximal, settings.clip_norm, frozen, pruning)


def read_strength(settings: ConfigDict) -> optax.Schedule:
    """A term's strength at each step: it rises from 0 to the configured strength over the warm-up, if there is one."""
    if settings.warmup_steps:
        return promoting(optax.linear_schedule(0.0, settings.strength, settings.warmup_steps))
    return optax.constant_schedule(settings.strength)


def _maker(config: ConfigDict, beside: BlockNorm | None) -> Callable[[optax.Schedule], optax.GradientTransformation]:
    """What makes the optimizer: SGD with momentum as in the published recipes, Adam, or the user's own function."""
    settings = config.optimizer
    if settings.name == "adam":
        return optax.adam
    if settings.name == "adamw":
        mask = functools.partial(terms.decayed, beside=beside)
        return functools.partial(optax.adamw, weight_decay=settings.decoupled_weight_decay, mask=mask)
    if settings.name == "sgd":
        return functools.partial(optax.sgd, momentum=settings.momentum, nesterov=settings.nesterov)
    return _own(settings.name)


def _own(name: str) -> Callable[[optax.Schedule], optax.GradientTransformation]:
    make = import_object("config.optimizer.name", name)

    def own(schedule: optax.Schedule) -> optax.GradientTransformation:
        made: Any = make(schedule) if callable(make) else make
        if not (hasattr(made, "init") and hasattr(made, "update")):
            raise UserError(
                f"config.optimizer.name = {name!r}: it gave a {type(made).__name__}; expected a function of the "
                "learning rate (a schedule) that gives an optax.GradientTransformation"
            )
        return made

    return own
