"""The page of a comparison: one file that opens offline."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import markupsafe
import pandas as pd

from interpjax.comparison.concepts import Concept, Detector, all_concepts, changes, detectors, group_tables
from interpjax.comparison.over_images import compare_layers
from interpjax.comparison.pictures import Album
from interpjax.comparison.runs import Run, differences_in_measure, differences_in_test
from interpjax.comparison.settings import Setting, all_differing_fields, naming_fields, show
from interpjax.comparison.statistics import Mean
from interpjax.comparison.tables import category_means, means, paired_differences
from interpjax.report.comparison_figures import Series, accuracy_against_score, grouped_bars
from interpjax.report.names import category_class, concept_addresses, share, unit_address
from interpjax.visualization.outlines import BOX

MOST_UNITS = 12  # of a layer that are listed for a concept
NOT_LAYERS = ("accuracy", "interpretability_score")
LARGEST = 13  # radius of the circle of the most relevant group, in pixels


def render(settings: Sequence[Setting], runs: Sequence[Run], samples: int, folder: Path) -> str:
    """The page as HTML.

    Args:
      settings: of the runs.
      runs: in the order in which they were given; the concepts of each are held against the first one's.
      samples: resamples of the images, where two runs alone are compared.
      folder: in which the page will be, for the links to the runs' reports.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("interpjax.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"mean": mean_words, "percent": percent_words, "span": span_words, "show": show}
    environment.filters |= {"category_class": category_class, "unit_address": unit_address}
    found = {run.name: detectors(run) for run in runs}
    concepts = all_concepts(found)
    album = Album(runs)
    columns = _concepts(runs, found, concepts, album)
    own_means = {setting.label: means(setting) for setting in settings}
    return environment.get_template("compare.html").render(
        runs=runs,
        box=BOX,
        settings=settings,
        means=own_means,
        layers=list(dict.fromkeys(name for own in own_means.values() for name in own if name not in NOT_LAYERS)),
        reports={run.name: _report_link(run, folder) for run in runs},
        obstacles=_obstacles(runs),
        pairs=paired_differences(settings),
        charts=_charts(settings, own_means),
        category_means={setting.label: category_means(setting) for setting in settings},
        categories=list(dict.fromkeys(name for run in runs for name in run.dissection.categories)),
        over_images=compare_layers(runs[0], runs[1], samples) if len(runs) == 2 else None,
        changes=changes(found),
        addresses=_addresses(concepts),
        concepts=columns,
        pictures=album.pictures(),
        cut=f"{runs[0].dissection.protocol.detector_iou:g}",
        top_share=share(runs[0].dissection.protocol.top_quantile, 1),
        protocols=list(dict.fromkeys(run.dissection.protocol.describe() for run in runs)),
        groups=_groups(group_tables([setting.runs[0] for setting in settings])),
        fields=all_differing_fields(runs),
        naming=naming_fields(runs),
    )


def mean_words(mean: Mean, signed: bool = False) -> str:
    """``"17.3 (16.1 to 18.5)"``; without an interval, the value alone."""
    sign = "+" if signed else ""
    if math.isnan(mean.low):
        return _true_minus(f"{mean.value:{sign}g}")
    return _true_minus(f"{mean.value:{sign}.1f} ({mean.low:{sign}.1f} to {mean.high:{sign}.1f})")


def percent_words(mean: Mean, signed: bool = False) -> str:
    """A share in percent, as ``"99.2 (98.1 to 100.3)"``; without an interval, the value alone."""
    sign = "+" if signed else ""
    value, low, high = (f"{100 * each:{sign}.2f}" for each in mean[:3])
    return _true_minus(value if math.isnan(mean.low) else f"{value} ({low} to {high})")


def span_words(difference: tuple[float, float, float]) -> str:
    """A difference of counts with its interval, as ``"+2 (−1 to +4)"``."""
    value, low, high = difference
    return _true_minus(f"{value:+g} ({low:+g} to {high:+g})")


def _true_minus(words: str) -> str:
    return words.replace("-", "−")


def _addresses(concepts: Sequence[Concept]) -> dict[Concept, str]:
    """The address of each concept's part of the page."""
    names = pd.DataFrame({"name": [name for name, _ in concepts], "number": range(1, len(concepts) + 1)})
    return dict(zip(concepts, concept_addresses(names), strict=True))


def _obstacles(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """The runs that cannot be held against the first, and why."""
    found = [(run.name, differences_in_measure(runs[0], run) + differences_in_test(runs[0], run)) for run in runs[1:]]
    return [(name, why) for name, why in found if why]


def _charts(settings: Sequence[Setting], own_means: Mapping[str, Mapping[str, Mean]]) -> dict[str, markupsafe.Markup]:
    """The figures, for use inside of the page."""
    by_layer, by_category, scatter = [], [], []
    for setting in settings:
        own = {name: mean[:3] for name, mean in own_means[setting.label].items()}
        label = setting.label
        by_layer.append(Series(label, {name: mean for name, mean in own.items() if name not in NOT_LAYERS}))
        by_category.append(Series(label, {name: mean[:3] for name, mean in category_means(setting).items()}))
        if "accuracy" in own:
            points = [(run.scores["interpretability_score"], run.scores["accuracy"]) for run in setting.runs]
            scatter.append(Series(label, own, points))
    charts = {"layers": grouped_bars(by_layer, "by_layer"), "categories": grouped_bars(by_category, "by_category")}
    if scatter:
        charts["scatter"] = accuracy_against_score(scatter)
    return {name: chart.svg() for name, chart in charts.items()}


def _concepts(
    runs: Sequence[Run],
    found: Mapping[str, Mapping[Concept, list[Detector]]],
    concepts: Sequence[Concept],
    album: Album,
) -> dict[Concept, list[dict[str, Any]]]:
    """For each concept what each run has of it: the number of its units, those of each layer, the best's images."""
    shown: dict[Concept, list[dict[str, Any]]] = {}
    for concept in concepts:
        shown[concept] = []
        for run in runs:
            own = found[run.name].get(concept, [])
            by_layer = {layer: [each for each in own if each.layer == layer] for layer in run.results}
            shown[concept].append(
                {
                    "run": run,
                    "count": len(own),
                    "best": own[0] if own else None,
                    "tiles": album.tiles(run, own[0]) if own else [],
                    "layers": {
                        layer: (units[:MOST_UNITS], len(units[MOST_UNITS:]))
                        for layer, units in by_layer.items()
                        if units
                    },
                }
            )
    return shown


def _groups(tables: Mapping[str, Mapping[str, pd.DataFrame]]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The rows of each table, with the radius of the circle whose area is the group's relevance."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for layer, by_run in tables.items():
        most = max((table["relevance"].max() for table in by_run.values() if "relevance" in table), default=0)
        found[layer] = {}
        for run, table in by_run.items():
            rows = table.to_dict("records")
            for row in rows:
                relevance = row.setdefault("relevance", None)
                row["radius"] = LARGEST * (relevance / most) ** 0.5 if relevance and most else 0
            found[layer][run] = rows
    return found


def _report_link(run: Run, folder: Path) -> str:
    """The address of a run's report from the page; empty if it has none."""
    report = run.workdir / "report.html"
    return quote(Path(os.path.relpath(report, folder)).as_posix()) if report.is_file() else ""
