"""Figures of a dissection: its detectors by category and by concept, and how its IoUs are distributed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from interpjax.dissection import Dissection
from interpjax.report.drawing import COLORS, CYCLE, MOST_LABELS, SPARE_COLOR, Drawing, drawing
from interpjax.report.rows import Unit, detected

MOST_CONCEPTS = 60  # bars that can be told apart
BINS = 40


def detectors_by_category(layers: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Stacked bars: the unique detectors of each layer, by the category of their concept.

    Args:
      layers: as those of :func:`interpjax.report.scores.score`.
    """
    categories = list(next(iter(layers.values()))["by_category"])
    many = len(layers) > MOST_LABELS
    size = (1.6 + 0.25 * len(layers), 4.6) if many else (1.6 + 1.1 * len(layers), 3.4)
    rows = [(layer, category, own["by_category"][category]) for layer, own in layers.items() for category in categories]
    with drawing(*size) as (figure, axes):
        bottom = np.zeros(len(layers), int)
        for category in categories:
            heights = np.array([own["by_category"][category] for own in layers.values()])
            bars = axes.bar(list(layers), heights, 0.6, bottom, label=category, color=COLORS.get(category, SPARE_COLOR))
            bottom = bottom + heights
        axes.bar_label(bars, labels=[str(total) for total in bottom], padding=2)
        axes.margins(y=0.15)
        axes.set_ylim(bottom=0, top=None if any(bottom) else 1)
        axes.set_ylabel("unique detectors")
        axes.tick_params("x", labelrotation=90 if many else 0)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), reverse=True)
    table = pd.DataFrame(rows, columns=["layer", "category", "unique_detectors"])
    return Drawing("detectors_by_category", figure, table)


def units_per_concept(layer: str, units: Sequence[Unit]) -> Drawing | None:
    """Bars: how many units of a layer detect each concept, coloured by category; None if none detects any.

    It is the histogram of Network Dissection's report (Bau et al. 2017, Fig. 5).
    """
    rows = [(layer, unit.concept, unit.category, count) for unit, count in detected(units)]
    if not rows:
        return None
    shown = rows[:MOST_CONCEPTS]
    with drawing(1.6 + 0.19 * len(shown), 3.2) as (figure, axes):
        colors = [COLORS.get(category, SPARE_COLOR) for _, _, category, _ in shown]
        axes.bar(range(len(shown)), [count for *_, count in shown], 0.75, color=colors)
        axes.set_xticks(range(len(shown)), [name for _, name, _, _ in shown])
        axes.tick_params("x", labelrotation=90, labelsize="small")
        axes.set_ylabel(f"units of {layer}")
        axes.set_xlim(-0.7, len(shown) - 0.3)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        used = dict.fromkeys(category for _, _, category, _ in shown)
        handles = [Patch(color=COLORS.get(category, SPARE_COLOR), label=category) for category in used]
        axes.legend(handles=handles, fontsize="small", loc="upper right")
    table = pd.DataFrame(rows, columns=["layer", "concept", "category", "units"])
    return Drawing(f"units_per_concept_{layer.replace('/', '_')}", figure, table)


def iou_distribution(results: Mapping[str, Dissection]) -> Drawing:
    """Lines: how many units of each layer have their best IoU in each bin, beside the cut of a detector."""
    best = {layer: result.iou.max(axis=1) for layer, result in results.items()}
    cut = next(iter(results.values())).protocol.detector_iou
    edges = np.linspace(0, max(2 * cut, *(float(own.max()) for own in best.values())), BINS + 1)
    rows = []
    with drawing(5.2, 2.6) as (figure, axes):
        for number, (layer, values) in enumerate(best.items()):
            counts, _ = np.histogram(values, edges)
            rows += [(layer, low, high, int(count)) for low, high, count in zip(edges, edges[1:], counts, strict=False)]
            axes.stairs(counts, edges, label=layer, color=CYCLE[number % len(CYCLE)], linewidth=1.4)
        axes.axvline(cut, color=SPARE_COLOR, linestyle="--", linewidth=1)
        axes.annotate(f" cut {cut:g}", (cut, 1), xycoords=("data", "axes fraction"), va="top", fontsize="small")
        axes.set_xlabel("IoU of a unit with its best concept")
        axes.set_ylabel("units")
        axes.set_xlim(left=0)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        if len(best) <= MOST_LABELS:
            axes.legend(fontsize="small")
    return Drawing("iou_distribution", figure, pd.DataFrame(rows, columns=["layer", "low", "high", "units"]))
