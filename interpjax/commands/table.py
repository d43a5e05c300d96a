"""``interpjax table CONFIG --workdir DIR``: the runs of a table, and the table of what they found."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from interpjax.commands.endings import Parser, told_in_one_line

if TYPE_CHECKING:
    from interpjax.tables import Table

HELP = """Makes all runs of a table that are not finished, so many at once, and writes DIR/results.csv, DIR/table.md,
DIR/table.tex and DIR/table.csv. A run that fails is listed at the end; the same command makes it again, and goes on
where it was stopped."""


def run(arguments: Sequence[str]) -> None:
    """Makes the table that the arguments name; a user's mistake ends the process with one line."""
    parser = Parser(prog="interpjax table", description=HELP, allow_abbrev=False)
    parser.add_argument("config", metavar="CONFIG", help="a file with a function get_table, or its name in configs/")
    parser.add_argument("--workdir", type=Path, required=True, metavar="DIR", help="the folder of the table")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at once, which share the cores; 1")
    parser.add_argument("--seeds", type=_numbers, default=(), metavar="A,B", help="these seeds alone")
    parser.add_argument("--only", default="", metavar="WORD", help="the rows alone that have WORD in SECTION/ROW")
    parser.add_argument("--dry_run", action="store_true", help="tells what there is to do and how long it may take")
    given = parser.read(arguments)
    if given.jobs < 1:
        parser.error(f"--jobs = {given.jobs}: expected 1 at least")
    from interpjax.tables import make_table, read_table  # with all that a run needs, which --help does not

    with told_in_one_line():
        table = read_table(given.config)
        if given.dry_run:
            _tell_plan(table, given.workdir.expanduser().absolute(), given.jobs)
            return
        failed = make_table(table, given.workdir, jobs=given.jobs, seeds=given.seeds, only=given.only)
        print((given.workdir.expanduser() / "table.md").read_text(encoding="utf-8"))
        for name, why in failed.items():
            print(f"failed: {name}: {why}", file=sys.stderr)
        if failed:
            sys.exit(f"{len(failed)} runs failed; DIR/logs has what they told, and the same command makes them again")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _tell_plan(table: "Table", folder: Path, jobs: int) -> None:
    """The runs of each row, and the hours that are left, as far as finished runs tell how long one takes."""
    from interpjax.report.tables import align
    from interpjax.tables.make import times

    rows, hours, unknown = [], 0.0, False
    for row, runs, done, seconds in times(table, folder):
        left = (runs - done) * seconds / 3600
        known = not math.isnan(seconds)
        hours, unknown = hours + (left if known else 0), unknown or not known
        rows.append([row.slug, str(runs), str(done), *((f"{seconds:.0f}", f"{left:.1f}") if known else ("–", "–"))])
    print(align(["row", "runs", "finished", "seconds a run", "hours left"], rows))
    rest = "; of rows without a finished run it is not known: make one by --only and --seeds" if unknown else ""
    print(f"{hours / jobs:.1f} hours at {jobs} at once{rest}")
