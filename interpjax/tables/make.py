"""Makes the runs of a table, and writes what they have found."""

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from interpjax import json_files
from interpjax.atomic import locked, write_atomic
from interpjax.errors import UserError, refusals
from interpjax.experiment import something_left
from interpjax.running import Planned, check_folders, check_jobs, run_all, unfinished
from interpjax.running.records import records, summary_of, to_csv
from interpjax.stages import ordered_stages
from interpjax.tables import rendering
from interpjax.tables.cells import Line, lines
from interpjax.tables.choosing import choose
from interpjax.tables.comparisons import write_comparisons
from interpjax.tables.figure import write_figure
from interpjax.tables.kept import NEEDED, RESULTS, Kept, is_kept, read_kept
from interpjax.tables.notes import has_diverged, notes_on_choice, notes_on_runs
from interpjax.tables.scores import scores_of
from interpjax.tables.table import Row, Table, run_name

Run = tuple[Row, int, Planned]  # with its seed


def make_table(
    table: Table, workdir: str | Path, *, jobs: int = 1, seeds: Sequence[int] = (), only: str = ""
) -> dict[str, str]:
    """Makes the runs of a table that are not finished, and writes the table of all that are.

    ``workdir`` then holds ``results.csv`` (a row for each run and layer, as :func:`interpjax.running.records.records`
    has it), ``table.md``, ``table.tex`` and ``table.csv``, which are written anew after each run; at the end
    ``accuracy_and_score`` as PDF, PNG and CSV, and ``SECTION/comparison.html``; the runs themselves as
    ``SECTION/ROW/seed=N``, and ``logs``. A run whose folder is gone, and which ``results.csv`` has, is finished.

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
        if a run is left and ``jobs`` is below 1 or above the number of cores, or of the GPUs that are named; if another
        process makes this table; if ``results.csv`` alone has runs that the table has not.
    """
    folder = Path(workdir).expanduser().absolute()
    stages = ordered_stages(table.stages)
    chosen = _chosen(table, folder, seeds, only)
    with refusals(f"table {folder}"):
        missing = _missing(table, chosen, read_kept(table, folder))
    if missing:
        check_jobs(jobs, os.environ)
    with _held(table, folder):
        left = unfinished(missing, stages)
        _write(table, folder)
        failed = run_all(left, stages, jobs=jobs, after_each=lambda: _write(table, folder))
        _show(table, folder)
        return failed


def write_table(table: Table, workdir: str | Path) -> None:
    """Writes a table as :func:`make_table` does, of the runs that are finished; makes none.

    Args:
      table: the table.
      workdir: its folder, which may hold its ``results.csv`` alone.

    Raises:
      UserError: as :func:`make_table`, or if there is neither a finished run nor a ``results.csv``.
    """
    folder = Path(workdir).expanduser().absolute()
    if not (folder / RESULTS).is_file() and not any(summary_of(each) for _, _, each in table.planned(folder)):
        raise UserError(f"workdir {folder}: neither {RESULTS} nor a finished run of table {table.title!r} is there")
    with _held(table, folder):
        _show(table, folder)


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
    stages = ordered_stages(table.stages)
    chosen = _chosen(table, folder, seeds, only)
    if not 1 <= task <= len(chosen):
        raise UserError(f"task = {task}: expected a number from 1 to {len(chosen)}, of the runs of the table")
    with refusals(f"table {folder}"):
        left = unfinished(_missing(table, chosen[task - 1 : task], read_kept(table, folder)), stages)
        # Jobs of an array may run on other kinds of machines, for which a program that one has compiled need not do.
        return run_all(left, stages, keep_compiled=False)


def _missing(table: Table, runs: Sequence[Run], kept: Kept) -> list[Planned]:
    """Those of some runs that are not kept as finished, without those of a search that would diverge once more."""
    stages = ordered_stages(table.stages)
    failed = _failures(_records(runs, kept)) if table.search else {}
    diverged = {name for name, why in failed.items() if has_diverged(why)}
    return [each for _, _, each in runs if each.name not in diverged and not is_kept(each, kept, stages)]


@contextlib.contextmanager
def _held(table: Table, folder: Path) -> Iterator[None]:
    """Keeps other processes out of a table, whose runs fit into its folder."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"workdir {folder}: is a file; expected a folder, or the path of a new one")
    with refusals(f"table {folder}"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UserError(f"workdir {folder}: cannot be made ({error.strerror}); give another folder") from error
        with locked(folder, f"table {folder}: another process makes it; wait for its end, or give another folder"):
            check_folders([each for _, _, each in table.planned(folder)])
            yield


def _chosen(table: Table, folder: Path, seeds: Sequence[int], only: str) -> list[Run]:
    known_seeds = {seed for row in table.rows for seed in row.seeds or table.seeds}
    if wrong := [seed for seed in seeds if seed not in known_seeds or list(seeds).count(seed) > 1]:
        expected = f"expected some of {', '.join(map(str, sorted(known_seeds)))}, none twice"
        raise UserError(f"seeds = {tuple(seeds)}: {wrong[0]} of table {table.title!r}; {expected}")
    chosen = [run for run in table.planned(folder, seeds) if only in run[0].slug]
    if not chosen:
        known = ", ".join(row.slug for row in table.rows)
        asked = f"only = {only!r}, seeds = {tuple(seeds)}"
        raise UserError(
            f"{asked}: table {table.title!r} has no such run; its rows are {known}, its seeds {table.seeds}"
        )
    return chosen


def _show(table: Table, folder: Path) -> None:
    """Writes the table, and the figure and pages beside it."""
    write_figure(table, _write(table, folder), folder)
    write_comparisons(table, folder)


def _write(table: Table, folder: Path) -> list[Line]:
    """Writes ``results.csv`` and the table of all runs that are finished; returns its numbers."""
    found = _records(table.planned(folder), read_kept(table, folder))
    scores, failed = scores_of(found), _failures(found)
    made = lines(table, scores)
    notes = notes_on_runs(table, scores, failed)
    if table.search:
        rows = {Path(name).parent.as_posix() for name, why in failed.items() if has_diverged(why)}
        told = {section: row.name for section, row in choose(table, scores, rows).items()}
        write_atomic(folder / "chosen.json", json_files.to_text(told, indent=2) + "\n")
        notes += notes_on_choice(table, told)
    write_atomic(folder / RESULTS, to_csv(found))
    write_atomic(folder / "table.md", rendering.to_markdown(table, made, notes))
    for ending, text in (("tex", rendering.to_latex), ("csv", rendering.to_csv)):
        write_atomic(folder / f"table.{ending}", text(table, made))
    return made


def _failures(found: pd.DataFrame) -> dict[str, str]:
    """``{name: what went wrong}`` of the runs that failed, in the records of all."""
    if "failed" not in found:
        return {}
    failed = found[found["failed"].fillna("") != ""].drop_duplicates(["section", "row", "seed"])
    labels = zip(failed["section"], failed["row"], failed["seed"], failed["failed"], strict=True)
    return {run_name(section, row, seed): why for section, row, seed, why in labels}


def _records(runs: Sequence[Run], kept: Kept) -> pd.DataFrame:
    labelled = (({"section": row.section, "row": row.name, "seed": seed}, each) for row, seed, each in runs)
    found = records(labelled, kept)
    return found.reindex(columns=[*found, *(name for name in NEEDED if name not in found)])


class Plan(NamedTuple):
    """What there is to do for a row.

    Attributes:
      row: of the table.
      runs: those that are asked for.
      done: those of them that are finished.
      failed: those of the others that failed.
      left: those that are to be made.
      seconds: that one takes: the mean of its finished runs, or of those of all rows; NaN if there is none.
      measured: whether it is the mean of its own.
    """

    row: Row
    runs: int
    done: int
    failed: int
    left: int
    seconds: float
    measured: bool


def plan(table: Table, folder: Path, *, seeds: Sequence[int] = (), only: str = "") -> list[Plan]:
    """What there is to do for each row.

    Args:
      table: the table.
      folder: of it, absolute.
      seeds: as of :func:`make_table`.
      only: as of :func:`make_table`.

    Raises:
      UserError: as :func:`make_table`; but neither the values of fields are checked nor the data, which may take long.
    """
    stages, kept = ordered_stages(table.stages), read_kept(table, folder)
    planned = table.planned(folder)
    check_folders([each for _, _, each in planned])
    found = _records(planned, kept)
    failed = _failures(found)
    seconds = found.groupby(["section", "row", "seed"])["seconds"].first().groupby(["section", "row"]).mean()
    chosen = _chosen(table, folder, seeds, only)
    missing = _missing(table, chosen, kept)
    asked: dict[Row, list[Planned]] = {}
    for row, _, each in chosen:
        asked.setdefault(row, []).append(each)
    result = []
    for row, runs in asked.items():
        left = [each for each in runs if each in missing and something_left(each.config, each.folder, stages)]
        again = [each for each in runs if each.name in failed and (each in left or each not in missing)]
        done = len(runs) - len({*left, *again})
        own = seconds.get((row.section, row.name), math.nan)
        mean = float(seconds.mean() if math.isnan(own) else own)
        result.append(Plan(row, len(runs), done, len(again), len(left), mean, not math.isnan(own)))
    return result
