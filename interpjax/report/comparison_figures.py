"""Figures of a comparison: a colour, a marker and a hatch for each setting."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from interpjax.report.drawing import CYCLE, Drawing, drawing

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "///", "...", "xxx")
MOST_NAMES = 8  # below bars, without turning them
MARK = 0.018  # a bit more than half of a mark, as a share of the axis
AXES = ("interpretability_score", "accuracy")
Estimate = tuple[float, float, float]  # value, low, high; NaN where there is no interval


class Series(NamedTuple):
    """What is drawn of a setting.

    Attributes:
      label: in the legend.
      values: with their intervals, by what they are of.
      points: the score and the accuracy (0 to 1) of each of its runs.
    """

    label: str
    values: Mapping[str, Estimate]
    points: Sequence[tuple[float, float]] = ()


def accuracy_against_score(series: Sequence[Series]) -> Drawing:
    """An open mark for each setting with its intervals, and a small one for each of its runs, where it has several.

    Marks that would lie on each other stand side by side, moved by a fraction of a mark; the table has where they are.

    Args:
      series: whose ``values`` have ``"accuracy"`` (0 to 1) and ``"interpretability_score"``.
    """
    means = [(own.values["interpretability_score"], own.values["accuracy"]) for own in series]
    runs = [own.points if len(own.points) > 1 else () for own in series]
    points = [point for own in runs for point in own]
    ends = [end for score, _ in means for end in score if not math.isnan(end)] + [score for score, _ in points]
    room = max(0.12 * (max(ends) - min(ends)), 1)
    step = MARK * (max(ends) - min(ends) + 2 * room)
    beside_runs = iter(_side_by_side(points))
    with drawing(5.6, 3.8) as (figure, axes):
        for number, beside in enumerate(_side_by_side([(score[0], accuracy[0]) for score, accuracy in means])):
            color, marker = CYCLE[number % len(CYCLE)], MARKERS[number % len(MARKERS)]
            score, accuracy = means[number]
            looks: dict[str, Any] = {"color": color, "marker": marker, "linestyle": "none"}
            for x, y in runs[number]:
                moved = x + step / 2 * next(beside_runs)
                axes.plot(moved, 100 * y, **looks, markersize=4, alpha=0.6, markeredgewidth=0)
            ranges: dict[str, Any] = {"xerr": reach(score), "yerr": 100 * reach(accuracy)}
            place = (score[0] + step * beside, 100 * accuracy[0])
            axes.errorbar(*place, **ranges, fmt="none", ecolor=color, capsize=3)
            looks |= {"markersize": 9, "markerfacecolor": "none", "markeredgewidth": 1.6}
            axes.plot(*place, **looks, label=series[number].label)
        axes.set_xlabel("interpretability score (unique detectors, summed over layers)")
        axes.set_ylabel("test accuracy, %")
        axes.margins(0.12)
        axes.set_xlim(min(ends) - room, max(ends) + room)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        low, high = axes.get_ylim()
        axes.set_ylim(low, min(high, 100 + 0.05 * (100 - low)))  # an interval may reach above 100 %, the axis need not
        _legend(axes)
    return Drawing("accuracy_against_score", figure, _table(series, AXES))


def grouped_bars(series: Sequence[Series], name: str) -> Drawing:
    """Bars side by side for each setting, with their intervals: unique detectors by layer or by category.

    Args:
      series: of each setting; what one lacks has no bar.
      name: of the figure.
    """
    names = list(dict.fromkeys(key for own in series for key in own.values))
    width = 0.8 / len(series)
    with drawing(2.2 + 0.24 * len(names) * max(len(series), 3), 3.6) as (figure, axes):
        for number, own in enumerate(series):
            values = [own.values.get(key, (0.0, math.nan, math.nan)) for key in names]
            places = np.arange(len(names)) + (number - (len(series) - 1) / 2) * width
            ranges = np.concatenate([reach(value) for value in values], axis=1)
            fill: dict[str, Any] = {
                "color": CYCLE[number % len(CYCLE)],
                "hatch": HATCHES[number // len(CYCLE) % len(HATCHES)],
            }
            edge: dict[str, Any] = {"edgecolor": "#000000", "linewidth": 0.6, "ecolor": "#000000", "capsize": 2}
            axes.bar(places, [value for value, _, _ in values], width, yerr=ranges, **fill, **edge, label=own.label)
        axes.set_xticks(range(len(names)), names, rotation=0 if len(names) <= MOST_NAMES else 90)
        axes.set_ylabel("unique detectors")
        axes.set_ylim(bottom=0, top=None if axes.dataLim.y1 > 0 else 1)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        _legend(axes)
    return Drawing(name, figure, _table(series, names))


def reach(estimate: Estimate) -> np.ndarray:
    """[2, 1] from the value down and up to its interval's ends; NaN, which draws nothing, where it has no width."""
    value, low, high = estimate
    return np.array([[value - low], [high - value]]) if low < high else np.full((2, 1), math.nan)


def _side_by_side(points: Sequence[tuple[float, float]]) -> list[float]:
    """How many marks each point is to be moved, so that those of one place are in a row around it."""
    seen = [(round(x, 9), round(y, 9)) for x, y in points]  # means of the same numbers differ by rounding
    return [seen[:number].count(point) - (seen.count(point) - 1) / 2 for number, point in enumerate(seen)]


def _legend(axes: Axes) -> None:
    axes.figure.legend(fontsize="small", loc="outside upper left", ncols=6)


def _table(series: Sequence[Series], names: Sequence[str]) -> pd.DataFrame:
    rows = [(own.label, name, *own.values[name]) for own in series for name in names if name in own.values]
    return pd.DataFrame(rows, columns=["setting", "of", "value", "low", "high"])
