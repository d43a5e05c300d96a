"""The main job: train (or import), evaluate, dissect, visualize and report, each done once and kept in the workdir."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from interpjax import dissection, json_files, models, processes, stopping, tracking, training
from interpjax.beginning import begin, restarts
from interpjax.changes import current_config
from interpjax.compiling import compiling_into
from interpjax.config import from_json, to_json, validate
from interpjax.config.identity import BY_CONTENT
from interpjax.errors import Problems, UserError, refusals
from interpjax.finished import asked_pictures, summary
from interpjax.prepare import (
    DEFAULT_STAGES,
    Experiment,
    facts,
    labelled,
    networks,
    prepare,
    read_preprocessing,
    tapped_network,
)
from interpjax.report import tables
from interpjax.report.scores import final_scores
from interpjax.stages import ordered_stages, pending_stages, run_stages
from interpjax.workdir import (
    check_data,
    check_workdir,
    keeping_tracebacks,
    lock_workdir,
)


def run(
    config: ConfigDict,
    workdir: str | Path,
    stages: Sequence[str] = DEFAULT_STAGES,
    restart_from: int | None = None,
) -> dict[str, Any]:
    """Runs an experiment to its end, or goes on with one that was cut off.

    Several processes (:mod:`interpjax.joining`, or ``jax.distributed.initialize``) that call it with the same arguments
    run it together, with a workdir that they share.

    Every stage is done once: a finished workdir is only read. Tables are printed to standard output. A stage is done
    again if its file in ``workdir/stages`` is removed, and so are those that are made from it. Training goes on from
    its last checkpoint even then; it begins anew where ``workdir/checkpoints`` is removed too.

    Args:
      config: of :func:`interpjax.get_config`.
      workdir: a folder of this run's own; everything it writes is in it (but for two-figures data and JAX's
        compilation cache, where ``config.data.directory`` and ``config.compilation_cache`` say so).
      stages: to run; by default all but ``"chance"``. With ``"train"``, training starts from the file
        ``config.model.weights`` if it is set. Without, the network is the one that was trained in the workdir before,
        or else that of this file as it is; it then needs no data to train or test on, unless it is evaluated.
      restart_from: the step of a checkpoint from which training starts again, as after a divergence. The fields of
        ``config.optimizer`` and ``config.training.on_nonfinite`` may then be others. Later checkpoints are removed,
        and later metrics moved to a file beside. Given again with the same fields, the run goes on where it stopped.

    Returns:
      What ``workdir/summary.json`` holds: the results of all stages that were run in this workdir.

    Raises:
      UserError: naming the field or file, on a wrong configuration, unknown stages, missing data, or a workdir of
        another run or of weights that have changed since; several are told at once. Naming the stage and the file
        and what to do, where the machine refuses something: a full disk, a missing right, too little memory.
      BadImageError: on an unreadable image, unless ``config.data.on_bad_image`` is ``"skip"``.
      CheckpointError: if a checkpoint cannot be written or read.
      TrainingDivergedError: if the loss is not finite.
      Stopped: on SIGINT, SIGTERM or SIGHUP, after training has saved a checkpoint, or a dissection what it has counted.
    """
    workdir = Path(workdir).expanduser().absolute()
    stages = ordered_stages(stages)
    with refusals(f"workdir {workdir}"):
        experiment = prepared(config, workdir, stages, restart_from)
    if experiment is None:
        _say(f"already finished: {workdir}")
        return _told(workdir)
    if experiment.labelled is not None and experiment.labelled.memory is not None:
        _say(str(experiment.labelled.memory))
    cache = Path(config.compilation_cache).expanduser().absolute() if config.compilation_cache else None
    with (
        refusals(f"workdir {workdir}"),
        lock_workdir(workdir),
        keeping_tracebacks(workdir),
        stopping.on_signals(),
        compiling_into(cache, "config.compilation_cache"),
    ):
        pending = begin(experiment, config, stages, restart_from)
        with tracking.tracked(config.wandb, workdir, json.loads(experiment.config_text)) as tracker:
            run_stages(experiment, pending, tracker.log)
            processes.lead(lambda: tracker.summarize(final_scores(summary(workdir))))
    return _told(workdir)


def prepared(
    config: ConfigDict, workdir: Path, stages: Sequence[str], restart_from: int | None = None
) -> Experiment | None:
    """The experiment, checked as far as it can be before anything is written; None if its stages are all done.

    Args:
      config: of the experiment.
      workdir: its folder, absolute.
      stages: that are asked for, in their order.
      restart_from: as of :func:`run`.

    Raises:
      UserError: as :func:`run`.
    """
    return processes.together(lambda: _prepared(config, workdir, stages, restart_from))


def _prepared(config: ConfigDict, workdir: Path, stages: Sequence[str], restart_from: int | None) -> Experiment | None:
    validate(config)
    command = [to_json(config), str(workdir), list(stages), restart_from]
    processes.agreed("configuration, workdir or list of stages", command, "the same command of each process")
    networks.check_origin(config, workdir, stages)
    restart, pending, finished = processes.lead(lambda: _left(config, workdir, stages, restart_from))
    moved = BY_CONTENT & check_workdir(to_json(config), workdir, restart=restart).keys()
    problems = Problems()
    with problems.collected():
        begun = check_data(workdir, networks.digests(config, missing_ok=finished and not moved))
        check_data(workdir, facts.of_moved(config, workdir, moved, begun))
    if finished:
        problems.raise_all()
        return None
    return prepare(config, workdir, pending, problems)


def something_left(config: ConfigDict, workdir: Path, stages: Sequence[str]) -> bool:
    """Whether :func:`run` would do anything but read; neither the configuration nor the data are checked.

    Raises:
      UserError: naming a stage that is made from the dissection, if that is neither done nor asked for.
    """
    return not _left(config, workdir, stages, restart_from=None)[2]


def _left(
    config: ConfigDict, workdir: Path, stages: Sequence[str], restart_from: int | None
) -> tuple[bool, Sequence[str], bool]:
    """Whether training starts again, the stages that are still to be run, and whether there is nothing left to do."""
    restart = restarts(config, workdir, stages, restart_from)
    pending = pending_stages(stages, workdir, asked_pictures(to_json(config)), retrain=restart)
    return restart, pending, not pending and (workdir / "summary.json").is_file()


def load(workdir: str | Path) -> tuple[ConfigDict, nn.Module, dict[str, Any]]:
    """The network of a workdir: at its last checkpoint, or the imported one, from its file, if none was trained.

    A damaged checkpoint is passed over for the one before, which a line on standard error tells.

    Args:
      workdir: of a run that got at least to its first checkpoint, or of an imported network.

    Returns:
      Its configuration, the model, and the variables that ``model.apply`` takes, as numpy arrays.

    Raises:
      UserError: if the folder holds no run, or the file of an imported network is missing or has changed.
      CheckpointError: if it holds no checkpoint, all are damaged, or the network in it is not finite.
    """
    workdir = Path(workdir).expanduser().absolute()
    if not (workdir / "config.json").is_file():
        raise UserError(f"workdir {workdir}: no run there (config.json is missing)")
    config = from_json(current_config(workdir))
    check_data(workdir, networks.digests(config, missing_ok=True))
    imported = None if networks.is_trained(workdir) else networks.read_weights(config)
    model = networks.create(config, workdir, None, imported)
    alone = models.outside_of_devices(model)
    if imported is not None:
        return config, alone, imported
    return config, alone, training.read_variables(model, config.data.image_size, workdir)


def from_workdir(workdir: str | Path) -> dissection.Network:
    """The network of a workdir as dissection sees it, which is also :func:`interpjax.dissection.from_workdir`.

    It gives the layers that the run's configuration dissects, at the tap of its protocol, of uint8 RGB images
    [batch, height, width, 3], which it prepares as the run does.

    Args:
      workdir: as of :func:`load`.

    Raises:
      UserError, CheckpointError: as :func:`load`; or naming the field, if the network has no such layer.
    """
    config, model, variables = load(workdir)
    tap = labelled.read_protocol(config).tap
    layers = labelled.read_layers(config, model, tap)
    return tapped_network(model, variables, layers, tap, read_preprocessing(config))


def _say(text: str) -> None:
    """Tells the user, once."""
    if processes.leads():
        print(text, file=sys.stderr)


def _told(workdir: Path) -> dict[str, Any]:
    """The summary, printed as tables."""
    remedy = "remove it, and the same command makes it again"
    found = processes.lead(lambda: json_files.read(workdir / "summary.json", remedy))
    if not processes.leads():
        return found
    print(f"\n{tables.format_summary(found)}")
    if "report" in found["seconds"]:
        print(f"\nreport: {workdir / 'report.html'}")
    return found
