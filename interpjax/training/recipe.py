"""How a network is trained: what is minimized, by which optimizer, how long, and what is done on the way."""

import dataclasses

from interpjax.training.objective import Objective
from interpjax.training.optimizer import Duration, OptimizerSettings


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
      objective: what is minimized.
      optimizer: the settings of the optimizer.
      duration: how long training lasts.
      seed: the seed of initialization and dropout.
      log_every_steps: steps between two lines of metrics.
      eval_every_steps: steps between two evaluations.
      checkpoint_every_steps: steps between two checkpoints.
      keep_checkpoints: how many of the latest checkpoints are kept.
      ema_decay: the decay of the moving average of the variables; 0 if none is kept.
      skip_nonfinite: whether a step whose loss or gradients are not finite is left out; otherwise the loss is an error.
      accumulate_steps: number of micro-batches of which a step takes the mean gradient, one after the other.
      profile_steps: the first and the last step of the profile that is made; empty if none is.
    """

    objective: Objective
    optimizer: OptimizerSettings
    duration: Duration
    seed: int
    log_every_steps: int
    eval_every_steps: int
    checkpoint_every_steps: int
    keep_checkpoints: int
    ema_decay: float = 0.0
    skip_nonfinite: bool = False
    accumulate_steps: int = 1
    profile_steps: tuple[int, ...] = ()
