"""Checks of a table, when it is put together: what could not be made, or would not be found, is told of at once."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from ml_collections import ConfigDict

from interpjax.errors import UserError
from interpjax.prepare import STAGES

if TYPE_CHECKING:
    from interpjax.tables.table import Table

# The stages in which columns are measured, by their names up to a slash. Any other column is a layer's, of dissect.
MEASURED_IN = {
    "accuracy": "evaluate",
    "validation_accuracy": "evaluate",
    "top5": "evaluate",
    "zero_groups": "evaluate",
    "zero_weights": "evaluate",
    "interpretability_score": "dissect",
    "rud": "dissect",
    "calibrated": "chance",
    "by_chance": "chance",
    "untrained": "chance",
}
LONGEST = 200  # bytes of a section and a row in the name of a log, before seed and ending; file systems take 255
ALIKE = 0.8  # as difflib reckons it, two names are one with a slip
SHOWN = 40  # letters of a name that is too long


def check(table: Table) -> None:
    """Raises a UserError that names the table, and the field and value that cannot be."""
    _check_fields(table)
    _check_places(table)
    _check_stages(table)
    _check_columns(table)
    if table.search:
        _check_search(table)


def _check_fields(table: Table) -> None:
    """Fields hold what they should, and no seed is given twice."""
    for name in ("rows", "seeds", "columns", "stages", "seed_fields"):
        value = getattr(table, name)
        if not isinstance(value, tuple) or not value:
            told = f"a {type(value).__name__} of {len(value)}" if isinstance(value, tuple | list) else repr(value)
            raise UserError(f"table {table.title!r}: {name} is {told}; expected a tuple of one at least")
    for row in table.rows:
        config = getattr(row, "config", None)
        if not isinstance(config, ConfigDict):
            where = f"row {getattr(row, 'slug', repr(row))} has the config {config!r}"
            raise UserError(f"table {table.title!r}: {where}; expected an experiment, as interpjax.get_config gives it")
    for seeds in (table.seeds, *(row.seeds for row in table.rows)):
        if len(set(seeds)) < len(seeds):
            raise UserError(f"table {table.title!r}: seeds = {seeds}: expected none of them twice")


def _check_places(table: Table) -> None:
    """Folders and logs have to be others for each row; all logs lie in one folder."""
    logs = [row.slug.replace("/", "--") for row in table.rows]
    sections = [row.slug.partition("/")[0] for row in {row.section: row for row in table.rows}.values()]
    places = {"rows have the folder": [row.slug for row in table.rows], "sections have the folder": sections}
    for what, names in (places | {"rows have the log": logs}).items():
        if twice := [name for name in names if names.count(name) > 1]:
            raise UserError(f"table {table.title!r}: two {what} {twice[0]!r}; expected another for each")
    for log in logs:
        if len(log.encode()) > LONGEST:
            raise UserError(
                f"table {table.title!r}: section and row {log[:SHOWN]!r}… have {len(log.encode())} bytes; expected "
                f"{LONGEST} at most"
            )


def _check_stages(table: Table) -> None:
    if unknown := [stage for stage in table.stages if stage not in STAGES]:
        raise UserError(f"table {table.title!r}: {unknown[0]!r} is not a stage; choose from {', '.join(STAGES)}")
    for column in table.columns:
        stage = MEASURED_IN.get(column.partition("/")[0], "dissect")
        if stage not in table.stages:
            raise UserError(
                f"table {table.title!r}: column {column!r} is measured in the stage {stage}; expected it among the "
                f"stages {', '.join(table.stages)}"
            )


def _check_columns(table: Table) -> None:
    """A name that is nearly that of a column is hardly that of a layer."""
    for column in table.columns:
        name = column.partition("/")[0]
        meant = difflib.get_close_matches(name, MEASURED_IN, n=1, cutoff=ALIKE)
        if meant and name not in MEASURED_IN:
            expected = f"Expected a layer, or one of {', '.join(MEASURED_IN)}"
            raise UserError(f"table {table.title!r}: column {column!r}: did you mean {meant[0]!r}? {expected}")


def _check_search(table: Table) -> None:
    """A search measures what it chooses by, and chooses by nothing that is reported."""
    if not {"evaluate", "dissect"} <= set(table.stages):
        raise UserError(
            f"table {table.title!r}: stages = {table.stages}: expected evaluate and dissect among those of a search"
        )
    for row in table.rows:
        half, held_out = row.config.dissection.half, row.config.data.validation
        if half != "validation" or not held_out:
            raise UserError(
                f"row {row.slug}: dissection.half = {half!r}, data.validation = {held_out}: expected 'validation' and "
                "a share above 0, for a search chooses nothing by what is reported"
            )
