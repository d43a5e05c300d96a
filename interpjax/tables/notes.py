"""What stands under a table on its runs: which have failed, what none has measured, and what a search has chosen."""

from collections.abc import Mapping

import pandas as pd

from interpjax.tables.table import Table
from interpjax.training import TrainingDivergedError


def has_diverged(why: str) -> bool:
    """Whether what went wrong in a run is that its training diverged."""
    return why.startswith(TrainingDivergedError.__name__)


def notes_on_runs(table: Table, scores: pd.DataFrame, failed: Mapping[str, str]) -> list[str]:
    """The runs that have failed, and the columns that no finished run has.

    Args:
      table: the table.
      scores: a row for each finished run, as :func:`interpjax.tables.scores.scores_of` returns it.
      failed: ``{name: what went wrong}``.
    """
    found = [f"Failed: {name}: {why}" for name, why in failed.items()]
    for column in table.columns if len(scores) else ():
        if column not in scores or scores[column].isna().all():
            names = [name for name in scores if name not in ("section", "row", "seed")]
            found.append(f"No finished run has the column {column!r}; they have {', '.join(names)}.")
    return found


def notes_on_choice(table: Table, chosen: Mapping[str, str]) -> list[str]:
    """The row that a search has chosen in each section."""
    none = "none, for its runs are not all finished, or those of all rows diverged"
    return [f"Chosen of {section}: {chosen.get(section, none)}." for section in table.sections]
