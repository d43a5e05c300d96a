"""Makes the runs of a table, and writes what they have found."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pandas as pd

from interpjax import json_files
from interpjax.atomic import locked, write_atomic
from interpjax.compiling import has_cache
from interpjax.errors import UserError, refusals
from interpjax.running import Planned, check_folders, run_all, unfinished
from interpjax.running.queue import note_of
from interpjax.running.records import records
from interpjax.stages import ordered_stages
from interpjax.tables import rendering
from interpjax.tables.cells import lines
from interpjax.tables.choosing import choose
from interpjax.tables.scores import LABELS, scores_of
from interpjax.tables.table import Row, Table

CACHE = "compilation_cache"


def make_table(
    table: Table, workdir: str | Path, *, jobs: int = 1, seeds: Sequence[int] = (), only: str = ""
) -> dict[str, str]:
    """Makes the runs of a table that are not finished, and writes the table of all that are.

    ``workdir`` then holds ``results.csv`` (a row for each run and layer, as :func:`interpjax.running.records.records`
    has it), ``table.md``, ``table.tex`` and ``table.csv``, which are written anew after each run, the runs themselves
    as ``SECTION/ROW/seed=N``, and ``logs``.

    Args:
      table: the table.
      workdir: its folder.
      jobs: how many runs are made at once, which share the cores out among themselves.
      seeds: those alone; empty for all of the table's.
      only: the rows alone whose ``SECTION/ROW`` has this in it.

    Returns:
      ``{name: what went wrong}`` of the runs that failed.

    Raises:
      UserError: naming the run and the field, if a run cannot be as it is configured, or no row has ``only`` in it;
        if another process makes this table.
    """
    folder = Path(workdir).expanduser().absolute()
    chosen = _chosen(table, folder, seeds, only)
    with refusals(f"table {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, f"table {folder}: another process makes it; wait for its end, or give another folder"):
            check_folders([each for _, _, each in table.planned(folder)])
            write_table(table, folder)
            return _make(table, chosen, folder, jobs, after_each=lambda: write_table(table, folder))


def make_task(
    table: Table, workdir: str | Path, task: int, *, seeds: Sequence[int] = (), only: str = ""
) -> dict[str, str]:
    """Makes one run of a table alone, as one of an array of jobs that share a folder; writes no table.

    Args:
      table: the table.
      workdir: its folder.
      task: the number of the run, from 1, among all or among those that ``seeds`` and ``only`` leave.
      seeds: as of :func:`make_table`.
      only: as of :func:`make_table`.

    Returns:
      ``{name: what went wrong}`` if it failed.

    Raises:
      UserError: as :func:`make_table`, or if there is no run of this number.
    """
    folder = Path(workdir).expanduser().absolute()
    chosen = _chosen(table, folder, seeds, only)
    if not 1 <= task <= len(chosen):
        raise UserError(f"task = {task}: expected a number from 1 to {len(chosen)}, of the runs of the table")
    with refusals(f"table {folder}"):
        return _make(table, chosen[task - 1 : task], folder, jobs=1)


def _chosen(table: Table, folder: Path, seeds: Sequence[int], only: str) -> list[Planned]:
    known_seeds = {seed for row in table.rows for seed in row.seeds or table.seeds}
    if wrong := [seed for seed in seeds if seed not in known_seeds or list(seeds).count(seed) > 1]:
        expected = f"expected some of {', '.join(map(str, sorted(known_seeds)))}, none twice"
        raise UserError(f"seeds = {tuple(seeds)}: {wrong[0]} of table {table.title!r}; {expected}")
    chosen = [planned for row, _, planned in table.planned(folder, seeds) if only in row.slug]
    if not chosen:
        known = ", ".join(row.slug for row in table.rows)
        asked = f"only = {only!r}, seeds = {tuple(seeds)}"
        raise UserError(
            f"{asked}: table {table.title!r} has no such run; its rows are {known}, its seeds {table.seeds}"
        )
    return chosen


def _make(
    table: Table,
    chosen: Sequence[Planned],
    folder: Path,
    jobs: int,
    after_each: Callable[[], object] = lambda: None,
) -> dict[str, str]:
    stages = ordered_stages(table.stages)
    cache = None if has_cache() else folder / CACHE
    return run_all(unfinished(chosen, stages), stages, jobs=jobs, cache=cache, after_each=after_each)


def write_table(table: Table, folder: Path) -> pd.DataFrame:
    """Writes ``results.csv`` and the table of all runs in a folder that are finished; returns the former."""
    found = _records(table, folder)
    scores = scores_of(found)
    failed = {row.slug for row, _, each in table.planned(folder) if "failed" in note_of(each)}
    chosen = choose(table, scores, failed) if table.search else {}
    made = lines(table, scores)
    write_atomic(folder / "results.csv", found.to_csv(index=False))
    for ending, text in (("md", rendering.to_markdown), ("tex", rendering.to_latex), ("csv", rendering.to_csv)):
        write_atomic(folder / f"table.{ending}", text(table, made))
    if table.search:
        told = {section: row.name for section, row in chosen.items()}
        write_atomic(folder / "chosen.json", json_files.to_text(told, indent=2) + "\n")
    return found


def _records(table: Table, folder: Path, chosen: Collection[Path] | None = None) -> pd.DataFrame:
    """Those of all runs, or of some folders."""
    runs = [(row, seed, each) for row, seed, each in table.planned(folder) if chosen is None or each.folder in chosen]
    found = records(({"section": row.section, "row": row.name, "seed": seed}, each) for row, seed, each in runs)
    return found if len(found) else pd.DataFrame(columns=[*LABELS, "seconds"])


def times(
    table: Table, folder: Path, *, seeds: Sequence[int] = (), only: str = ""
) -> list[tuple[Row, int, int, float]]:
    """Of each row its runs, those of them that are finished, and the mean seconds that one took (NaN if none is).

    Args:
      table: the table.
      folder: of it, absolute.
      seeds: as of :func:`make_table`.
      only: as of :func:`make_table`.
    """
    chosen = {each.folder for each in _chosen(table, folder, seeds, only)}
    found = _records(table, folder, chosen)
    result = []
    for row in dict.fromkeys(row for row, _, each in table.planned(folder) if each.folder in chosen):
        own = found[(found["section"] == row.section) & (found["row"] == row.name)]
        seconds = own.groupby("seed")["seconds"].first() if len(own) else pd.Series([], dtype=float)
        runs = sum(each.folder in chosen for other, _, each in table.planned(folder) if other is row)
        result.append((row, runs, len(seconds), float(seconds.mean())))
    return result
