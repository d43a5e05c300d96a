"""The numbers of a table: means over seeds, and paired differences from the baseline of a section."""

from typing import NamedTuple

import pandas as pd

from interpjax.comparison.statistics import Difference, Mean, mean_interval, paired_difference
from interpjax.tables.table import Row, Table


class Line(NamedTuple):
    """One row of a table, with its numbers by column; a column without a run is left out.

    Attributes:
      row: itself.
      means: over seeds.
      differences: from the baseline of its section, over the seeds that both have; of the baseline itself none.
    """

    row: Row
    means: dict[str, Mean]
    differences: dict[str, Difference]


def lines(table: Table, scores: pd.DataFrame) -> list[Line]:
    """All rows in their order, also those of which no run is finished.

    Args:
      table: the table.
      scores: a row for each finished run, as :func:`interpjax.tables.scores.scores_of` returns it.
    """
    values = {row.slug: _values(row, table, scores) for row in table.rows}
    first = {section: next(row for row in table.rows if row.section == section) for section in table.sections}
    found = []
    for row in table.rows:
        own, base = values[row.slug], values[first[row.section].slug]
        means = {name: mean_interval(column.to_numpy(float)) for name, column in own.items()}
        differences = {}
        for name, column in own.items() if row is not first[row.section] else ():
            if name in base and len(paired := (column - base[name]).dropna()):
                differences[name] = paired_difference(name, paired.to_numpy(float))
        found.append(Line(row, means, differences))
    return found


def _values(row: Row, table: Table, scores: pd.DataFrame) -> dict[str, pd.Series]:
    """By column, the values by seed."""
    if scores.empty:
        return {}
    own = scores[(scores["section"] == row.section) & (scores["row"] == row.name)].set_index("seed")
    found = {name: own[name].dropna() for name in table.columns if name in own}
    return {name: column for name, column in found.items() if len(column)}
