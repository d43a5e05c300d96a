"""What a page shows of each unit, group and concept, as rows for its template."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from interpjax.dissection import Dissection
from interpjax.dissection.scoring import best_concepts
from interpjax.report import names
from interpjax.visualization.views import concepts_of


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit and what it finds.

    Attributes:
      layer: its name.
      number: of the unit, from 1.
      address: on the page.
      place: of its pictures, among the layer's.
      column: of its best concept; −1 if it overlaps none.
      concept: the name of it.
      category: of that.
      concept_address: of that.
      iou: with it.
      interval: 95 % of resamples of the images; None where they were not kept.
      detects: whether the IoU is at the cut or above.
      dead: whether it is never above 0 on any image.
      silent: whether its threshold is 0.
      threshold: T.
      group: its group, from 1; 0 if it is in none.
      others: the concepts behind the best: names and IoUs.
    """

    layer: str
    number: int
    address: str
    place: int
    column: int
    concept: str
    category: str
    concept_address: str
    iou: float
    interval: tuple[float, float] | None
    detects: bool
    dead: bool
    silent: bool
    threshold: float
    group: int
    others: Sequence[tuple[str, float]]


def units(layer: str, result: Dissection, intervals: pd.DataFrame | None) -> list[Unit]:
    """The units of a layer, the largest IoU first.

    Args:
      layer: its name.
      result: of its dissection.
      intervals: of :meth:`Dissection.bootstrap`; None where counts by image were not kept.
    """
    column, score = best_concepts(result.iou)
    addresses = names.concept_addresses(result.concepts)
    labels, categories = result.concepts["name"].tolist(), result.concepts["category"].tolist()
    group_of = result.groups.group_of if result.groups else np.full(len(score), -1)
    bounds = _bounds(intervals, len(score))
    found = []
    for unit in np.argsort(-score, kind="stable").tolist():
        own = int(column[unit])
        top = result.top_values[unit]
        found.append(
            Unit(
                layer=layer,
                number=unit + 1,
                address=names.unit_address(layer, unit),
                place=unit,
                column=own,
                concept=labels[own] if own >= 0 else "",
                category=categories[own] if own >= 0 else "",
                concept_address=addresses[own] if own >= 0 else "",
                iou=float(score[unit]),
                interval=bounds[unit],
                detects=bool(score[unit] >= result.protocol.detector_iou and own >= 0),
                dead=bool(own < 0 and result.thresholds[unit] == 0 and len(top) and top.max() <= 0),
                silent=bool(result.thresholds[unit] == 0),
                threshold=float(result.thresholds[unit]),
                group=int(group_of[unit]) + 1,
                others=[(labels[other], iou) for other, iou in concepts_of(result, unit)],
            )
        )
    return found


def detected(units: Sequence[Unit]) -> list[tuple[Unit, int]]:
    """Of each detected concept one of its detectors and how many there are; that of most first, then as in the data."""
    of = {unit.column: unit for unit in units if unit.detects}
    counts = collections.Counter(unit.column for unit in units if unit.detects)
    return [(of[column], counts[column]) for column in sorted(counts, key=lambda column: (-counts[column], column))]


def _bounds(intervals: pd.DataFrame | None, count: int) -> list[tuple[float, float] | None]:
    if intervals is None:
        return [None] * count
    table = intervals.set_index("statistic").loc[[f"iou/unit {unit}" for unit in range(count)]]
    return list(zip(table["low"].astype(float), table["high"].astype(float), strict=True))


@dataclasses.dataclass(frozen=True)
class Group:
    """A group of filters and what it finds; ``facts`` is its row of :meth:`GroupResult.summary`.

    Attributes:
      layer: its name.
      number: from 1.
      address: on the page.
      facts: purity, entropy and IoU beside random groups, units, detectors, relevance.
      radius: of the circle of its relevance, beside the largest of the layer, 0 to 1; None where it is not known.
      rank: of its relevance in the layer, from 1; 0 where it is not known.
      concepts: what its detectors find, with the number of them and the concept's address and category.
      units: its units, the largest IoU first.
      concept_address: of the best concept of its mask; empty where there is none.
      detects: whether its mask is a detector of that.
    """

    layer: str
    number: int
    address: str
    facts: Mapping[str, Any]
    radius: float | None
    rank: int
    concepts: Sequence[tuple[str, int, str, str]]
    units: Sequence[Unit]
    concept_address: str
    detects: bool


def groups(layer: str, result: Dissection, own: Sequence[Unit]) -> list[Group]:
    """The groups of a layer, in their order; ``own`` are its units."""
    if result.groups is None:
        return []
    addresses = names.concept_addresses(result.concepts)
    rows = result.groups.summary()["by_group"]
    best, _ = best_concepts(result.groups.iou)
    relevances = sorted((row["relevance"] for row in rows if row.get("relevance") is not None), reverse=True)
    found = []
    for row, column in zip(rows, best.tolist(), strict=True):
        members = [unit for unit in own if unit.group == row["group"]]
        relevance = row.get("relevance")
        found.append(
            Group(
                layer=layer,
                number=row["group"],
                address=names.group_address(layer, row["group"] - 1),
                facts=row,
                radius=float(np.sqrt(relevance / relevances[0])) if relevances and relevances[0] > 0 else None,
                rank=relevances.index(relevance) + 1 if relevances else 0,
                concepts=[
                    (unit.concept, count, unit.concept_address, unit.category) for unit, count in detected(members)
                ],
                units=members,
                concept_address=addresses[column] if column >= 0 else "",
                detects=row["iou"] >= result.groups.detector_iou,
            )
        )
    return found


@dataclasses.dataclass(frozen=True)
class Concept:
    """A concept that is the best one of some unit.

    Attributes:
      name: as in the labels.
      category: the primary one.
      address: on the page.
      facts: its row of the summary: share of pixels, ceiling, best IoU by layer.
      detectors: how many units detect it, over all layers.
      units: all that have it as their best one, the largest IoU first.
    """

    name: str
    category: str
    address: str
    facts: Mapping[str, Any]
    detectors: int
    units: Sequence[Unit]


def concepts(
    results: Mapping[str, Dissection], own: Mapping[str, Sequence[Unit]], facts: Sequence[Mapping[str, Any]]
) -> tuple[list[Concept], list[Mapping[str, Any]]]:
    """The concepts, that of the most detectors first, and the facts of those that no unit has as its best one."""
    table = next(iter(results.values())).concepts
    addresses = names.concept_addresses(table)
    of: dict[int, list[Unit]] = {}
    for unit in sorted((unit for layer in own.values() for unit in layer), key=lambda unit: -unit.iou):
        of.setdefault(unit.column, []).append(unit)
    found, others = [], []
    for column, fact in enumerate(facts):
        if column not in of:
            others.append(fact)
            continue
        detectors = sum(unit.detects for unit in of[column])
        found.append(Concept(fact["name"], fact["category"], addresses[column], fact, detectors, of[column]))
    return sorted(found, key=lambda concept: (-concept.detectors, -concept.units[0].iou)), others
