"""The training loop: its steps, and what is due after some of them."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grain
import jax
import numpy as np

from interpjax import parallel, processes, stopping
from interpjax.data.images import SkippedImages
from interpjax.training.checkpoint import Checkpoints
from interpjax.training.evaluation import Evaluations
from interpjax.training.metrics import Log, MetricsWriter, StepLog, TrainingDivergedError
from interpjax.training.positions import joined, own_part
from interpjax.training.prefetch import Prefetch
from interpjax.training.profiling import Profile
from interpjax.training.recipe import Recipe
from interpjax.training.saved import Position
from interpjax.training.state import TrainState
from interpjax.training.step import TrainStep


@dataclasses.dataclass(frozen=True)
class Session:
    """One session of training: from the first step, or from a checkpoint, until the last step or until it is stopped.

    Attributes:
      recipe: how the network is trained.
      total: the number of the last step.
      train_step: takes a step on all devices.
      of_weights: measures the weights of a replicated network, on the first device.
      evaluations: evaluates the network on the way.
      checkpoints: of the run.
      batches: this process's training batches.
      skipped: collects the unreadable training images.
    """

    recipe: Recipe
    total: int
    train_step: TrainStep
    of_weights: Callable[[Any], Any]
    evaluations: Evaluations
    checkpoints: Checkpoints
    batches: grain.DatasetIterator
    skipped: SkippedImages

    def restore(self, state: TrainState, restarted_from: int | None) -> tuple[TrainState, Position]:
        """Reads the latest checkpoint, moves the batches to its position, and notes the images that it has left out.

        Args:
          state: the initial state, which is returned if there is no checkpoint.
          restarted_from: as of :func:`interpjax.training.train`.

        Returns:
          The state of the checkpoint, and its position.

        Raises:
          CheckpointError: if it cannot be read, or was written by another number of processes.
          UserError: if processes that run together see different checkpoints.
        """
        if processes.agreed("latest checkpoint", self.checkpoints.latest) is None:
            return state, Position()
        state, position = self.checkpoints.restore(state, anew_at=restarted_from)
        position = own_part(position)
        self.batches.set_state(position.data)
        self.skipped.names.update(position.skipped)
        return state, position

    def run(
        self, replicated: Any, first: int, position: Position, began: float, workdir: Path, log: Log | None
    ) -> None:
        """Takes all steps that are left.

        Args:
          replicated: the state, on all devices; it is donated.
          first: the number of steps that were taken before.
          position: where training stands.
          began: when this session began, by ``time.monotonic()``.
          workdir: the run's folder, which gets metrics, and the profile if one is made.
          log: as of :func:`interpjax.training.train`.

        Raises:
          BadImageError, CheckpointError, TrainingDivergedError, Stopped: as :func:`interpjax.training.train`.
          UserError: if none of the images to evaluate on could be read.
        """
        asked = parallel.Largest()
        if first < self.total:
            self.evaluations.read_sample()
        with (
            Prefetch(self.batches) as prefetch,
            Profile(workdir / "profile", self.recipe.profile_steps) as profile,
            MetricsWriter(workdir, from_step=first, log=log) as writer,
            StepLog(writer, self.total, first, self.recipe.duration.batch_size, position.skipped_steps) as lines,
            jax.transfer_guard("disallow"),  # allows only explicit transfers to and from the devices
            stopping.deferred(),
        ):
            for step in range(first + 1, self.total + 1):
                profile.before(step)
                batch, waited = prefetch.take()
                replicated, metrics = self.train_step(replicated, batch)
                if step < self.total:
                    prefetch.read_ahead(metrics)
                lines.add(step, metrics, waited)  # reads the metrics of earlier steps while this one is computed
                stop = asked(stopping.requested())
                profile.after(step, metrics)
                if stop or self._is_due(step, self.recipe.log_every_steps):
                    lines.close_line(self.of_weights(replicated.result))
                if self._is_due(step, self.recipe.eval_every_steps):
                    with lines.paused():
                        writer.write(step, self.evaluations.evaluate(replicated.result))
                    stop = stop or asked(stopping.requested())  # which takes long
                if stop or self._is_due(step, self.recipe.checkpoint_every_steps):
                    with lines.paused():
                        seconds = position.seconds + time.monotonic() - began
                        self._save(replicated, prefetch.position, seconds, lines.skipped_in_a_row())
                if stop:
                    raise stopping.Stopped(stop, f"step {step} of {self.total}")

    def _is_due(self, step: int, every: int) -> bool:
        return step == self.total or step % every == 0

    def _save(self, replicated: Any, data_position: dict[str, Any], seconds: float, skipped_steps: int) -> None:
        """Saves a checkpoint; raises TrainingDivergedError if a parameter in it is not finite."""
        reached = joined(Position(data_position, seconds, self.skipped.sorted(), skipped_steps))
        self.skipped.names.update(reached.skipped)
        state = parallel.first(replicated)
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.variables)):
            raise TrainingDivergedError(
                f"step {int(state.step)}: a parameter is not finite; lower config.optimizer.learning_rate"
            )
        self.checkpoints.save(state, reached)
