"""Which concepts each run detects, by which units and in which groups."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from interpjax.comparison.runs import Run
from interpjax.dissection import Comparison, Dissection

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


class LayerChange(NamedTuple):
    """A concept that one of two runs detects in a layer, and the other does not.

    Attributes:
      layer: both runs have it.
      concept: itself.
      gained: whether it is the other run that detects it, and not the first one.
      before: the IoU of the unit of the first run that fits it best; NaN if it was not dissected for it.
      after: of the other run.
      shares: of the resamples of the images, in which each of both detects it; None where images are not resampled.
    """

    layer: str
    concept: Concept
    gained: bool
    before: float
    after: float
    shares: tuple[float, float] | None

    @property
    def change(self) -> float:
        """By how much the two IoUs differ."""
        return abs(self.after - self.before)


class Change(NamedTuple):
    """What a run detects in other ways than another one, the first, in the layers that both have.

    Attributes:
      first: the name of the first run.
      run: that of the run itself.
      layers: that both have.
      gained: the concepts that it detects in any of them and the first run in none.
      lost: those that the first run detects in any of them and it in none.
      kept: how many both detect.
      by_layer: what is gained and lost in each layer; in each, gained ones first, then those that changed most.
    """

    first: str
    run: str
    layers: list[str]
    gained: list[Concept]
    lost: list[Concept]
    kept: int
    by_layer: list[LayerChange]


def detectors(run: Run) -> dict[Concept, list[Detector]]:
    """The detectors of each concept that a run detects, the best first."""
    found: dict[Concept, list[Detector]] = {}
    for layer, result in run.results.items():
        best = result.best()
        detects = best[(best["iou"] >= result.protocol.detector_iou) & (best["concept"] != "")]
        for unit, name, category, iou in detects.itertuples(index=False):
            found.setdefault((name, category), []).append(Detector(layer, int(unit), float(iou)))
    return {concept: sorted(own, key=lambda each: -each.iou) for concept, own in found.items()}


def changes(
    pairs: Sequence[tuple[Run, Run]],
    found: Mapping[str, Mapping[Concept, Sequence[Detector]]],
    compared: Mapping[str, Comparison],
) -> list[Change]:
    """The concepts gained and lost between the two runs of each pair.

    Args:
      pairs: the second run of each is held against the first.
      found: what :func:`detectors` gives of each run, by the run's name.
      compared: of two runs alone, the layers that were compared over images.
    """
    return [_change(first, other, found[first.name], found[other.name], compared) for first, other in pairs]


def _change(
    first: Run,
    other: Run,
    ours: Mapping[Concept, Sequence[Detector]],
    theirs: Mapping[Concept, Sequence[Detector]],
    compared: Mapping[str, Comparison],
) -> Change:
    layers = [layer for layer in first.results if layer in other.results]
    before, after = _detected_in(ours, layers), _detected_in(theirs, layers)
    by_layer = []
    for layer in layers:
        own = [_detected_in(each, [layer]) for each in (ours, theirs)]
        before_iou, after_iou = (_best_ious(run.results[layer]) for run in (first, other))
        shares = _shares(compared[layer]) if layer in compared else {}
        for gained, concepts in ((True, own[1] - own[0]), (False, own[0] - own[1])):
            rows = [
                LayerChange(
                    layer, each, gained, before_iou.get(each, math.nan), after_iou.get(each, math.nan), shares.get(each)
                )
                for each in sorted(concepts)
            ]
            by_layer += sorted(rows, key=lambda row: 0 if math.isnan(row.change) else -row.change)
    return Change(
        first=first.name,
        run=other.name,
        layers=layers,
        gained=sorted(after - before),
        lost=sorted(before - after),
        kept=len(before & after),
        by_layer=by_layer,
    )


def _detected_in(found: Mapping[Concept, Sequence[Detector]], layers: Sequence[str]) -> set[Concept]:
    return {concept for concept, units in found.items() if any(unit.layer in layers for unit in units)}


def _best_ious(result: Dissection) -> dict[Concept, float]:
    """Of each concept the IoU of the unit that fits it best."""
    return dict(zip(_named(result.concepts), result.iou.max(axis=0).tolist(), strict=True))


def _shares(compared: Comparison) -> dict[Concept, tuple[float, float]]:
    """In which share of the resamples each of both runs detects a concept."""
    table = pd.concat([compared.gained, compared.lost])
    return dict(zip(_named(table), zip(table["share_a"], table["share_b"], strict=True), strict=True))


def _named(concepts: pd.DataFrame) -> list[Concept]:
    return list(zip(concepts["name"], concepts["category"], strict=True))


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
