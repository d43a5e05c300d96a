"""The settings of learning rate and optimizer, and what is made of them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from interpjax import regularizers
from interpjax.regularizers.proximal_step import ProximalState
from interpjax.training.promotion import promoting, promoting_optimizer
from interpjax.training.pruning import Pruning, PruningState, prune
from interpjax.training.terms import BlockNorm, Patterns, of_layers


@dataclasses.dataclass(frozen=True)
class Duration:
    """How long training lasts.

    Attributes:
      batch_size: number of images in a step, in all processes together.
      num_epochs: how often every image is seen, on average. It need not be whole, as batches run on across epochs.
      num_steps: number of steps, which counts in place of ``num_epochs`` if it is above 0.
    """

    batch_size: int
    num_epochs: float
    num_steps: int = 0

    def steps_per_epoch(self, examples: int) -> float:
        """The number of steps in which as many examples are seen as there are."""
        return examples / self.batch_size

    def steps(self, examples: int) -> int:
        """The number of steps of the whole training."""
        return self.num_steps or max(1, round(self.num_epochs * self.steps_per_epoch(examples)))


@dataclasses.dataclass(frozen=True)
class LearningRate:
    """The learning rate over training.

    Attributes:
      start: the learning rate of the first step.
      schedule: ``"constant"``; ``"step"``, which multiplies it by a factor every so many epochs; or ``"cosine"``, which
        lowers it to 0 at the end.
      decay_every_epochs: number of epochs after which ``"step"`` multiplies the learning rate, each time.
      decay_factor: the factor by which ``"step"`` multiplies the learning rate.
      warmup_steps: number of steps over which a factor beside the schedule rises from 0 to 1.
    """

    start: float
    schedule: str
    decay_every_epochs: float
    decay_factor: float
    warmup_steps: int = 0

    def over(self, duration: Duration, examples: int) -> optax.Schedule:
        """The learning rate at each step of a training on this number of examples."""
        scheduled = self._scheduled(duration, examples)
        if not self.warmup_steps:
            return scheduled
        factor = optax.linear_schedule(0.0, 1.0, self.warmup_steps)
        return promoting(lambda step: factor(step) * scheduled(step))

    def _scheduled(self, duration: Duration, examples: int) -> optax.Schedule:
        total = duration.steps(examples)
        if self.schedule == "constant":
            return optax.constant_schedule(self.start)
        if self.schedule == "cosine":
            return promoting(optax.cosine_decay_schedule(self.start, total))
        every = self.decay_every_epochs * duration.steps_per_epoch(examples)
        drops = [round(every * i) for i in range(1, int(total / every) + 1)]
        return promoting(optax.piecewise_constant_schedule(self.start, dict.fromkeys(drops, self.decay_factor)))


@dataclasses.dataclass(frozen=True)
class ProximalStep:
    """The proximal step of the block norm, which follows the optimizer's own step."""

    strength: optax.Schedule
    block: BlockNorm


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """The settings of the whole optimizer.

    Attributes:
      make: makes an optimizer from the schedule of the learning rate, as :func:`optax.adam` does.
      learning_rate: the learning rate over training.
      proximal: the proximal step that follows the optimizer's step; None if there is none.
      clip_norm: gradients whose global norm is larger are scaled down to it before the optimizer; 0 if none are.
      frozen: name patterns of the layers whose parameters stay as they are. Their gradients count as 0.
      pruning: which weights become zero; None if none do.
    """

    make: Callable[[optax.Schedule], optax.GradientTransformation]
    learning_rate: LearningRate
    proximal: ProximalStep | None = None
    clip_norm: float = 0.0
    frozen: Patterns = ()
    pruning: Pruning | None = None

    def optimizer(self, schedule: optax.Schedule, total: int) -> optax.GradientTransformation:
        """The whole optimizer at this learning rate, for a training of ``total`` steps.

        Raises:
          ValueError: if the block norm has no proximal operator; when the optimizer is initialized, if a proximal step
            is to follow an adaptive optimizer, or there is nothing to prune.
        """
        made = self.make(schedule)
        if self.clip_norm:
            made = _clipped(made, self.clip_norm)
        optimizer = promoting_optimizer(made)
        if self.proximal is not None:
            optimizer = regularizers.proximal_block_norm(
                schedule, self.proximal.strength, optimizer=optimizer, **self.proximal.block.arguments()
            )
        if self.pruning is not None:
            optimizer = optax.chain(optimizer, prune(self.pruning, total))
        if not self.frozen:
            return optimizer
        still = optax.masked(optax.set_to_zero(), functools.partial(of_layers, patterns=self.frozen))
        return optax.chain(still, optimizer, still)  # first of gradients, then of what the optimizer adds


def memory_at(memory: Any, step: int) -> Any:
    """The memory of an optimizer that begins at a later step: its schedules stand at this step, and no more is known.

    Args:
      memory: as the optimizer initializes it.
      step: number of steps that were taken before.
    """
    by_step = (optax.ScaleByScheduleState, ProximalState, PruningState)

    def stands(state: Any) -> Any:
        return jax.tree.map(lambda count: jnp.full_like(count, step), state) if isinstance(state, by_step) else state

    return jax.tree.map(stands, memory, is_leaf=lambda state: isinstance(state, by_step))


def _clipped(optimizer: optax.GradientTransformation, norm: float) -> optax.GradientTransformation:
    """The optimizer behind a clipping of gradients. Its memory is the same, so it can go on with or without it."""
    clip, wrapped = optax.clip_by_global_norm(norm), optax.with_extra_args_support(optimizer)

    def update(updates: Any, state: Any, params: Any = None, **more: Any) -> Any:
        clipped, _ = clip.update(updates, optax.EmptyState(), params)
        return wrapped.update(clipped, state, params, **more)

    return optax.GradientTransformationExtraArgs(optimizer.init, update)
