"""Figures of the report, as SVG text."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLORS = {
    "object": "#2a6fbb",
    "part": "#45a5c4",
    "scene": "#d1495b",
    "material": "#edae49",
    "texture": "#66a182",
    "color": "#8d6a9f",
    "shape": "#2a6fbb",
    "color-shape": "#d1495b",
}
SPARE_COLOR = "#888888"
LINE_COLOR = "#2a6fbb"
MOST_LABELS = 12  # layers whose names fit below bars, and in a legend
ZERO_SHARE = "groups/zero_groups/"  # the metric, before the layer's name


def detectors_by_category(layers: dict[str, dict[str, Any]]) -> str:
    """Stacked bars: the unique detectors of each layer, by the category of their concept."""
    categories = list(next(iter(layers.values()))["by_category"])
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "interpjax", "font.family": "sans-serif"}):
        many = len(layers) > MOST_LABELS
        size = (1.6 + 0.25 * len(layers), 4.6) if many else (1.6 + 1.1 * len(layers), 3.4)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        bottom = [0] * len(layers)
        for category in categories:
            heights = [layer["by_category"][category] for layer in layers.values()]
            bars = axes.bar(list(layers), heights, 0.6, bottom, label=category, color=COLORS.get(category, SPARE_COLOR))
            bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
        axes.bar_label(bars, labels=[str(total) for total in bottom], padding=2)
        axes.margins(y=0.15)
        axes.set_ylim(bottom=0, top=None if any(bottom) else 1)
        axes.set_ylabel("unique detectors")
        axes.tick_params("x", labelrotation=90 if many else 0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), reverse=True)
        return _svg(figure)


def has_groups(metrics: Sequence[Mapping[str, float]]) -> bool:
    """Whether there is anything to draw of groups: the configured grouping may fit no layer."""
    return any(name.startswith(ZERO_SHARE) for row in metrics for name in row)


def groups_over_training(metrics: Sequence[Mapping[str, float]]) -> str:
    """Small panels: the norm of each group of filters of each layer by step, and the share of groups that are zero.

    Args:
      metrics: lines of ``metrics.jsonl``.
    """
    rows = [row for row in metrics if any(name.startswith(ZERO_SHARE) for name in row)]
    layers = [name.removeprefix(ZERO_SHARE) for name in rows[0] if name.startswith(ZERO_SHARE)]
    steps = [row["step"] for row in rows]
    across = min(len(layers) + 1, 4)
    down = -(-(len(layers) + 1) // across)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "interpjax", "font.family": "sans-serif"}):
        figure = Figure(figsize=(2.6 * across, 2.3 * down), layout="constrained")
        panels = list(figure.subplots(down, across, squeeze=False).flat)
        for layer, axes in zip(layers, panels, strict=False):
            names = [name for name in rows[0] if name.startswith(f"group_norm/{layer}/")]
            for name in names:
                axes.plot(steps, [row[name] for row in rows], color=LINE_COLOR, linewidth=1, alpha=0.75)
            if not names:
                axes.text(0.5, 0.5, "too many groups", ha="center", transform=axes.transAxes)
            axes.set_title(f"{layer}: norm of each group", fontsize="small")
        for number, layer in enumerate(layers):
            color = list(COLORS.values())[number % len(COLORS)]
            panels[len(layers)].plot(steps, [row[ZERO_SHARE + layer] for row in rows], color=color, label=layer)
        panels[len(layers)].set_title("share of zero groups", fontsize="small")
        panels[len(layers)].set_ylim(-0.03, 1.03)
        if len(layers) <= MOST_LABELS:
            panels[len(layers)].legend(frameon=False, fontsize="x-small")
        for axes in panels[: len(layers) + 1]:
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize="x-small")
            axes.set_xlabel("step", fontsize="x-small")
        for axes in panels[: len(layers)]:
            axes.set_ylim(bottom=0)
        for axes in panels[len(layers) + 1 :]:
            axes.remove()
        return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
