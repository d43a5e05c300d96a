"""The figure of a table says what the table says."""

import dataclasses
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from interpjax.tables import figure, read_table, write_table
from interpjax.tables.cells import Line, lines

RESULTS = Path(__file__).parents[2] / "results" / "two_figures" / "results.csv"
FILES = {f"accuracy_and_score.{end}" for end in ("pdf", "png", "csv")}
BOTH = ("accuracy", "interpretability_score")


@pytest.fixture
def table():
    return read_table("table_two_figures")


@pytest.fixture
def scores():
    """Of the runs that are kept, with accuracies that tell rows and seeds apart, but for one row."""
    sums = pd.read_csv(RESULTS).groupby(["section", "row", "seed"], sort=False)["unique_detectors"].sum()
    found = sums.rename("interpretability_score").reset_index()
    found["accuracy"] = 60 + 2 * found.groupby(["section", "row"], sort=False).ngroup() + 0.01 * found["seed"]
    found.loc[found["row"] == "proximal", "accuracy"] = 50.0
    return found.assign(validation_accuracy=found["accuracy"] + 20, conv1=1.0)


def drawn(axes):
    """By place, the mark, the ends of the interval (NaN without one), and whether the mark is open."""
    found = {}
    for mark, _, (*bars,) in axes.containers:
        (value,), (place,) = mark.get_xdata(), mark.get_ydata()
        ends = bars[0].get_segments()[0][:, 0] if bars else (math.nan, math.nan)
        found[int(place)] = (value, *ends, mark.get_markerfacecolor() == "none")
    return found


def test_its_numbers_are_those_of_the_table(table, tmp_path):
    shutil.copy(RESULTS, tmp_path)
    write_table(table, tmp_path)
    drawn = pd.read_csv(tmp_path / "accuracy_and_score.csv").set_index(["section", "row", "column"])
    cells = pd.read_csv(tmp_path / "table.csv").set_index(["section", "row", "column"])
    assert len(drawn) == 2 * len(table.rows)
    for place, found in drawn.iterrows():
        assert (found["value"], found["low"], found["high"]) == tuple(cells.loc[place, ["value", "low", "high"]])
    assert (tmp_path / "accuracy_and_score.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "accuracy_and_score.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("columns", [BOTH, ("interpretability_score", "validation_accuracy")])
def test_marks_and_intervals_stand_beside_the_name_of_their_row(table, scores, columns):
    rows = tuple(table.rows[number] for number in (4, 0, 5, 1, 2, 6, 7, 3))  # sections that are not in one piece
    table = dataclasses.replace(table, rows=rows, columns=columns)
    without = scores[(scores["section"] != "binary") | (scores["row"] != "all three")]
    found = lines(table, without)
    left, right = figure._drawn(table.sections, found, columns).figure.axes
    names = [tick.get_text() for tick in left.get_yticklabels()]
    own = {task: [line for line in found if line.row.section == task] for task in ("multiclass", "binary")}
    in_order = ["multiclass", *own["multiclass"], "binary", *own["binary"]]
    assert [name.removesuffix(" †") for name in names] == [
        each if isinstance(each, str) else each.row.name for each in in_order
    ]
    assert {name.endswith(" †") for name in names[2:5]} == {True}  # of which the accuracies are points apart
    for axes, column in zip((left, right), columns, strict=True):
        marks, expected = drawn(axes), {}
        for place, each in enumerate(in_order):
            if isinstance(each, Line) and column in each.means:
                mean = each.means[column]
                ends = (math.nan, math.nan) if mean.all_equal else (mean.low, mean.high)
                expected[place] = (mean.value, *ends, mean.all_equal)
        assert len(expected) == 7
        assert marks.keys() == expected.keys()
        for place, numbers in expected.items():
            np.testing.assert_allclose(marks[place], numbers, rtol=1e-12)


def test_a_single_seed_has_an_open_mark(table, scores):
    found = lines(table, scores[scores["seed"] == 0])
    for axes in figure._drawn(table.sections, found, BOTH).figure.axes:
        assert len(drawn(axes)) == 8
        assert all(math.isnan(low) and is_open for _, low, _, is_open in drawn(axes).values())


@pytest.mark.parametrize(
    ("columns", "without", "files"),
    [
        (("accuracy", "conv1"), [], set()),
        (("interpretability_score", "conv1"), [], set()),
        (("accuracy", "interpretability_score", "conv1"), ["interpretability_score"], set()),
        (("accuracy", "interpretability_score", "conv1"), ["accuracy"], set()),
        (("conv1", "interpretability_score", "accuracy"), [], FILES),
    ],
)
def test_nothing_is_drawn_without_both(table, scores, tmp_path, columns, without, files):
    table = dataclasses.replace(table, columns=columns)
    figure.write_figure(table, lines(table, scores.drop(columns=without)), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == files
