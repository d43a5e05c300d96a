"""``interpjax table CONFIG --workdir DIR``: the runs of a table, and the table of what they found."""

import argparse
import ast
import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from interpjax.commands.endings import Parser, told_in_one_line
from interpjax.config import get_field, override
from interpjax.config.files import table_names
from interpjax.config.values import expected_kind
from interpjax.errors import UserError

if TYPE_CHECKING:
    from interpjax.tables import Table

HELP = """Makes all runs of a table that are not finished, so many at once, and writes DIR/results.csv, DIR/table.md,
DIR/table.tex and DIR/table.csv. A run that fails is listed at the end; the same command makes it again, and goes on
where it was stopped. --config.FIELD=VALUE sets a field of all experiments, as --config.dissection.broden=DIR."""
FIELD = "--config."


def run(arguments: Sequence[str]) -> None:
    """Makes the table that the arguments name; a user's mistake ends the process with one line."""
    given, fields = _read(arguments)
    # With all that a run needs, which --help does not.
    from interpjax.running.planned import LOGS
    from interpjax.tables import make_table, make_task, read_table, write_table

    with told_in_one_line():
        table = with_fields(read_table(given.config), fields)
        if given.dry_run:
            _tell_plan(table, given)
            return
        some = {"seeds": given.seeds, "only": given.only}
        failed: dict[str, str] = {}
        if given.task is not None:
            failed = make_task(table, given.workdir, given.task, **some)
        elif given.no_runs:
            write_table(table, given.workdir)
        else:
            failed = make_table(table, given.workdir, jobs=given.jobs, **some)
        if given.task is None:
            print((given.workdir.expanduser() / "table.md").read_text(encoding="utf-8"))
        for name, why in failed.items():
            print(f"failed: {name}: {why}", file=sys.stderr)
        if failed:
            logs, count = given.workdir / LOGS, _runs(len(failed))
            but = ", but those of a search that diverged" if table.search else ""
            sys.exit(f"{count} failed; {logs} has what they told, and the same command makes them again{but}")


def _read(arguments: Sequence[str]) -> tuple[argparse.Namespace, dict[str, str]]:
    """What is asked for, and the fields that are set in all experiments."""
    parser = Parser(prog="interpjax table", description=HELP, allow_abbrev=False)
    parser.add_argument("config", metavar="CONFIG", help="a file with a function get_table, "
        f"or one of {', '.join(table_names())}")  # fmt: skip
    parser.add_argument("--workdir", type=Path, required=True, metavar="DIR", help="the folder of the table")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at once, which share the cores; 1")
    parser.add_argument("--seeds", type=_numbers, default=(), metavar="A,B", help="these seeds alone")
    parser.add_argument("--only", default="", metavar="WORD", help="the rows alone that have WORD in SECTION/ROW")
    parser.add_argument("--task", type=int, metavar="N", help="run N alone, and no table: for arrays of jobs. "
        "N counts from 1, of each seed all rows in their order, of those that --seeds and --only leave")  # fmt: skip
    parser.add_argument("--no_runs", action="store_true", help="writes the table of all that is finished, makes no run")
    parser.add_argument("--dry_run", action="store_true", help="tells what there is to do and how long it may take")
    set_fields = [each.removeprefix(FIELD) for each in arguments if each.startswith(FIELD)]
    for each in set_fields:
        if "=" not in each:
            parser.error(f"{FIELD}{each}: expected {FIELD}{each}=VALUE")
        if sum(other.partition("=")[0] == each.partition("=")[0] for other in set_fields) > 1:
            parser.error(f"{FIELD}{each.partition('=')[0]}: given twice; expected once")
    fields = dict(each.partition("=")[::2] for each in set_fields)
    given = parser.read([each for each in arguments if not each.startswith(FIELD)])
    if given.jobs < 1:
        parser.error(f"--jobs = {given.jobs}: expected 1 at least")
    if given.no_runs and (given.task is not None or given.seeds or given.only or given.dry_run or given.jobs > 1):
        parser.error(
            "--no_runs writes the table of all that is finished; it goes with none of --task, --seeds, --only, "
            "--dry_run and --jobs"
        )
    if given.task is not None and (given.dry_run or given.jobs > 1):
        parser.error("--task makes one run; expected neither --dry_run nor --jobs beside it")
    return given, fields


def _runs(number: int) -> str:
    return f"{number} run{'' if number == 1 else 's'}"


def with_fields(table: "Table", fields: Mapping[str, str]) -> "Table":
    """The table with some fields of all its experiments set, which its notes tell.

    Raises:
      UserError: naming the field, if there is none of this name, the text is no value of its kind, or it is the seed
        that the table gives to each run.
    """
    if seeds := [name for name in fields if name in table.seed_fields]:
        raise UserError(f"config.{seeds[0]} is set by table {table.title!r}, for each run; choose seeds by --seeds")
    rows = []
    for row in table.rows:
        values = {name: _value(text, get_field(row.config, name), name) for name, text in fields.items()}
        rows.append(dataclasses.replace(row, config=override(row.config, values)))
    told = ", ".join(f"{name} = {text}" for name, text in fields.items())
    notes = (table.notes, f"Set in all experiments by the command: {told}." if told else "")
    return dataclasses.replace(table, rows=tuple(rows), notes="\n\n".join(filter(None, notes)))


def _value(text: str, now: object, name: str) -> object:
    """A text as a value of the kind that a field has now."""
    if isinstance(now, str):
        return text
    try:
        return float(text) if isinstance(now, float) else ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise UserError(f"config.{name} = {text!r}: {expected_kind(now, name)}") from error


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: expected whole numbers, as 0,1,2") from error


def _tell_plan(table: "Table", given: argparse.Namespace) -> None:
    """The runs of each row, and the hours that are left, as far as finished runs tell how long one takes."""
    from interpjax.report.tables import align
    from interpjax.tables.make import plan

    rows = plan(table, given.workdir.expanduser().absolute(), seeds=given.seeds, only=given.only)
    hours = [each.left * each.seconds / 3600 for each in rows]
    known = not any(map(math.isnan, hours))
    told = []
    for each, left in zip(rows, hours, strict=True):
        times = [f"{'' if each.measured else '~'}{each.seconds:.0f}", f"{left:.2f}"] if known else ["–", "–"]
        told.append([each.row.slug, str(each.runs), str(each.done), str(each.failed), *times])
    print(align(["row", "runs", "finished", "failed", "seconds a run", "hours left"], told))
    total = _runs(sum(each.runs for each in rows))
    if not known:
        print(f"{total}; make one by --only and --seeds, and the time of all is estimated from it")
        return
    print(
        f"{total}; {sum(hours) / given.jobs:.2f} hours at {given.jobs} at once, if each takes as long as those before"
    )
    if not all(each.measured for each in rows):
        print("~: the mean of the other rows, for no run of this one is finished")
