"""The stages of a run in their order, and the results that they leave in the workdir."""

import dataclasses
import functools
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from interpjax import dissecting, json_files, parallel, processes, showing, training
from interpjax.atomic import write_atomic
from interpjax.changes import restarted_from
from interpjax.data.images import SkippedImages
from interpjax.errors import UserError
from interpjax.finished import is_outdated, summary
from interpjax.prepare import STAGES, Experiment
from interpjax.training.checksums import by_name, checksums
from interpjax.training.metrics import Log
from interpjax.training.step import make_eval_step
from interpjax.workdir import counts_folder, forget_stage, read_stage, run_stage, stage_is_done

# The later stages that are made from each stage: their records are removed when it is run again.
MADE_FROM = {
    "train": ("evaluate", "dissect", "chance", "visualize", "report"),
    "evaluate": ("report",),
    "dissect": ("chance", "visualize", "report"),
    "chance": ("report",),
    "visualize": ("report",),
    "report": (),
}
NEEDS_DISSECTION = ("chance", "visualize", "report")
USES_NETWORK = ("evaluate", "dissect", "chance", "visualize")


def ordered_stages(stages: Sequence[str]) -> tuple[str, ...]:
    """The stages that are asked for, in the order in which they are run.

    Raises:
      UserError: naming a stage that is unknown, or if no stage is asked for.
    """
    names = [stages] if isinstance(stages, str) else list(stages)
    for name in names:
        if name not in STAGES:
            raise UserError(f"stages: {name!r} is not a stage; choose from {', '.join(STAGES)}")
    if not names:
        raise UserError(f"stages: name at least one of {', '.join(STAGES)}")
    return tuple(name for name in STAGES if name in names)


def pending_stages(
    stages: Sequence[str], workdir: Path, pictures: Mapping[str, Any], *, retrain: bool = False
) -> tuple[str, ...]:
    """Those of the stages that are still to be run: the undone ones, and all that are made from one of these.

    Args:
      stages: that are asked for.
      workdir: the run's folder.
      pictures: that are asked for, the fields of ``config.visualization``; where others were made they are made anew.
      retrain: whether the training counts as undone.

    Raises:
      UserError: naming a stage that is made from the dissection, if that is neither done nor asked for.
    """
    undone = {name for name in stages if not stage_is_done(workdir, name) or (retrain and name == "train")}
    undone |= {name for name in stages if stage_is_done(workdir, name) and is_outdated(workdir, name, pictures)}
    outdated = {later for name in undone for later in MADE_FROM[name]}
    pending = tuple(name for name in stages if name in undone | outdated)
    for name in NEEDS_DISSECTION:
        if name in stages and "dissect" not in stages and not stage_is_done(workdir, "dissect"):
            raise UserError(f"stages: {name} is made from dissect, which has not been run in {workdir}; add dissect")
    return pending


def run_stages(experiment: Experiment, pending: Sequence[str], log: Log) -> None:
    """Runs stages in their order, and writes ``summary.json`` with the results of all stages that are done.

    Args:
      experiment: all that the stages use.
      pending: the stages to run, as :func:`pending_stages` returns them.
      log: takes the metrics of training too.
    """
    workdir = experiment.workdir
    processes.lead(lambda: _forget(workdir, pending))
    functions: dict[str, Callable[[Experiment], dict[str, Any]]] = {
        "train": functools.partial(_train, log=log),
        "evaluate": functools.partial(_evaluate, trained_now="train" in pending),
        "dissect": dissecting.dissect,
        "chance": dissecting.chance,
        "visualize": lambda experiment: processes.lead(lambda: showing.visualize(experiment)),
        "report": lambda experiment: processes.lead(lambda: showing.report(experiment)),
    }
    for name in pending:
        if name in USES_NETWORK:
            _agree_on_network(experiment)
        run_stage(workdir, name, functools.partial(functions[name], experiment))
        processes.lead(lambda: _forget_counts(workdir))
    processes.lead(
        lambda: write_atomic(workdir / "summary.json", json_files.to_text(summary(workdir), indent=2) + "\n")
    )


@processes.stopping_together()
def _agree_on_network(experiment: Experiment) -> None:
    """Reads it, in all processes at once, as orbax wants it; a shared file system may show them different files."""
    if processes.several():
        processes.agreed("network", checksums(by_name(experiment.variables)))


def _forget(workdir: Path, pending: Sequence[str]) -> None:
    """Removes what is out of date when some stages are run."""
    (workdir / "summary.json").unlink(missing_ok=True)
    for name in pending:
        for later in (name, *MADE_FROM[name]):
            forget_stage(workdir, later)
    if not stage_is_done(workdir, "report"):
        (workdir / "report.html").unlink(missing_ok=True)


def _forget_counts(workdir: Path) -> None:
    """Removes the counts of dissections that are done: they are of no more use once the record is written."""
    for counting in ("dissect", "chance"):
        if stage_is_done(workdir, counting):
            shutil.rmtree(counts_folder(workdir, counting), ignore_errors=True)


@processes.stopping_together()
def _train(experiment: Experiment, log: Log) -> dict[str, Any]:
    source, recipe = experiment.source, experiment.recipe
    assert source is not None
    assert source.train is not None
    assert source.test is not None
    assert recipe is not None
    if processes.leads():
        print(f"data: {source}", file=sys.stderr)
    trained = training.train(
        experiment.model,
        recipe,
        (source.train, source.test),
        validation=source.validation,
        start=experiment.start,
        pipeline=experiment.pipeline,
        preprocessing=experiment.preprocessing,
        groups=experiment.groups,
        workdir=experiment.workdir,
        restarted_from=restarted_from(experiment.workdir),
        log=log,
    )
    return {
        "num_steps": trained.num_steps,
        "skipped": trained.skipped,
        "earlier_seconds": trained.earlier_seconds,
        "evaluated": {name: dataclasses.asdict(found) for name, found in trained.evaluated.items()},
    }


@processes.stopping_together()
def _evaluate(experiment: Experiment, *, trained_now: bool) -> dict[str, Any]:
    source, workdir = experiment.source, experiment.workdir
    assert source is not None
    assert source.test is not None
    # Training evaluates the network at its last step, so a network that was just trained is not evaluated again.
    evaluated = processes.lead(lambda: read_stage(workdir, "train")["result"]["evaluated"]) if trained_now else {}
    if not evaluated:
        variables = parallel.replicate(experiment.variables)
        eval_step = make_eval_step(experiment.model, experiment.preprocessing)
        for name, split in {"test": source.test, "validation": source.validation}.items():
            if split is not None:
                one = training.evaluate(eval_step, variables, split, experiment.pipeline, SkippedImages(), name)
                evaluated[name] = dataclasses.asdict(one)
    found = evaluated["test"]
    validation = {"validation": evaluated["validation"]} if "validation" in evaluated else {}
    images = training.sample_images(source.test, experiment.pipeline)
    own = {
        "groups": experiment.groups.summary(experiment.variables, images),
        "zero_weights": experiment.groups.zero_weights(experiment.variables),
    }
    return {**found["scores"], **validation, **own, "skipped": found["skipped"]}
