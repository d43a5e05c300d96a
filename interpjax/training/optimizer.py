"""Learning rates and optimizers."""

import dataclasses
from collections.abc import Callable

import optax

from interpjax import regularizers
from interpjax.training.promotion import promoting, promoting_optimizer
from interpjax.training.terms import BlockNorm


@dataclasses.dataclass(frozen=True)
class Duration:
    """How long training lasts.

    Attributes:
      batch_size: images of a step, of all processes together.
      num_epochs: times that every image is seen, on average; not a whole number, as batches run on across epochs.
      num_steps: if above 0, in place of ``num_epochs``.
    """

    batch_size: int
    num_epochs: float
    num_steps: int = 0

    def steps_per_epoch(self, examples: int) -> float:
        """Batches that hold as many examples as there are."""
        return examples / self.batch_size

    def steps(self, examples: int) -> int:
        """Steps of the whole training."""
        return self.num_steps or max(1, round(self.num_epochs * self.steps_per_epoch(examples)))


@dataclasses.dataclass(frozen=True)
class LearningRate:
    """The learning rate over training.

    Attributes:
      start: that of the first step.
      schedule: ``"constant"``, ``"step"``, or ``"cosine"``, to 0 at the end.
      decay_every_epochs: of ``"step"``: after so many epochs each time
      decay_factor: it is multiplied by this.
    """

    start: float
    schedule: str
    decay_every_epochs: float
    decay_factor: float

    def over(self, duration: Duration, examples: int) -> optax.Schedule:
        """The learning rate at each step of a training on so many examples."""
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
    """The block norm's proximal step, which comes after the optimizer's own."""

    strength: optax.Schedule
    block: BlockNorm


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """What makes the steps.

    Attributes:
      make: from the schedule of the learning rate to an optimizer, as :func:`optax.adam`.
      learning_rate: over training.
      proximal: the step that follows the optimizer's, if there is one.
    """

    make: Callable[[optax.Schedule], optax.GradientTransformation]
    learning_rate: LearningRate
    proximal: ProximalStep | None = None

    def optimizer(self, schedule: optax.Schedule) -> optax.GradientTransformation:
        """The whole optimizer at this learning rate.

        Raises:
          ValueError: if the block norm has no proximal operator; on ``init``, if an adaptive optimizer is to make a
            proximal step.
        """
        optimizer = promoting_optimizer(self.make(schedule))
        if self.proximal is None:
            return optimizer
        return regularizers.proximal_block_norm(
            schedule, self.proximal.strength, optimizer=optimizer, **self.proximal.block.arguments()
        )
