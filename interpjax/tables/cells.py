"""The numbers of a table: means over seeds, and paired differences from the baseline of a section."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from interpjax.comparison.statistics import Difference, Mean, mean_interval, paired_difference
from interpjax.tables.table import Row, Table

ACCURACY = "accuracy"
NOTHING = pd.Series(dtype=float)  # of no seed


class Line(NamedTuple):
    """One row of a table, with its numbers by column; a column without a run is left out.

    Attributes:
      row: itself.
      seeds: how many of its runs are finished.
      means: over seeds.
      differences: from the baseline of its section, over the seeds that both have; none of the baseline itself, and
        none in a search, whose rows have no baseline.
      apart: by how many percentage points its accuracy is above the baseline's, over the same seeds; NaN where there is
        no such difference, or none was measured.
    """

    row: Row
    seeds: int
    means: dict[str, Mean]
    differences: dict[str, Difference]
    apart: float


def lines(table: Table, scores: pd.DataFrame) -> list[Line]:
    """All rows in their order, also those of which no run is finished.

    Args:
      table: the table.
      scores: a row for each finished run, as :func:`interpjax.tables.scores.scores_of` returns it.
    """
    measured = {row.slug: _values(row, (*table.columns, ACCURACY), scores) for row in table.rows}
    first = {section: next(row for row in table.rows if row.section == section) for section in table.sections}
    found = []
    for row in table.rows:
        own, base = measured[row.slug], measured[first[row.section].slug]
        alone = table.search or row is first[row.section]
        shown = [name for name in table.columns if name in own]
        means = {name: mean_interval(own[name].to_numpy(float)) for name in shown}
        differences = {}
        for name in () if alone else shown:
            if name in base and len(paired := (own[name] - base[name]).dropna()):
                differences[name] = paired_difference(name, paired.to_numpy(float))
        apart = own.get(ACCURACY, NOTHING) - base.get(ACCURACY, NOTHING)
        finished = int(((scores["section"] == row.section) & (scores["row"] == row.name)).sum())
        found.append(Line(row, finished, means, differences, math.nan if alone else float(apart.mean())))
    return found


def _values(row: Row, columns: Sequence[str], scores: pd.DataFrame) -> dict[str, pd.Series]:
    """By column, the values by seed."""
    if scores.empty:
        return {}
    own = scores[(scores["section"] == row.section) & (scores["row"] == row.name)].set_index("seed")
    found = {name: own[name].dropna() for name in columns if name in own}
    return {name: column for name, column in found.items() if len(column)}
