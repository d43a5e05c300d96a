"""The stages of a run in their order, and the results that they leave in the workdir."""

import dataclasses
import functools
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from interpjax import dissection, json_files, parallel, processes, showing, training
from interpjax.atomic import write_atomic
from interpjax.changes import restarted_from
from interpjax.data.images import SkippedImages
from interpjax.errors import UserError
from interpjax.finished import is_outdated, load_results, summary
from interpjax.prepare import STAGES, Experiment
from interpjax.prepare.labelled import Labelled
from interpjax.report import scores
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
        "dissect": _dissect,
        "chance": _chance,
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


def _dissect(experiment: Experiment) -> dict[str, Any]:
    labelled = experiment.labelled
    assert labelled is not None
    skipped = SkippedImages() if labelled.skip_bad_images else None
    settings = _settings(labelled, skipped, counts_folder(experiment.workdir, "dissect"))
    results = processes.together(
        lambda: dissection.dissect(
            experiment.network,
            labelled.concepts,
            top_images=labelled.top_images,
            groups=experiment.groups.groupings(labelled.layers),
            keep_images=labelled.intervals,
            **settings,
        )
    )
    results = _with_relevance(results, experiment)
    found = processes.lead(lambda: _save_results(results, experiment.workdir / "dissection"))
    return {"scores": found, "skipped": sorted(skipped.names) if skipped else []}


def _save_results(results: dict[str, dissection.Dissection], folder: Path) -> dict[str, Any]:
    """Returns the scores, with their intervals where counts by image were kept."""
    shutil.rmtree(folder, ignore_errors=True)  # left by a session that was cut off here
    for layer, result in results.items():
        (folder / layer).mkdir(parents=True)
        result.to_csv(folder / layer / "tally.csv")
        result.save(folder / layer / "iou.npz")
    found, tables = scores.score_with_intervals(results)
    for layer, table in tables.items():
        table.to_csv(folder / layer / "intervals.csv", index=False)
    return found


@processes.stopping_together()
def _with_relevance(
    results: dict[str, dissection.Dissection], experiment: Experiment
) -> dict[str, dissection.Dissection]:
    """Beside each group's concepts the norm of its weights, with the scale of a batch norm that follows."""
    found = dict(results)
    for layer, norms in experiment.groups.relevance(experiment.variables).items():
        groups = results[layer].groups if layer in results else None
        if groups is not None and len(norms) == len(groups.sizes):
            found[layer] = dataclasses.replace(results[layer], groups=dataclasses.replace(groups, relevance=norms))
    return found


def _settings(labelled: Labelled, skipped: SkippedImages | None, cache: Path) -> dict[str, Any]:
    """How the network of a run is dissected, and any other beside it."""
    return {
        "layers": labelled.layers,
        "protocol": labelled.protocol,
        "fieldmaps": labelled.fieldmaps,
        "batch_size": labelled.batch_size,
        "image_size": labelled.image_size,
        "num_threads": labelled.num_threads,
        "skipped": skipped,
        "cache": cache,
    }


def _chance(experiment: Experiment) -> dict[str, Any]:
    labelled, workdir = experiment.labelled, experiment.workdir
    assert labelled is not None
    found = {}
    for kind in labelled.chance.kinds:
        chances = processes.together(functools.partial(_chance_of, kind, experiment, labelled))
        found[kind] = processes.lead(functools.partial(_save_chances, kind, chances, workdir))
    return found


def _save_chances(kind: str, chances: dict[str, dissection.Chance], workdir: Path) -> dict[str, Any]:
    """Returns them beside the scores."""
    results = load_results(workdir)
    for layer, chance in chances.items():
        chance.save(workdir / "dissection" / layer / f"chance_{kind}.npz")
    return scores.beside_chance(results, chances)


def _chance_of(kind: str, experiment: Experiment, labelled: Labelled) -> dict[str, dissection.Chance]:
    # The names of what is skipped are in the dissection's record.
    skipped = SkippedImages() if labelled.skip_bad_images else None
    settings = _settings(labelled, skipped, counts_folder(experiment.workdir, "chance"))
    if kind == "untrained":
        untrained = dissection.dissect(experiment.untrained_network, labelled.concepts, top_images=0, **settings)
        return {layer: dissection.Chance.from_dissections([result]) for layer, result in untrained.items()}
    how: dict[str, Any] = {"kind": kind, "draws": labelled.chance.draws, "seed": labelled.chance.seed}
    return dissection.chance(experiment.network, labelled.concepts, **how, **settings)
