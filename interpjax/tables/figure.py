"""The figure beside a table: accuracy and score of each row, for neither says much without the other."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interpjax.comparison.statistics import Mean
from interpjax.report.comparison_figures import reach
from interpjax.report.drawing import CYCLE, STYLE, Drawing
from interpjax.tables.cells import Line
from interpjax.tables.rendering import HEADINGS, row_name
from interpjax.tables.table import Table

NAME = "accuracy_and_score"
SCORE = "interpretability_score"
ACCURACIES = ("accuracy", "validation_accuracy")
INCHES = {"line": 0.24, "around": 0.6}


def write_figure(table: Table, lines: Sequence[Line], folder: Path) -> None:
    """Writes ``accuracy_and_score`` as PDF, PNG and CSV: a line for each row, with means and 95 % intervals over seeds.

    Sections stand under each other in their order, each under its name and in a colour. An open mark has no interval,
    for there is one seed, or all are equal. A † is as in the table. Nothing is written where no row has an accuracy, or
    none the interpretability score.

    Args:
      table: the table.
      lines: its numbers.
      folder: of it.
    """
    measured = {name for line in lines for name in line.means}
    accuracy = next((name for name in ACCURACIES if name in measured), None)
    if accuracy and SCORE in measured:
        _drawn(table.sections, lines, (accuracy, SCORE)).save(folder)


def _drawn(sections: Sequence[str], lines: Sequence[Line], columns: tuple[str, str]) -> Drawing:
    shown: list[str | Line] = []  # from above, the name of each section and its lines
    for section in sections:
        shown += [section, *(line for line in lines if line.row.section == section)]
    with rc_context(STYLE):
        figure = Figure((7.2, INCHES["around"] + INCHES["line"] * len(shown)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, column in zip((left, right), columns, strict=True):
            _marks(axes, dict(zip(sections, itertools.cycle(CYCLE), strict=False)), shown, column)
        left.set_ylim(len(shown) - 0.5, -0.5)
        ticks = left.set_yticks(range(len(shown)), list(map(_label, shown)), fontsize="small")
        for tick, each in zip(ticks, shown, strict=True):
            tick.label1.set_fontweight("bold" if isinstance(each, str) else "normal")
    return Drawing(NAME, figure, _table(lines, columns))


def _label(shown: str | Line) -> str:
    return shown if isinstance(shown, str) else row_name(shown)


def _marks(axes: Axes, colors: dict[str, str], shown: Sequence[str | Line], column: str) -> None:
    for place, each in enumerate(shown):
        if not isinstance(each, str) and column in each.means:
            _mark(axes, place, each.means[column], colors[each.row.section])
    axes.set_xlabel(HEADINGS[column])
    axes.grid(axis="x", linewidth=0.4, alpha=0.5)
    axes.tick_params(axis="y", length=0)


def _mark(axes: Axes, place: int, mean: Mean, color: str) -> None:
    fill = color if mean.has_interval else "none"
    ranges = reach(mean[:3]) if mean.has_interval else None
    axes.errorbar(
        mean.value, place, xerr=ranges, color=color, marker="o", markersize=4, markerfacecolor=fill, capsize=2
    )


def _table(lines: Sequence[Line], columns: Sequence[str]) -> pd.DataFrame:
    rows = [
        (line.row.section, line.row.name, name, *line.means[name])
        for line in lines
        for name in columns
        if name in line.means
    ]
    return pd.DataFrame(rows, columns=["section", "row", "column", "value", "low", "high", "seeds"])
