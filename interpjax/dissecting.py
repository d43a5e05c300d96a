"""The stages that dissect: the network itself, and what would be found by chance."""

import dataclasses
import functools
import shutil
from pathlib import Path
from typing import Any

from interpjax import dissection, processes
from interpjax.data.images import SkippedImages
from interpjax.finished import load_results
from interpjax.prepare import Experiment
from interpjax.prepare.labelled import Labelled
from interpjax.report import scores
from interpjax.workdir import counts_folder


def dissect(experiment: Experiment) -> dict[str, Any]:
    """Dissects the network, and keeps the results of each layer in ``workdir/dissection``."""
    labelled = experiment.labelled
    assert labelled is not None
    skipped = SkippedImages() if labelled.skip_bad_images else None
    results = processes.together(
        lambda: dissection.dissect(
            experiment.network,
            labelled.concepts,
            top_images=labelled.top_images,
            groups=experiment.groups.groupings(labelled.layers),
            keep_images=labelled.intervals,
            skipped=skipped,
            cache=counts_folder(experiment.workdir, "dissect"),
            **labelled.settings,
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


def chance(experiment: Experiment) -> dict[str, Any]:
    """Measures what would be found by chance, and keeps it beside the results of the dissection."""
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
    for layer, own in chances.items():
        own.save(workdir / "dissection" / layer / f"chance_{kind}.npz")
    return scores.beside_chance(results, chances)


def _chance_of(kind: str, experiment: Experiment, labelled: Labelled) -> dict[str, dissection.Chance]:
    # The names of what is skipped are in the dissection's record.
    skipped = SkippedImages() if labelled.skip_bad_images else None
    cache = counts_folder(experiment.workdir, "chance")
    settings = {**labelled.settings, "skipped": skipped, "cache": cache}
    if kind == "untrained":
        untrained = dissection.dissect(experiment.untrained_network, labelled.concepts, top_images=0, **settings)
        return {layer: dissection.Chance.from_dissections([result]) for layer, result in untrained.items()}
    how: dict[str, Any] = {"kind": kind, "draws": labelled.chance.draws, "seed": labelled.chance.seed}
    return dissection.chance(experiment.network, labelled.concepts, **how, **settings)
