"""The figure of a table says what the table says."""

import dataclasses
import shutil
from pathlib import Path

import pandas as pd
import pytest

from interpjax.tables import figure, read_table, write_table
from interpjax.tables.cells import Line, lines

RESULTS = Path(__file__).parents[2] / "results" / "two_figures" / "results.csv"
SUFFIXES = ("pdf", "png", "csv")


@pytest.fixture
def table():
    return read_table("table_two_figures")


@pytest.fixture
def scores():
    """Of the runs that are kept, with one and the same accuracy."""
    sums = pd.read_csv(RESULTS).groupby(["section", "row", "seed"], sort=False)["unique_detectors"].sum()
    return sums.rename("interpretability_score").reset_index().assign(accuracy=50.0, conv1=1.0)


def test_its_numbers_are_those_of_the_table(table, tmp_path):
    shutil.copy(RESULTS, tmp_path)
    write_table(table, tmp_path)
    drawn = pd.read_csv(tmp_path / "accuracy_and_score.csv").set_index(["section", "row", "of"])
    cells = pd.read_csv(tmp_path / "table.csv").set_index(["section", "row", "column"])
    assert len(drawn) == 2 * len(table.rows)
    for place, found in drawn.iterrows():
        assert (found["value"], found["low"], found["high"]) == tuple(cells.loc[place, ["value", "low", "high"]])
    for suffix in SUFFIXES:
        assert (tmp_path / f"accuracy_and_score.{suffix}").stat().st_size > 300
    assert (tmp_path / "accuracy_and_score.pdf").read_bytes().startswith(b"%PDF")


def test_every_mark_stands_beside_the_name_of_its_row(table, scores):
    means = scores.groupby(["section", "row"])["interpretability_score"].mean().to_dict()
    interleaved = dataclasses.replace(table, rows=tuple(table.rows[number] for number in (4, 0, 5, 1, 2, 6, 7, 3)))
    without = scores[(scores["section"] != "binary") | (scores["row"] != "all three")]
    drawing = figure._drawn(lines(interleaved, without), ("accuracy", "interpretability_score"))
    left, right = drawing.figure.axes
    names = [tick.get_text() for tick in left.get_yticklabels()]
    tasks = {task: [row.name for row in interleaved.rows if row.section == task] for task in ("multiclass", "binary")}
    assert names == ["multiclass", *tasks["multiclass"], "binary", *tasks["binary"]]
    marks = {int(bars[0].get_ydata()[0]): bars[0].get_xdata()[0] for bars in right.containers}
    expected = {}
    for place, name in enumerate(names):
        task = "multiclass" if place < names.index("binary") else "binary"
        if name not in tasks and (task, name) != ("binary", "all three"):
            expected[place] = means[task, name]
    assert marks == pytest.approx(expected)


@pytest.mark.parametrize(
    ("columns", "drawn"),
    [
        (("accuracy", "conv1"), False),
        (("interpretability_score", "conv1"), False),
        (("conv1", "interpretability_score", "accuracy"), True),
    ],
)
def test_nothing_is_drawn_without_both(table, scores, tmp_path, columns, drawn):
    table = dataclasses.replace(table, columns=columns)
    figure.write_figure(table, lines(table, scores), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"accuracy_and_score.{end}" for end in SUFFIXES if drawn}


def test_nothing_is_drawn_of_no_run(table, tmp_path):
    figure.write_figure(table, [Line(row, {}, {}, float("nan")) for row in table.rows], tmp_path)
    assert not list(tmp_path.iterdir())
