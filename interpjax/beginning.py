"""The beginning of a run in its folder: whose the folder is, what has changed, and whether training starts again."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from interpjax import parallel, processes, tracking, training
from interpjax.changes import current_config, record_changes, restarted_from
from interpjax.config import differing_fields, may_change
from interpjax.errors import UserError
from interpjax.finished import asked_pictures
from interpjax.prepare import Experiment, facts, networks
from interpjax.stages import MADE_FROM, pending_stages
from interpjax.training.metrics import set_aside_metrics
from interpjax.workdir import check_workdir, claim_workdir, counts_folder, forget_stage


def begin(experiment: Experiment, config: ConfigDict, stages: Sequence[str], restart_from: int | None) -> Sequence[str]:
    """Makes the folder that of the run, and returns the stages that are to be done.

    The first process does it before the others, since it may have to write data.

    Raises:
      UserError: if it was begun on other data, or another process sees other data.
      CheckpointError: if training is to start again from a checkpoint that is damaged.
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

    def require_start() -> None:
        if restart_from is not None and restarts(config, experiment.workdir, stages, restart_from):
            with training.Checkpoints(experiment.workdir) as checkpoints:
                checkpoints.require_whole(restart_from)

    processes.together(check)
    processes.together(require_start)  # before the later checkpoints are removed
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
    restart = restarts(config, workdir, stages, restart_from)
    pending = pending_stages(stages, workdir, asked_pictures(experiment.config_text), retrain=restart)
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


def identity(experiment: Experiment) -> dict[str, Any]:
    """What must be the same in all stages of a run, of the data that these stages need."""
    found = {} if experiment.source is None else facts.of_source(experiment.source)
    return found if experiment.labelled is None else found | facts.of_concepts(experiment.labelled.concepts)


def restarts(config: ConfigDict, workdir: Path, stages: Sequence[str], restart_from: int | None) -> bool:
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
    return any(not may_change(name, *both, source, dissected=False) for name, both in differing.items())


def _go_back(workdir: Path, step: int) -> None:
    """Takes a run back to the checkpoint of a step. Where this is cut off, it can be done again."""
    set_aside_metrics(workdir, step)
    for name in ("train", *MADE_FROM["train"]):
        forget_stage(workdir, name)
        shutil.rmtree(
            counts_folder(workdir, name), ignore_errors=True
        )  # what a dissection of the old network has counted
    (workdir / tracking.ID_FILE).unlink(missing_ok=True)  # whose run has other metrics of the steps that follow
    training.drop_checkpoints(workdir, after=step)
