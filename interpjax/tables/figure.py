"""The figure beside a table: accuracy and score of each row, for neither says much without the other."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interpjax.report.comparison_figures import reach
from interpjax.report.drawing import CYCLE, STYLE, Drawing
from interpjax.tables.cells import Line
from interpjax.tables.rendering import HEADINGS
from interpjax.tables.table import Table

NAME = "accuracy_and_score"
SCORE = "interpretability_score"
ACCURACIES = ("accuracy", "validation_accuracy")
INCHES = {"line": 0.24, "around": 0.6}


def write_figure(table: Table, lines: Sequence[Line], folder: Path) -> None:
    """Writes ``accuracy_and_score`` as PDF, PNG and CSV: a line for each row, with means and 95 % intervals over seeds.

    Sections stand under each other in their order, each under its name and in a colour. A row of which no run is
    finished has no mark. Nothing is written of a table that has no accuracy or no interpretability score among its
    columns, or of which nothing is finished.

    Args:
      table: the table.
      lines: its numbers.
      folder: of it.
    """
    accuracy = next((name for name in ACCURACIES if name in table.columns), None)
    if accuracy and SCORE in table.columns and any(line.means for line in lines):
        _drawn(lines, (accuracy, SCORE)).save(folder)


def _drawn(lines: Sequence[Line], columns: tuple[str, str]) -> Drawing:
    shown: list[str | Line] = []  # from above, the name of each section and its lines
    for section in dict.fromkeys(line.row.section for line in lines):
        shown += [section, *(line for line in lines if line.row.section == section)]
    with rc_context(STYLE):
        figure = Figure((7.2, INCHES["around"] + INCHES["line"] * len(shown)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, column in zip((left, right), columns, strict=True):
            _marks(axes, shown, column)
        left.set_ylim(len(shown) - 0.5, -0.5)
        names = left.set_yticks(
            range(len(shown)), [each if isinstance(each, str) else each.row.name for each in shown], fontsize="small"
        )
        for tick, each in zip(names, shown, strict=True):
            tick.label1.set_fontweight("bold" if isinstance(each, str) else "normal")
    return Drawing(NAME, figure, _table(lines, columns))


def _marks(axes: Axes, shown: Sequence[str | Line], column: str) -> None:
    colors = itertools.cycle(CYCLE)
    looks: dict[str, Any] = {"marker": "o", "markersize": 4, "capsize": 2}
    for place, each in enumerate(shown):
        if isinstance(each, str):
            looks["color"] = next(colors)
        elif column in each.means:
            mean = each.means[column]
            axes.errorbar(mean.value, place, xerr=reach(mean[:3]), **looks)
    axes.set_xlabel(HEADINGS[column])
    axes.grid(axis="x", linewidth=0.4, alpha=0.5)
    axes.tick_params(axis="y", length=0)


def _table(lines: Sequence[Line], columns: Sequence[str]) -> pd.DataFrame:
    rows = [
        (line.row.section, line.row.name, name, *line.means[name])
        for line in lines
        for name in columns
        if name in line.means
    ]
    return pd.DataFrame(rows, columns=["section", "row", "of", "value", "low", "high", "seeds"])
