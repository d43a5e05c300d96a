"""The strength and learning rate of each regularizer, chosen on validation images by a rule written down first."""

from collections.abc import Collection

import pandas as pd

from interpjax.comparison.statistics import DECIMALS
from interpjax.tables.table import Row, Table

ACCURACY, SCORE = "validation_accuracy", "interpretability_score"
WITHIN = 1.0  # percentage points of accuracy, that docs/protocol.md takes for equal accuracies


def are_apart(points: float) -> bool:
    """Whether accuracies so many percentage points apart are too far from each other to compare scores; not of NaN."""
    return round(abs(points), 6) > WITHIN


def choose(table: Table, scores: pd.DataFrame, diverged: Collection[str] = ()) -> dict[str, Row]:
    """Of each section the row to go on with, by the rule of docs/protocol.md.

    Of the rows whose mean validation accuracy is within one percentage point of the best of the section, it is the one
    with the largest mean interpretability score; of equals the one with the higher accuracy, then the earlier one.

    Args:
      table: a search, whose rows are dissected with the validation half of the labelled images.
      scores: a row for each finished run, as :func:`interpjax.tables.scores.scores_of` returns it.
      diverged: the slugs of rows of which the training of a run diverged, which are not chosen.

    Returns:
      The row by section. A section is left out until each run of its other rows has both numbers, and where all rows
      diverged.
    """
    if not {ACCURACY, SCORE} <= set(scores):
        return {}
    chosen, scores = {}, scores.dropna(subset=[ACCURACY, SCORE])
    for section in table.sections:
        rows = [row for row in table.rows if row.section == section and row.slug not in diverged]
        found = [scores[(scores["section"] == section) & (scores["row"] == row.name)] for row in rows]
        if rows and all(
            set(row.seeds or table.seeds) <= set(own["seed"]) for row, own in zip(rows, found, strict=True)
        ):
            # Rounded, so that equal means that were summed differently are equal.
            means = [(round(own[ACCURACY].mean(), DECIMALS), round(own[SCORE].mean(), DECIMALS)) for own in found]
            enough = round(max(accuracy for accuracy, _ in means) - WITHIN, DECIMALS)
            best = max(
                (number for number, (accuracy, _) in enumerate(means) if accuracy >= enough),
                key=lambda number: (means[number][1], means[number][0], -number),
            )
            chosen[section] = rows[best]
    return chosen
