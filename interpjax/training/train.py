"""Trains a network, from its first step or from its latest checkpoint, to its last step."""

import dataclasses
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import optax

from interpjax import models, parallel, processes
from interpjax.data.images import SkippedImages
from interpjax.data.pipeline import PipelineSettings, train_iterator
from interpjax.data.splits import Split
from interpjax.preprocessing import Preprocessing
from interpjax.training.checkpoint import Checkpoints
from interpjax.training.diagnostics import GroupDiagnostics
from interpjax.training.evaluation import Evaluated, Evaluations
from interpjax.training.loop import Session
from interpjax.training.metrics import Log
from interpjax.training.objective import FIELD_PARAMS
from interpjax.training.recipe import Recipe
from interpjax.training.state import TrainState, create_train_state
from interpjax.training.step import TrainStep, make_eval_step, make_train_step


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
    measured = {"test": test_split} | ({} if validation is None else {"validation": validation})
    of_weights, of_maps = parallel.on_first_device(groups.of_weights), parallel.on_first_device(groups.of_maps)
    evaluations = Evaluations(make_eval_step(model, preprocessing), measured, pipeline, of_maps)
    train_step, skipped = _train_step(model, recipe, optimizer, schedule, preprocessing), SkippedImages()
    batches = train_iterator(train_split, pipeline, skipped, shard=parallel.shard())
    with Checkpoints(workdir, keep=recipe.keep_checkpoints) as checkpoints:
        session = Session(recipe, total, train_step, of_weights, evaluations, checkpoints, batches, skipped)
        state = _first_state(model, recipe, optimizer, pipeline.image_size, start)
        state, position = session.restore(state, restarted_from)
        first, began = int(state.step), time.monotonic()
        if first == 0 and start is not None:
            _announce_start(state, start)
        elif 0 < first < total and processes.leads():
            print(f"going on from step {first} of {total}", file=sys.stderr)
        replicated = parallel.replicate(state)
        del state  # which would be a second copy on the first device
        session.run(replicated, first, position, began, workdir, log)
    return Training(total, position.seconds, skipped.sorted(), evaluations.found)


def _train_step(
    model: nn.Module,
    recipe: Recipe,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    preprocessing: Preprocessing,
) -> TrainStep:
    return make_train_step(
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
