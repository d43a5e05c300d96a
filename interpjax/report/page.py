"""The page of a dissection, with a run around it or without: one file that opens offline."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from interpjax import json_files
from interpjax.atomic import write_atomic
from interpjax.dissection import Dissection, get_protocol
from interpjax.report import curves, figures, names, pictures, rows
from interpjax.report.drawing import Drawing
from interpjax.report.rendering import render
from interpjax.report.tables import GROUP_COLUMNS, groups_rows
from interpjax.visualization.causes import Cause
from interpjax.visualization.exhibits import Exhibits
from interpjax.visualization.gallery import Shown
from interpjax.visualization.views import Views

MADE = ("maximized_units", "maximized_groups")  # pictures that stand with their unit or group
GALLERIES = {
    "filters": (
        "First filters",
        "The kernels of the first convolution, which are small pictures of what they look for.",
    ),
    "class_models": (
        "Class models",
        "An image made so that the score of the class is as large as can be; it may look like noise.",
    ),
    "saliency": (
        "Saliency",
        "Of some images, how much the score of the class that the network sees in them (its name is below) changes "
        "with each pixel: bright where it changes most.",
    ),
    "grad_cam": ("Grad-CAM", "The same images, bright at the places whose maps speak for that class."),
}
NOTHING = Exhibits([], [], {})
MOST_CAUSES = 10  # rows of the table of what units cause
UNIT = 3_000  # bytes of the page for each unit, beside its outlines and pictures
CHANCE_WORDS = {
    "labels": "labels exchanged between images",
    "rotation": "the layer's maps mixed at random",
    "untrained": "a network of random weights",
}


@dataclasses.dataclass(frozen=True)
class Content:
    """What is on the page.

    Attributes:
      title: of the page.
      summary: the scores of :func:`interpjax.report.scores.score`, and what a run has beside.
      results: by layer.
      intervals: by layer, of :meth:`Dissection.bootstrap`; empty where counts by image were not kept.
      views: what the units look at; None without pictures.
      exhibits: pictures of what the network looks for, and what its units cause.
      metrics: lines of ``metrics.jsonl``; empty without a training.
      config: the run's configuration as text; empty without a run.
      words: what was dissected, in a sentence.
      trained_groups: whether the training knew of the groups; None where that is not known.
      facts: of the run, names and values.
      chance_hint: what to do to have chance beside the scores, where it is not.
    """

    title: str
    summary: Mapping[str, Any]
    results: Mapping[str, Dissection]
    intervals: Mapping[str, pd.DataFrame]
    views: Views | None
    exhibits: Exhibits = NOTHING
    metrics: Sequence[Mapping[str, float]] = ()
    config: str = ""
    words: str = ""
    trained_groups: bool | None = None
    facts: Sequence[tuple[str, str]] = ()
    chance_hint: str = "interpjax.dissection.chance draws it"

    @functools.cached_property
    def units(self) -> dict[str, list[rows.Unit]]:
        """The units of each layer, the largest IoU first."""
        return {layer: rows.units(layer, own, self.intervals.get(layer)) for layer, own in self.results.items()}

    @functools.cached_property
    def of_training(self) -> list[Drawing]:
        """The figures of the training."""
        found = [curves.training_curves(self.metrics), curves.groups_over_training(self.metrics)]
        return [own for own in found if own is not None]

    @functools.cached_property
    def of_dissection(self) -> list[Drawing]:
        """The figures of the dissection that are on the page."""
        return [figures.detectors_by_category(self.summary["layers"]), figures.iou_distribution(self.results)]

    def drawings(self) -> list[Drawing]:
        """All figures: those of the page, and those in whose place there are bars to choose from."""
        by_concept = [figures.units_per_concept(layer, own) for layer, own in self.units.items()]
        return self.of_training + self.of_dissection + [own for own in by_concept if own is not None]


def write_page(path: Path, content: Content) -> None:
    """Writes the page to a file.

    Raises:
      OSError: if it cannot be written.
    """
    write_atomic(path, render("report.html", {"span": names.span}, **_values(content)))


def _values(content: Content) -> dict[str, Any]:
    summary, results = content.summary, content.results
    units = content.units
    groups = {layer: rows.groups(layer, results[layer], own) for layer, own in units.items()}
    groups = {layer: own for layer, own in groups.items() if own}
    concepts, others = rows.concepts(results, units, summary["concepts"])
    everything = sorted((unit for own in units.values() for unit in own), key=lambda unit: -unit.iou)
    protocol = next(iter(results.values())).protocol
    return {
        "title": content.title,
        "summary": summary,
        "chance": summary.get("chance", {}),
        "chance_words": CHANCE_WORDS,
        "chance_hint": content.chance_hint,
        "categories": list(next(iter(results.values())).categories),
        "cut": f"{protocol.detector_iou:g}",
        "top_share": names.share(protocol.top_quantile, 1),
        "differences": _differences(protocol),
        "facts": content.facts,
        "config": content.config,
        "words": content.words,
        "trained_groups": content.trained_groups,
        "with_relevance": any(group.rank for own in groups.values() for group in own),
        "above_chance": _above_chance(summary),
        "detectors": sum(unit.detects for unit in everything),
        "unique_over_layers": len({unit.column for unit in everything if unit.detects}),
        "layers": {layer: _bars(own) for layer, own in units.items()},
        "training": [own.svg() for own in content.of_training],
        "drawings": [own.svg() for own in content.of_dissection],
        "groups": groups,
        "most_groups": max((len(own) for own in groups.values()), default=0),
        "group_columns": list(GROUP_COLUMNS.values()),
        "group_rows": groups_rows(summary),
        "concepts": concepts,
        "others": others,
        "units": everything,
        **_of_exhibits(content.exhibits),
        **_pictures(content),
    }


def _of_exhibits(exhibits: Exhibits) -> dict[str, Any]:
    """What the page has of the stage visualize."""
    shown = [own for own in exhibits.shown if own.kind in MADE]
    return {
        "left_out": exhibits.left_out,
        "largest_causes": _largest(exhibits.causes),
        "cause_images": next((own.images for own in exhibits.causes), 0),
        "causes": {(own.layer, own.kind, own.number + 1): own for own in exhibits.causes},
        "made": {(own.layer, own.kind, own.number + 1): pictures.picture_url(own.picture) for own in shown},
        "galleries": _galleries(exhibits),
    }


def _largest(causes: Sequence[Cause]) -> list[Cause]:
    """Those without which most is lost."""
    lost = [own for own in causes if own.after < own.before]
    return sorted(lost, key=lambda own: own.after - own.before)[:MOST_CAUSES]


def _above_chance(summary: Mapping[str, Any]) -> str:
    """How the score stands beside the strongest chance that was measured; empty where none was."""
    own = summary.get("chance", {})
    if not own:
        return ""
    kind = max(own, key=lambda name: own[name]["interpretability_score"])
    found, score = own[kind], summary["interpretability_score"]
    mean, more = found["interpretability_score"], f"up to {found['high']}" if found["draws"] > 1 else "one draw"
    stands = "above" if score > found["high"] else "no more than" if score <= mean else "within"
    return f"The score of {score} is {stands} what chance gave: {mean:g} ({more}), {CHANCE_WORDS[kind]}."


def _galleries(exhibits: Exhibits) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    """Of each kind of picture its title, its explanation, and each one's image, text and address, empty without one."""
    found = []
    for kind, (title, explanation) in GALLERIES.items():
        own = [shown for shown in exhibits.shown if shown.kind == kind]
        rows = [(pictures.picture_url(shown.picture), *_caption(shown)) for shown in own]
        if rows:
            found.append((title, explanation, rows))
    return found


def _caption(shown: Shown) -> tuple[str, str]:
    if not shown.layer:
        return shown.text, ""
    text = f"unit {shown.number + 1}" + (f", {shown.text}" if shown.text else "")
    return text, names.unit_address(shown.layer, shown.number)


def _pictures(content: Content) -> dict[str, Any]:
    if content.views is None:
        return {"with_pictures": False}
    data = json_files.to_text(pictures.views_data(content.views, content.results))
    beside = len(data) + UNIT * sum(len(own.images) for own in content.views.layers.values())
    beside += sum(len(own.picture) * 4 // 3 for own in content.exhibits.shown)
    return {
        "with_pictures": True,
        "sample": next(iter(content.views.layers.values())).sample,
        "views": pictures.within_page(data),
        "pictures": pictures.within_page(json_files.to_text(pictures.encoded(content.views.pictures, beside))),
    }


def _bars(units: Sequence[rows.Unit]) -> dict[str, Any]:
    """The histogram of units per concept of a layer."""
    found = rows.detected(units)
    return {
        "rows": [(unit.concept, unit.category, count, unit.concept_address) for unit, count in found],
        "most": max((count for _, count in found), default=1),
        "detectors": sum(count for _, count in found),
        "categories": list(dict.fromkeys(unit.category for unit in units if unit.detects)),
    }


def _differences(protocol: Any) -> list[tuple[str, Any, Any]]:
    """The fields in which a protocol differs from the paper's."""
    here, paper = dataclasses.asdict(protocol), dataclasses.asdict(get_protocol("paper"))
    return [(name, here[name], paper[name]) for name in here if name != "name" and here[name] != paper[name]]
