"""The main job: train (or import), evaluate, dissect, visualize and report, each done once and kept in the workdir."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from interpjax import json_files, models, parallel, processes, stopping, training
from interpjax.changes import current_config, record_changes, restarted_from
from interpjax.compiling import compiling_into
from interpjax.config import differing_fields, from_json, may_change, to_json, validate
from interpjax.config.identity import BY_CONTENT
from interpjax.errors import Problems, UserError, refusals
from interpjax.prepare import DEFAULT_STAGES, Experiment, facts, networks, prepare
from interpjax.report import tables
from interpjax.stages import MADE_FROM, ordered_stages, pending_stages, run_stages
from interpjax.training.metrics import set_aside_metrics
from interpjax.workdir import (
    check_data,
    check_workdir,
    claim_workdir,
    forget_stage,
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
        run_stages(experiment, _begun(experiment, config, stages, restart_from))
    return _told(workdir)


def _begun(
    experiment: Experiment, config: ConfigDict, stages: Sequence[str], restart_from: int | None
) -> Sequence[str]:
    """Makes the folder that of the run, and returns the stages that are to be done.

    The first process does it before the others, since it may have to write data.

    Raises:
      UserError: if it was begun on other data, or another process sees other data.
    """
    digests = networks.digests(config)
    if processes.several():
        processes.lead(lambda: _make_data(experiment))
    found = processes.lead(lambda: identity(experiment) | digests)

    def check() -> None:
        own = found if processes.leads() else identity(experiment) | digests
        for name, expected in found.items():
            if own.get(name) != expected:
                raise UserError(f"{name} is {own.get(name)!r} here, {expected!r} in process 0; expected the same data")

    processes.together(check)
    return processes.lead(lambda: _claimed(experiment, config, stages, restart_from, found))


def _claimed(
    experiment: Experiment,
    config: ConfigDict,
    stages: Sequence[str],
    restart_from: int | None,
    found: dict[str, Any],
) -> Sequence[str]:
    """Writes down which run the folder holds and what has changed, and takes it back to a step if that is asked for."""
    workdir = experiment.workdir
    restart = _restarts(config, workdir, stages, restart_from)
    pending = pending_stages(stages, workdir, retrain=restart)
    changed = check_workdir(experiment.config_text, workdir, restart=restart)
    claim_workdir(experiment.config_text, workdir, found)
    if restart:
        assert restart_from is not None
        _go_back(workdir, restart_from)
    step = max(training.kept_steps(workdir), default=0)
    told: dict[str, Any] = {"restart_from": restart_from} if restart else {}
    record_changes(workdir, changed, step=step, machine=parallel.machine(), **told)
    return pending


def _make_data(experiment: Experiment) -> None:
    """Has data written that are made when they are first used, and labels that are kept then."""
    source = experiment.source
    for split in (source.train, source.test, source.validation) if source is not None else ():
        if split is not None and len(split):
            split[0]


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
    command = [to_json(config), str(workdir), list(stages), restart_from]
    processes.agreed("configuration, workdir or list of stages", command, "the same command of each process")
    validate(config)
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


def _left(
    config: ConfigDict, workdir: Path, stages: Sequence[str], restart_from: int | None
) -> tuple[bool, Sequence[str], bool]:
    """Whether training starts again, the stages that are still to be run, and whether there is nothing left to do."""
    restart = _restarts(config, workdir, stages, restart_from)
    pending = pending_stages(stages, workdir, retrain=restart)
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


def identity(experiment: Experiment) -> dict[str, Any]:
    """What must be the same in all stages of a run, of the data that these stages need."""
    found = {} if experiment.source is None else facts.of_source(experiment.source)
    return found if experiment.labelled is None else found | facts.of_concepts(experiment.labelled.concepts)


def _restarts(config: ConfigDict, workdir: Path, stages: Sequence[str], restart_from: int | None) -> bool:
    """Whether training has to start again from a step; not if the run has done so and is what was asked for."""
    if restart_from is None:
        return False
    asked = f"restart_from = {restart_from}"
    if not (workdir / "config.json").is_file():
        raise UserError(f"{asked}: workdir {workdir} holds no run; expected that of a training that was begun")
    if "train" not in stages:
        raise UserError(f"{asked}: the stages are {', '.join(stages)}; expected train among them")
    if restarted_from(workdir) == restart_from and not _differs(config, workdir):
        return False
    steps = training.kept_steps(workdir)
    if restart_from not in steps:
        kept = f"expected one of {', '.join(map(str, steps))}" if steps else "there is no checkpoint at all"
        raise UserError(f"{asked}: workdir {workdir} has no checkpoint of this step; {kept}")
    return True


def _differs(config: ConfigDict, workdir: Path) -> bool:
    """Whether a restart would change what training does."""
    differing = differing_fields(config, current_config(workdir))
    source = config.data.source
    return any(not may_change(name, *both, source) for name, both in differing.items())


def _go_back(workdir: Path, step: int) -> None:
    """Takes a run back to the checkpoint of a step. Where this is cut off, it can be done again."""
    set_aside_metrics(workdir, step)
    for name in ("train", *MADE_FROM["train"]):
        forget_stage(workdir, name)
    with training.Checkpoints(workdir) as checkpoints:
        checkpoints.drop_after(step)


def _say(text: str) -> None:
    """Tells the user, once."""
    if processes.leads():
        print(text, file=sys.stderr)


def _told(workdir: Path) -> dict[str, Any]:
    """The summary, printed as tables."""
    remedy = "remove it, and the same command makes it again"
    summary = processes.lead(lambda: json_files.read(workdir / "summary.json", remedy))
    if not processes.leads():
        return summary
    print(f"\n{tables.format_summary(summary)}")
    if "report" in summary["seconds"]:
        print(f"\nreport: {workdir / 'report.html'}")
    return summary
