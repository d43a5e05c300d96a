"""The page of a comparison: one file that opens offline."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import markupsafe
import pandas as pd

from interpjax.comparison.concepts import (
    Concept,
    Detector,
    all_concepts,
    changes,
    detectors,
    group_tables,
)
from interpjax.comparison.over_images import compare_layers
from interpjax.comparison.pictures import Album
from interpjax.comparison.runs import Run, differences_in_layers
from interpjax.comparison.settings import (
    Setting,
    all_differing_fields,
    have_the_same_labels,
    naming_fields,
    obstacles,
    pairs_of_runs,
    show,
)
from interpjax.comparison.statistics import Mean
from interpjax.comparison.tables import category_means, means, paired_differences
from interpjax.comparison.words import (
    mean_words,
    p_words,
    percent_words,
    result,
    seeds_words,
    short_names,
    span_words,
)
from interpjax.config.words import trains_groups
from interpjax.report import rendering
from interpjax.report.comparison_figures import Series, accuracy_against_score, grouped_bars
from interpjax.report.names import concept_addresses, share
from interpjax.visualization.outlines import BOX

MOST_UNITS = 12  # of a layer that are listed for a concept
NOT_LAYERS = ("accuracy", "interpretability_score")
FILTERS: Mapping[str, Callable[..., str]] = {
    "mean": mean_words,
    "percent": percent_words,
    "span": span_words,
    "show": show,
    "p": p_words,
    "seeds": seeds_words,
}
LARGEST = 13  # radius of the circle of the most relevant group, in pixels


def render(settings: Sequence[Setting], runs: Sequence[Run], samples: int, folder: Path) -> str:
    """The page as HTML.

    Args:
      settings: of the runs.
      runs: in the order in which they were given.
      samples: resamples of the images, where two runs alone are compared.
      folder: in which the page will be, for the links to the runs' reports.
    """
    found = {run.name: detectors(run) for run in runs}
    concepts = all_concepts(found)
    album = Album(runs)
    columns = _concepts(runs, found, concepts, album)
    own_means = {setting.label: means(setting) for setting in settings}
    differences = paired_differences(settings)
    pairs = pairs_of_runs(settings, runs)
    over_images = compare_layers(runs[0], runs[1], samples) if len(runs) == 2 else ({}, [])
    first_runs = [setting.runs[0] for setting in settings]
    return rendering.render(
        "compare.html",
        FILTERS,
        runs=runs,
        box=BOX,
        settings=settings,
        names=short_names(settings),
        means=own_means,
        layers=list(dict.fromkeys(name for own in own_means.values() for name in own if name not in NOT_LAYERS)),
        reports={run.name: _report_link(run, folder) for run in runs},
        obstacles=_obstacles(pairs),
        drawn_images=not all(have_the_same_labels(runs[0], run) for run in runs[1:]),
        result=result(settings, differences, own_means),
        pairs=differences,
        charts=_charts(settings, own_means),
        of_other_layers=_of_other_layers(settings),
        category_means={setting.label: category_means(setting) for setting in settings},
        categories=list(dict.fromkeys(name for run in runs for name in run.dissection.categories)),
        over_images=over_images,
        changes=changes(pairs, found, over_images[0]),
        addresses=_addresses(concepts),
        concepts=columns,
        pictures=album.pictures(),
        without_pictures=album.left_out,
        **_protocols(runs),
        groups=_groups(group_tables(first_runs)),
        untrained_groups=[run.name for run in first_runs if not trains_groups(run.fields)],
        fields=all_differing_fields(runs),
        naming=naming_fields(runs),
    )


def _protocols(runs: Sequence[Run]) -> dict[str, Any]:
    """By which the runs were dissected; their cuts are those of the first."""
    first = runs[0].dissection.protocol
    protocols = list(dict.fromkeys(run.dissection.protocol.describe() for run in runs))
    return {"cut": f"{first.detector_iou:g}", "top_share": share(first.top_quantile, 1), "protocols": protocols}


def _addresses(concepts: Sequence[Concept]) -> dict[Concept, str]:
    """The address of each concept's part of the page."""
    names = pd.DataFrame({"name": [name for name, _ in concepts], "number": range(1, len(concepts) + 1)})
    return dict(zip(concepts, concept_addresses(names), strict=True))


def _obstacles(pairs: Sequence[tuple[Run, Run]]) -> list[tuple[str, str, list[str]]]:
    """The runs that cannot be held against the first run of their pair, the name of that, and why."""
    return [(run.name, first.name, why) for first, run in pairs if (why := obstacles(first, run))]


def _of_other_layers(settings: Sequence[Setting]) -> list[str]:
    """The labels of those whose sums over layers cannot stand beside the first one's."""
    first = settings[0].runs[0]
    return [setting.label for setting in settings if differences_in_layers(first, setting.runs[0])]


def _charts(settings: Sequence[Setting], own_means: Mapping[str, Mapping[str, Mean]]) -> dict[str, markupsafe.Markup]:
    """The figures, for use inside of the page."""
    by_layer, by_category, scatter = [], [], []
    apart = _of_other_layers(settings)
    for setting in settings:
        own = {name: mean[:3] for name, mean in own_means[setting.label].items()}
        label = setting.label
        by_layer.append(Series(label, {name: mean for name, mean in own.items() if name not in NOT_LAYERS}))
        if label in apart:  # what follows is of sums over layers
            continue
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
