"""``interpjax compare DIR DIR … -o page.html``: runs beside each other."""

from collections.abc import Sequence
from pathlib import Path

from interpjax.commands.endings import Parser, told_in_one_line

HELP = """Puts finished runs beside each other: prints a table with a row for each run, and writes a page that opens
offline. Runs that differ by their seed alone are taken together."""


def run(arguments: Sequence[str]) -> None:
    """Compares the runs that the arguments name; a user's mistake ends the process with one line."""
    parser = Parser(prog="interpjax compare", description=HELP, allow_abbrev=False)
    parser.add_argument("workdirs", nargs="+", metavar="DIR", help="the folder of a run, which has been dissected")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("compare.html"), metavar="FILE", help="the page, compare.html"
    )
    given = parser.read(arguments)
    from interpjax.comparison import compare  # with what draws and counts, which --help does not need
    from interpjax.report.tables import align

    with told_in_one_line():
        table = compare(given.workdirs, given.output).drop(columns="workdir")
        rows = [["–" if value != value else _cell(value) for value in row] for row in table.itertuples(index=False)]
        print(align(list(table.columns), rows))
        print(f"the page: {given.output}")


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
