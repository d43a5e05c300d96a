"""Figures of a comparison, as SVG text that a page takes in."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's palette, which the colour-blind tell apart; its black and yellow are lost on a dark or a white page.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++")
MOST_NAMES = 8  # below bars, without turning them
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "interpjax", "font.family": "sans-serif"}
Estimate = tuple[float, float, float]  # value, low, high; NaN where there is no interval


class Series(NamedTuple):
    """What is drawn of a setting.

    Attributes:
      label: in the legend.
      values: with their intervals, by what they are of.
      points: the accuracy and the score of each of its runs.
    """

    label: str
    values: Mapping[str, Estimate]
    points: Sequence[tuple[float, float]] = ()


def accuracy_against_score(series: Sequence[Series]) -> str:
    """A point for each setting with its intervals, over a faint one for each of its runs.

    Args:
      series: whose ``values`` have ``"accuracy"`` (0 to 1) and ``"interpretability_score"``.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.8), layout="constrained")
        axes = figure.subplots()
        for number, own in enumerate(series):
            color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
            (x, *across), (y, *along) = (own.values[name] for name in ("interpretability_score", "accuracy"))
            axes.scatter(
                [score for _, score in own.points], [100 * value for value, _ in own.points],
                s=18, marker=marker, color=color, alpha=0.45, linewidths=0,
            )  # fmt: skip
            axes.errorbar(
                x, 100 * y, xerr=_reach(x, *across), yerr=100 * _reach(y, *along),
                color=color, marker=marker, markersize=8, capsize=3, linewidth=1.4, linestyle="none", label=own.label,
            )  # fmt: skip
        axes.set_xlabel("interpretability score (unique detectors, summed over layers)")
        axes.set_ylabel("test accuracy, %")
        axes.margins(0.12)
        low, high = axes.get_ylim()
        axes.set_ylim(low, min(high, 100 + 0.05 * (100 - low)))  # an interval may reach above 100 %, the axis need not
        _finish(figure, axes)
        return _svg(figure, "scatter")


def grouped_bars(series: Sequence[Series], name: str) -> str:
    """Bars side by side for each setting, with their intervals: unique detectors by layer or by category.

    Args:
      series: of each setting; what one lacks has no bar.
      name: of the figure, another for each on a page.
    """
    names = list(dict.fromkeys(key for own in series for key in own.values))
    width = 0.8 / len(series)
    with rc_context(STYLE):
        figure = Figure(figsize=(2.2 + 0.24 * len(names) * max(len(series), 3), 3.6), layout="constrained")
        axes = figure.subplots()
        for number, own in enumerate(series):
            values = [own.values.get(key, (0.0, math.nan, math.nan)) for key in names]
            axes.bar(
                np.arange(len(names)) + (number - (len(series) - 1) / 2) * width,
                [value for value, _, _ in values],
                width,
                yerr=np.concatenate([_reach(*value) for value in values], axis=1),
                color=COLORS[number % len(COLORS)], edgecolor="#000000", linewidth=0.6, ecolor="#000000", capsize=2,
                hatch=HATCHES[number // len(COLORS) % len(HATCHES)], label=own.label,
            )  # fmt: skip
        axes.set_xticks(range(len(names)), names, rotation=0 if len(names) <= MOST_NAMES else 90)
        axes.set_ylabel("unique detectors")
        axes.set_ylim(bottom=0, top=None if axes.dataLim.y1 > 0 else 1)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        _finish(figure, axes)
        return _svg(figure, name)


def _reach(value: float, low: float, high: float) -> np.ndarray:
    """[2, 1] from the value down and up to its interval's ends; 0 where there is none."""
    return np.nan_to_num(np.array([[value - low], [high - value]]))


def _finish(figure: Figure, axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize="small", loc="outside upper left", ncols=3)


def _svg(figure: Figure, name: str) -> str:
    """Without a background, so that the page's shows, and with ids that no other figure of the page has."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text[text.index("<svg") :])
