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
    """A point for each setting with its intervals, over a faint one for each of its runs.

    Args:
      series: whose ``values`` have ``"accuracy"`` (0 to 1) and ``"interpretability_score"``.
    """
    with drawing(5.6, 3.8) as (figure, axes):
        for number, own in enumerate(series):
            color, marker = CYCLE[number % len(CYCLE)], MARKERS[number % len(MARKERS)]
            scores, accuracies = np.array(own.points).T
            axes.scatter(scores, 100 * accuracies, s=18, marker=marker, color=color, alpha=0.45, linewidths=0)
            score, accuracy = own.values["interpretability_score"], own.values["accuracy"]
            ranges: dict[str, Any] = {"xerr": _reach(score), "yerr": 100 * _reach(accuracy)}
            looks: dict[str, Any] = {
                "color": color,
                "marker": marker,
                "markersize": 8,
                "capsize": 3,
                "linestyle": "none",
            }
            axes.errorbar(score[0], 100 * accuracy[0], **ranges, **looks, label=own.label)
        axes.set_xlabel("interpretability score (unique detectors, summed over layers)")
        axes.set_ylabel("test accuracy, %")
        axes.margins(0.12)
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
            ranges = np.concatenate([_reach(value) for value in values], axis=1)
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


def _reach(estimate: Estimate) -> np.ndarray:
    """[2, 1] from the value down and up to its interval's ends; 0 where there is none."""
    value, low, high = estimate
    return np.nan_to_num(np.array([[value - low], [high - value]]))


def _legend(axes: Axes) -> None:
    axes.figure.legend(fontsize="small", loc="outside upper left", ncols=6)


def _table(series: Sequence[Series], names: Sequence[str]) -> pd.DataFrame:
    rows = [(own.label, name, *own.values[name]) for own in series for name in names if name in own.values]
    return pd.DataFrame(rows, columns=["setting", "of", "value", "low", "high"])
