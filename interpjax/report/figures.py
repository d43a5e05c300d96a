"""Figures of the report, as SVG text."""

import io
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


def detectors_by_category(layers: dict[str, dict[str, Any]]) -> str:
    """Stacked bars: the unique detectors of each layer, by the category of their concept."""
    categories = list(next(iter(layers.values()))["by_category"])
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "interpjax", "font.family": "sans-serif"}):
        figure = Figure(figsize=(1.6 + 1.1 * len(layers), 3.4), layout="constrained")
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
        axes.spines[["top", "right"]].set_visible(False)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), reverse=True)
        return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
