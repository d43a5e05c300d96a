"""The training loop."""

import dataclasses
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax

from interpjax import models, parallel, processes, stopping
from interpjax.data.images import SkippedImages
from interpjax.data.pipeline import PipelineSettings, train_iterator
from interpjax.data.splits import Split
from interpjax.preprocessing import Preprocessing
from interpjax.training.checkpoint import Checkpoints, Position
from interpjax.training.diagnostics import GroupDiagnostics, as_metrics
from interpjax.training.evaluation import Evaluated, evaluate, sample_images
from interpjax.training.metrics import Log, MetricsWriter, StepLog, TrainingDivergedError
from interpjax.training.objective import FIELD_PARAMS, Objective
from interpjax.training.optimizer import Duration, OptimizerSettings
from interpjax.training.positions import joined, own_part
from interpjax.training.prefetch import Prefetch
from interpjax.training.profiling import Profile
from interpjax.training.state import TrainState, create_train_state
from interpjax.training.step import make_eval_step, make_train_step


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


@dataclasses.dataclass(frozen=True)
class Training:
    """The outcome of training.

    Attributes:
      num_steps: number of steps that were taken, in all sessions together.
      earlier_seconds: seconds that earlier sessions took, if training was cut off and went on.
      skipped: names of the unreadable training images that were left out.
      evaluated: the trained network on the images for ``"test"``, and for ``"validation"`` if some are held out; empty
        if training was finished before this session.
    """

    num_steps: int
    earlier_seconds: float
    skipped: tuple[str, ...]
    evaluated: dict[str, Evaluated]


def train(
    model: nn.Module,
    recipe: Recipe,
    splits: tuple[Split, Split],
    *,
    validation: Split | None = None,
    start: Mapping[str, Any] | None = None,
    pipeline: PipelineSettings,
    preprocessing: Preprocessing,
    groups: GroupDiagnostics,
    workdir: Path,
    restarted_from: int | None = None,
    log: Log | None = None,
) -> Training:
    """Trains a network to its last step, going on from the latest checkpoint if there is one.

    Args:
      model: the network, with ``axis_name`` as :data:`interpjax.parallel.AXIS` if it has batch norm.
      recipe: how it is trained.
      splits: the examples to train on, and those to test on.
      validation: the examples that are held out, on which the network is evaluated too; None if there are none.
      start: variables that training starts from; what is not among them is initialized.
      pipeline: the settings by which examples become batches.
      preprocessing: turns uint8 images into the network's inputs.
      groups: what is measured of the groups of filters.
      workdir: the run's folder, which gets checkpoints, metrics, and the profile if one is made.
      restarted_from: the step from which training was started again, perhaps with another optimizer; None if it never
        was.
      log: takes the metrics of each step that has some, beside the workdir; None if nothing else does.

    Raises:
      BadImageError: for an unreadable image, unless those are to be skipped.
      CheckpointError: if a checkpoint cannot be written or read.
      TrainingDivergedError: if the loss or a parameter is not finite. Checkpoints of earlier steps stay.
      Stopped: if a signal asked for it, with a checkpoint of the step that was under way.
    """
    train_split, test_split = splits
    total = recipe.duration.steps(len(train_split))
    schedule = recipe.optimizer.learning_rate.over(recipe.duration, len(train_split))
    optimizer = recipe.optimizer.optimizer(schedule, total)
    train_step = make_train_step(
        model,
        optimizer,
        recipe.objective,
        preprocessing=preprocessing,
        learning_rate=schedule,
        seed=recipe.seed,
        ema_decay=recipe.ema_decay,
        skip_nonfinite=recipe.skip_nonfinite,
        accumulate_steps=recipe.accumulate_steps,
    )
    eval_step = make_eval_step(model, preprocessing)
    of_weights, of_maps = parallel.on_first_device(groups.of_weights), parallel.on_first_device(groups.of_maps)
    asked = parallel.Largest()
    measured = {"test": test_split} | ({} if validation is None else {"validation": validation})
    skipped, left_out = SkippedImages(), {name: SkippedImages() for name in measured}
    evaluated: dict[str, Evaluated] = {}
    batches = train_iterator(train_split, pipeline, skipped, shard=parallel.shard())
    with Checkpoints(workdir, keep=recipe.keep_checkpoints) as checkpoints:
        state, position = _first_state(model, recipe, optimizer, pipeline.image_size, start), Position()
        if processes.agreed("latest checkpoint", checkpoints.latest) is not None:
            state, position = checkpoints.restore(state, anew_at=restarted_from)
            position = own_part(position)
            batches.set_state(position.data)
            skipped.names.update(position.skipped)
        elif start is not None:
            _announce_start(state, start)
        first, began = _announced(int(state.step), total), time.monotonic()
        replicated = parallel.replicate(state)
        del state  # which would be a second copy on the first device
        sample = jax.device_put(sample_images(test_split, pipeline)) if first < total else None
        with (
            Prefetch(batches) as prefetch,
            Profile(workdir / "profile", recipe.profile_steps) as profile,
            MetricsWriter(workdir, from_step=first, log=log) as writer,
            StepLog(writer, total, first, recipe.duration.batch_size, position.skipped_steps) as lines,
            jax.transfer_guard("disallow"),  # allows only explicit transfers to and from the devices
            stopping.deferred(),
        ):
            for step in range(first + 1, total + 1):
                profile.before(step)
                batch, waited = prefetch.take()
                replicated, metrics = train_step(replicated, batch)
                if step < total:
                    prefetch.read_ahead(metrics)
                lines.add(step, metrics, waited)  # reads the metrics of earlier steps while this one is computed
                stop = asked(stopping.requested())
                profile.after(step, metrics)
                if stop or _is_due(step, total, recipe.log_every_steps):
                    lines.close_line(of_weights(replicated.result))
                if _is_due(step, total, recipe.eval_every_steps):
                    with lines.paused():
                        for name, split in measured.items():
                            found = evaluate(eval_step, replicated.result, split, pipeline, left_out[name], name)
                            evaluated[name] = found
                        on_sample = as_metrics(of_maps(replicated.result, sample))
                        writer.write(step, _as_metrics(evaluated) | on_sample)
                    stop = stop or asked(stopping.requested())  # which takes long
                if stop or _is_due(step, total, recipe.checkpoint_every_steps):
                    with lines.paused():
                        seconds = position.seconds + time.monotonic() - began
                        in_a_row = lines.skipped_in_a_row()
                        reached = joined(Position(prefetch.position, seconds, skipped.sorted(), in_a_row))
                        skipped.names.update(reached.skipped)
                        checkpoints.save(_checked(parallel.first(replicated)), reached)
                if stop:
                    raise stopping.Stopped(stop, f"step {step} of {total}")
    return Training(total, position.seconds, skipped.sorted(), evaluated)


def _as_metrics(evaluated: Mapping[str, Evaluated]) -> dict[str, float]:
    """The scores as ``eval/NAME``, and those on the images held out as ``validation/NAME``."""
    prefixes = {"test": "eval", "validation": "validation"}
    return {
        f"{prefixes[split]}/{name}": value for split, found in evaluated.items() for name, value in found.scores.items()
    }


def _announced(first: int, total: int) -> int:
    """Returns the step that training goes on from, and tells the user of it unless it is the first or the last."""
    if 0 < first < total and processes.leads():
        print(f"going on from step {first} of {total}", file=sys.stderr)
    return first


def _announce_start(state: TrainState, start: Mapping[str, Any]) -> None:
    """Tells the user that training starts from other variables, and which layers are initialized all the same."""
    if not processes.leads():
        return
    anew = [layer for layer in state.params if layer not in start["params"] and layer != FIELD_PARAMS]
    but = f"; made anew, for another number of classes: {', '.join(anew)}" if anew else ""
    print(f"training starts from the weights of config.model.weights{but}", file=sys.stderr)


def read_variables(model: nn.Module, image_size: int, workdir: Path, step: int | None = None) -> dict[str, Any]:
    """The network of a workdir's checkpoint, as numpy arrays.

    Args:
      model: the network.
      image_size: side in pixels of the images that the network sees.
      workdir: the folder of the run that trained it.
      step: of the checkpoint; by default the latest that is not damaged.

    Raises:
      CheckpointError: if there is no such checkpoint, it cannot be read, or the network in it is not finite.
    """
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore_variables(models.outline(model, image_size).variables, at=step)


def _first_state(
    model: nn.Module,
    recipe: Recipe,
    optimizer: optax.GradientTransformation,
    image_size: int,
    start: Mapping[str, Any] | None,
) -> TrainState:
    further = recipe.objective.soft_fields.params()
    return create_train_state(
        model,
        optimizer,
        image_size=image_size,
        seed=recipe.seed,
        further_params=further,
        averaging=recipe.ema_decay > 0,
        start=start,
    )


def _is_due(step: int, total: int, every: int) -> bool:
    return step == total or step % every == 0


def _checked(state: TrainState) -> TrainState:
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.variables)):
        raise TrainingDivergedError(
            f"step {int(state.step)}: a parameter is not finite; lower config.optimizer.learning_rate"
        )
    return state
