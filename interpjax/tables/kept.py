"""What a table's ``results.csv`` keeps of runs whose own folders are gone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from interpjax.config import digest
from interpjax.errors import UserError
from interpjax.tables.table import Table, slug

RESULTS = "results.csv"
TEXTS = ("section", "row", "layer", "config", "version", "date", "failed")
MEASURED = {"evaluate": "accuracy", "dissect": "unique_detectors", "chance": "by_chance"}  # a column of each stage
Kept = Mapping[str, list[dict[str, Any]]]


def read_kept(table: Table, folder: Path) -> Kept:
    """The lines of ``results.csv`` in a table's folder of those runs that are not beside it, by the name of the run.

    Folders of runs are large, and may be removed, or left where they were made, once this file has what they found. The
    data that are named by a path are taken to be the same, for the file does not hold their digests.

    Args:
      table: the table.
      folder: of it, absolute.

    Raises:
      UserError: naming the file and the run, if it is damaged; or if it alone has the results of a run that the table
        does not have, or has with another configuration, for they would be lost where it is written anew.
    """
    path = folder / RESULTS
    planned = {each.name: each for _, _, each in table.planned(folder)}
    kept: dict[str, list[dict[str, Any]]] = {}
    for line in _read(path):
        place = f"{slug(line['section'], line['row'])}/seed={line['seed']}"
        if (folder / place / "summary.json").is_file():
            continue
        if place not in planned or digest(planned[place].config) != line.get("config"):
            which = "by another configuration than the table's" if place in planned else "which is not in the table"
            raise UserError(
                f"{path} alone has the results of {place}, {which}; give another folder, or remove its lines"
            )
        kept.setdefault(place, []).append(line)
    return kept


def is_kept(name: str, kept: Kept, stages: Sequence[str]) -> bool:
    """Whether a run is kept with what its stages measure."""
    columns = [column for stage, column in MEASURED.items() if stage in stages]
    return name in kept and all(pd.notna(line.get(column)) for line in kept[name] for column in columns)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        found = pd.read_csv(path, dtype=str, keep_default_na=False).fillna("")  # exactly, for it is written again
        for name in set(found) - set(TEXTS):
            found[name] = [int(text) if text.isdecimal() else float(text or "nan") for text in found[name]]
    except ValueError as error:  # and pandas' own, which are of its kind
        raise UserError(
            f"{path} cannot be read ({str(error).strip()}); remove it, and it is made of the runs again"
        ) from error
    if lacking := {"section", "row", "seed"} - set(found):
        raise UserError(f"{path} has no column {min(lacking)!r}; remove it, and it is made of the runs again")
    return found.to_dict("records")
