"""Which concepts each run detects, by which units and in which groups."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from interpjax.comparison.runs import Run

Concept = tuple[str, str]  # name and category


class Detector(NamedTuple):
    """A unit that detects a concept.

    Attributes:
      layer: its layer.
      unit: its number, from 0.
      iou: with the concept.
    """

    layer: str
    unit: int
    iou: float


class Change(NamedTuple):
    """What a run detects in other ways than the first one, in any of its layers.

    Attributes:
      run: the name of the run.
      gained: the concepts that it detects and the first run does not.
      lost: those that the first run detects and it does not.
      kept: how many both detect.
    """

    run: str
    gained: list[Concept]
    lost: list[Concept]
    kept: int


def detectors(run: Run) -> dict[Concept, list[Detector]]:
    """The detectors of each concept that a run detects, the best first."""
    found: dict[Concept, list[Detector]] = {}
    for layer, result in run.results.items():
        best = result.best()
        detects = best[(best["iou"] >= result.protocol.detector_iou) & (best["concept"] != "")]
        for unit, name, category, iou in detects.itertuples(index=False):
            found.setdefault((name, category), []).append(Detector(layer, int(unit), float(iou)))
    return {concept: sorted(own, key=lambda each: -each.iou) for concept, own in found.items()}


def changes(found: Mapping[str, Mapping[Concept, Any]]) -> list[Change]:
    """The concepts gained and lost between the first run and each other.

    Args:
      found: what :func:`detectors` gives of each run, by the run's name.
    """
    first, *others = found
    return [
        Change(
            run=name,
            gained=sorted(set(found[name]) - set(found[first])),
            lost=sorted(set(found[first]) - set(found[name])),
            kept=len(set(found[first]) & set(found[name])),
        )
        for name in others
    ]


def all_concepts(found: Mapping[str, Mapping[Concept, list[Detector]]]) -> list[Concept]:
    """The concepts that any run detects: first those of most runs, of these first those of the highest IoU."""
    concepts = {concept for own in found.values() for concept in own}

    def rank(concept: Concept) -> tuple[int, float, Concept]:
        best = [own[concept][0].iou for own in found.values() if concept in own]
        return -len(best), -max(best), concept

    return sorted(concepts, key=rank)


def group_tables(runs: Sequence[Run]) -> dict[str, dict[str, pd.DataFrame]]:
    """The groups of each layer, ``{layer: {run's name: table of the groups}}``; without what has no groups."""
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for run in runs:
        for layer, result in run.results.items():
            if result.groups is not None:
                found.setdefault(layer, {})[run.name] = result.groups.table()
    return found
