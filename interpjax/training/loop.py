"""The training loop and the evaluation loop."""

import dataclasses
import math
import sys
import time
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
from interpjax.data.pipeline import test_batches, train_iterator
from interpjax.training import optimizer as optimizer_lib
from interpjax.training.checkpoint import Checkpoints, Progress
from interpjax.training.metrics import MetricsWriter, progress_bar
from interpjax.training.objective import check_penalty, make_penalties
from interpjax.training.state import TrainState, create_train_state
from interpjax.training.step import make_eval_step, make_train_step


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
    penalties = make_penalties(config)
    state = create_train_state(model, optimizer, image_size=config.data.image_size, seed=config.seed)
    skipped = SkippedImages()
    batches = train_iterator(source.train, config, skipped, shard=parallel.shard())
    progress = Progress({}, 0.0, ())
    scales = {"mean": config.data.mean, "std": config.data.std}
    step = make_train_step(model, optimizer, penalties, seed=config.seed, **scales)
    total = optimizer_lib.num_steps(config, len(source.train))
    with Checkpoints(workdir, keep=config.training.keep_checkpoints) as checkpoints:
        if checkpoints.latest is not None:
            state, progress = checkpoints.restore(state)
            batches.set_state(progress.data)
            skipped.names.update(progress.skipped)
        with MetricsWriter(workdir, from_step=int(state.step)) as writer:
            run = _Run(config, source, total, schedule, batches, checkpoints, writer, skipped, progress.seconds)
            run.to_the_end(step, make_eval_step(model, **scales), state)
    return Training(total, progress.seconds, tuple(sorted(skipped.names)))


def check(config: ConfigDict, model: nn.Module) -> None:
    """Finds, without allocating anything, what would keep a network from being trained as configured.

    Raises:
      ValueError: naming the field, if the batch size does not fit the devices, the image size the network, or a
        penalty its layers.
    """
    parallel.check_batch_size("config.training.batch_size", config.training.batch_size)
    try:
        shapes = _state_shapes(config, model)
    except ValueError as error:
        raise ValueError(f"config.data.image_size = {config.data.image_size}: {error}") from error
    for penalty in make_penalties(config):
        check_penalty(config, penalty, shapes.params)


def restore_state(config: ConfigDict, model: nn.Module, workdir: Path) -> TrainState:
    """The state of a workdir's latest checkpoint, as numpy arrays.

    Raises:
      CheckpointError: if there is none, or it cannot be read.
    """
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore(_state_shapes(config, model))[0]


def _state_shapes(config: ConfigDict, model: nn.Module) -> TrainState:
    optimizer = optimizer_lib.make_optimizer(config, optax.constant_schedule(0.0))  # its memory has the same shape
    size, seed = config.data.image_size, config.seed
    return jax.eval_shape(lambda: create_train_state(model, optimizer, image_size=size, seed=seed))


def evaluate(config: ConfigDict, eval_step, variables, source: Source, skipped: SkippedImages) -> dict[str, float]:
    """Accuracy, top-5 accuracy and mean cross-entropy over every readable test image.

    Args:
      config: the experiment.
      eval_step: of :func:`make_eval_step`.
      variables: replicated.
      source: the data.
      skipped: collects unreadable images where those are to be skipped.

    Raises:
      ValueError: if no test image could be read.
    """
    sums: dict[str, float] = {}
    for batch in test_batches(source.test, config, skipped, shard=parallel.shard()):
        parts = parallel.first(eval_step(variables, parallel.split_batch(batch)))
        sums = {name: sums.get(name, 0.0) + float(value) for name, value in parts.items()}
    if not sums.get("count"):
        raise ValueError(f"config.data.test = {config.data.test!r}: no image of it could be read")
    count = sums["count"]
    return {
        "accuracy": sums["correct"] / count,
        "top5": sums["correct_top5"] / count,
        "cross_entropy": sums["loss"] / count,
    }


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

    def to_the_end(self, train_step, eval_step, state: TrainState) -> None:
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
                    self._log(step, pending, logged, bar)
                    pending, logged = [], time.monotonic()
                if at_end or step % settings.eval_every_steps == 0:
                    scores = evaluate(self.config, eval_step, replicated.variables, self.source, skipped_in_tests)
                    self.writer.write(step, {f"eval/{name}": value for name, value in scores.items()})
                    logged = time.monotonic()
                if at_end or step % settings.checkpoint_every_steps == 0:
                    self._save(parallel.first(replicated), time.monotonic() - start)

    def _log(self, step: int, pending: list, since: float, bar: tqdm) -> None:
        metrics = _read(step, pending)  # waits for the devices, so that the speed is theirs
        speed = len(pending) * self.config.training.batch_size / (time.monotonic() - since)
        learning_rate = float(np.asarray(self.schedule(step - 1)))
        self.writer.write(step, metrics | {"learning_rate": learning_rate, "images_per_second": speed})
        bar.set_postfix_str(f"loss {metrics['loss']:.4f}, accuracy {metrics['accuracy']:.3f}", refresh=False)

    def _save(self, state: TrainState, seconds: float) -> None:
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.variables)):
            raise TrainingDivergedError(
                f"step {int(state.step)}: a parameter is not finite; lower config.optimizer.learning_rate"
            )
        position = self.batches.get_state()
        progress = Progress(position, self.earlier_seconds + seconds, tuple(sorted(self.skipped.names)))
        self.checkpoints.save(state, progress)


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
