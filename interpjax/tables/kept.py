"""What a table's ``results.csv`` keeps of runs whose own folders are gone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from interpjax.config import digest
from interpjax.errors import UserError
from interpjax.running import Planned
from interpjax.running.notes import note_of
from interpjax.running.records import CHANCE, COUNTS
from interpjax.tables.table import Table, run_name

RESULTS = "results.csv"
NAMING = ("section", "row", "seed", "layer")
NEEDED = (*NAMING, "layers", "seconds", "config")
TEXTS = ("section", "row", "layer", "config", "version", "date", "failed")
MEASURED = {"evaluate": "accuracy", "dissect": "unique_detectors"}  # a column of each stage; chance has one by kind
ONLY_COPY = "without it, what it keeps of runs whose folders are gone is lost"
Kept = Mapping[str, list[dict[str, Any]]]


def read_kept(table: Table, folder: Path) -> Kept:
    """The lines of ``results.csv`` in a table's folder of those runs that are not beside it, by the name of the run.

    Folders of runs are large, and may be removed, or left where they were made, once this file has what they found. It
    tells runs apart by their configurations; folders of data are taken to hold what they held.

    Args:
      table: the table.
      folder: of it, absolute.

    Raises:
      UserError: naming the file and the run, if it is damaged; or if it has the results of a run that the table does
        not have, or those of a run whose folder is gone with another configuration, for they would be lost where it is
        written anew.
    """
    path = folder / RESULTS
    planned = {each.name: each for _, _, each in table.planned(folder)}
    found: dict[str, list[dict[str, Any]]] = {}
    for line in _read(path):
        found.setdefault(run_name(line["section"], line["row"], line["seed"]), []).append(line)
    kept = {}
    for name, lines in found.items():
        if name in planned and (folder / name / "summary.json").is_file():
            continue
        if any(map(_has_results, lines)):
            _check(lines, planned.get(name), path, name)
        elif name not in planned or note_of(planned[name]) or lines[0]["config"] != digest(planned[name].config):
            continue  # it failed, of which the note tells better, or with another configuration
        kept[name] = lines
    return kept


def is_kept(planned: Planned, kept: Kept, stages: Sequence[str]) -> bool:
    """Whether a run is kept as finished, with what its stages measure."""
    columns = ["seconds", *(column for stage, column in MEASURED.items() if stage in stages)]
    if "chance" in stages:
        columns += [CHANCE[kind] for kind in planned.config.dissection.chance.kinds if kind in CHANCE]
    lines = kept.get(planned.name, [])
    return bool(lines) and all(pd.notna(line.get(column)) for line in lines for column in columns)


def _has_results(line: Mapping[str, Any]) -> bool:
    """Whether it is of a finished run, and not of one that failed."""
    return pd.notna(line["seconds"])


def _check(lines: Sequence[Mapping[str, Any]], planned: Planned | None, path: Path, name: str) -> None:
    """Raises a UserError unless these lines are all that a run of the table has found."""
    remedy = "give another folder, or move its lines to another file"
    if planned is None:
        raise UserError(f"{path} has the results of {name}, which is not in the table; {remedy}")
    told = f"{path} has the results of {name}, whose folder is gone"
    ours = digest(planned.config)
    for theirs in {line["config"] for line in lines} - {ours}:
        if not theirs:
            raise UserError(f"{told}, without the digest of its configuration (column config); {remedy}")
        raise UserError(
            f"{told}, by the configuration {theirs}, and the table's is {ours}; if fields were set by "
            f"--config.FIELD=VALUE, give the same, or {remedy}"
        )
    if len(lines) != lines[0]["layers"]:
        raise UserError(f"{path} has {len(lines)} of the {lines[0]['layers']} layers of {name}; mend it: {ONLY_COPY}")


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        found = pd.read_csv(path, dtype=str, keep_default_na=False).fillna("")  # exactly, for it is written again
    except ValueError as error:  # and pandas' own, which are of its kind
        raise UserError(f"{path} cannot be read ({str(error).strip()}); mend it: {ONLY_COPY}") from error
    if lacking := [name for name in NEEDED if name not in found]:
        raise UserError(f"{path} has no column {lacking[0]!r}; mend it: {ONLY_COPY}")
    for name in (name for name in found if name not in TEXTS):
        try:
            found[name] = [int(text) if text.isdecimal() else float(text or "nan") for text in found[name]]
        except ValueError as error:
            raise UserError(f"{path}, column {name!r}: {error}; expected numbers; mend it: {ONLY_COPY}") from error
        if name in COUNTS and (wrong := [value for value in found[name].dropna() if value % 1]):
            raise UserError(f"{path}, column {name!r}: {wrong[0]}; expected whole numbers; mend it: {ONLY_COPY}")
    if found.duplicated(list(NAMING)).any():
        twice = found[found.duplicated(list(NAMING))].iloc[0]
        raise UserError(f"{path} has {', '.join(f'{name} {twice[name]}' for name in NAMING)} twice; expected it once")
    return found.to_dict("records")
