"""The training loop."""

import dataclasses
import functools
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import flax.linen as nn
import grain
import jax
import numpy as np
import optax
from ml_collections import ConfigDict
from tqdm import tqdm

from interpjax import parallel
from interpjax.data import Source
from interpjax.data.images import SkippedImages
from interpjax.data.pipeline import train_iterator
from interpjax.training import diagnostics
from interpjax.training import optimizer as optimizer_lib
from interpjax.training.checkpoint import Checkpoints, Progress
from interpjax.training.evaluation import evaluate, sample_images
from interpjax.training.metrics import MetricsWriter, progress_bar
from interpjax.training.setup import create_state
from interpjax.training.state import TrainState
from interpjax.training.step import make_eval_step, make_train_step
from interpjax.training.terms import make_objective


class TrainingDivergedError(RuntimeError):
    """The loss is not a finite number."""


@dataclasses.dataclass(frozen=True)
class Training:
    """The outcome of training.

    Attributes:
      num_steps: that were taken, over all sessions.
      earlier_seconds: that sessions before this one spent, when the training was cut off.
      skipped: names of unreadable images that were left out.
    """

    num_steps: int
    earlier_seconds: float
    skipped: tuple[str, ...]


def train(config: ConfigDict, model: nn.Module, source: Source, workdir: Path) -> Training:
    """Trains a network to its last step, going on from the latest checkpoint if there is one.

    Args:
      config: the experiment.
      model: the network, with ``axis_name`` as :data:`interpjax.parallel.AXIS` if it has batch norm.
      source: the data.
      workdir: gets checkpoints and metrics.

    Raises:
      BadImageError: on an unreadable image, unless those are to be skipped.
      CheckpointError: if a checkpoint cannot be written or read.
      TrainingDivergedError: if the loss is not finite; the checkpoints are from before.
    """
    schedule = optimizer_lib.make_schedule(config, len(source.train))
    optimizer = optimizer_lib.make_optimizer(config, schedule)
    objective = make_objective(config, model, axis_name=parallel.AXIS)
    state = create_state(config, model, optimizer)
    skipped = SkippedImages()
    batches = train_iterator(source.train, config, skipped, shard=parallel.shard())
    progress = Progress({}, 0.0, ())
    scales = {"mean": config.data.mean, "std": config.data.std}
    step = make_train_step(model, optimizer, objective, seed=config.seed, **scales)
    total = optimizer_lib.num_steps(config, len(source.train))
    with Checkpoints(workdir, keep=config.training.keep_checkpoints) as checkpoints:
        if checkpoints.latest is not None:
            state, progress = checkpoints.restore(state)
            batches.set_state(progress.data)
            skipped.names.update(progress.skipped)
        with MetricsWriter(workdir, from_step=int(state.step)) as writer:
            run = _Run(config, source, total, schedule, batches, checkpoints, writer, skipped, progress.seconds)
            run.to_the_end(step, make_eval_step(model, **scales), _Diagnostics(config, model, source), state)
    return Training(total, progress.seconds, tuple(sorted(skipped.names)))


@dataclasses.dataclass
class _Run:
    """One session of training: what stays the same from step to step."""

    config: ConfigDict
    source: Source
    total: int
    schedule: optax.Schedule
    batches: grain.DatasetIterator
    checkpoints: Checkpoints
    writer: MetricsWriter
    skipped: SkippedImages
    earlier_seconds: float

    def to_the_end(self, train_step, eval_step, groups: "_Diagnostics", state: TrainState) -> None:
        settings, start = self.config.training, time.monotonic()
        skipped_in_tests = SkippedImages()  # they are counted when the finished network is evaluated
        first, pending, logged = int(state.step), [], time.monotonic()
        replicated = parallel.replicate(state)
        if 0 < first < self.total:
            print(f"going on from step {first} of {self.total}", file=sys.stderr)
        with progress_bar("train", self.total * settings.batch_size, first * settings.batch_size) as bar:
            for step in range(first + 1, self.total + 1):
                replicated, metrics = train_step(replicated, parallel.split_batch(next(self.batches)))
                pending.append(metrics)
                bar.update(settings.batch_size)
                at_end = step == self.total
                if at_end or step % settings.log_every_steps == 0:
                    self._log(step, pending, logged, bar, functools.partial(groups.of_weights, replicated.variables))
                    pending, logged = [], time.monotonic()
                if at_end or step % settings.eval_every_steps == 0:
                    scores = evaluate(self.config, eval_step, replicated.variables, self.source, skipped_in_tests)
                    metrics = {f"eval/{name}": value for name, value in scores.items()}
                    self.writer.write(step, metrics | groups.of_maps(replicated.variables))
                    logged = time.monotonic()
                if at_end or step % settings.checkpoint_every_steps == 0:
                    self._save(parallel.first(replicated), time.monotonic() - start)

    def _log(self, step: int, pending: list, since: float, bar: tqdm, groups: Callable[[], dict[str, float]]) -> None:
        metrics = _read(step, pending)  # waits for the devices, so that the speed is theirs
        speed = len(pending) * self.config.training.batch_size / (time.monotonic() - since)
        learning_rate = float(np.asarray(self.schedule(step - 1)))
        speeds = {"learning_rate": learning_rate, "images_per_second": speed}
        self.writer.write(step, metrics | speeds | groups())
        bar.set_postfix_str(f"loss {metrics['loss']:.4f}, accuracy {metrics['accuracy']:.3f}", refresh=False)

    def _save(self, state: TrainState, seconds: float) -> None:
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.variables)):
            raise TrainingDivergedError(
                f"step {int(state.step)}: a parameter is not finite; lower config.optimizer.learning_rate"
            )
        position = self.batches.get_state()
        progress = Progress(position, self.earlier_seconds + seconds, tuple(sorted(self.skipped.names)))
        self.checkpoints.save(state, progress)


class _Diagnostics:
    """What became of the groups of filters, as metrics of a replicated network."""

    def __init__(self, config: ConfigDict, model: nn.Module, source: Source):
        model = model.clone(axis_name=None)
        self._config, self._source = config, source
        self._weights = parallel.on_first_device(diagnostics.make_weight_diagnostics(config, model))
        self._maps = parallel.on_first_device(diagnostics.make_activation_diagnostics(config, model))

    def of_weights(self, variables) -> dict[str, float]:
        return diagnostics.as_metrics(self._weights(variables))

    def of_maps(self, variables) -> dict[str, float]:
        return diagnostics.as_metrics(self._maps(variables, self._images))

    @functools.cached_property
    def _images(self) -> np.ndarray:
        return sample_images(self._config, self._source)


def _read(step: int, pending: list) -> dict[str, float]:
    """Means of the metrics of some steps, the last of which is ``step``; refuses losses that are not finite."""
    rows = [jax.tree.map(float, parallel.first(metrics)) for metrics in pending]
    for number, row in enumerate(rows, start=step - len(rows) + 1):
        if not math.isfinite(row["loss"]):
            terms = ", ".join(f"{name} = {value:g}" for name, value in row.items())
            raise TrainingDivergedError(
                f"step {number}: the loss is not finite ({terms}); lower config.optimizer.learning_rate "
                "or the strength of the term that grew"
            )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} if rows else {}
