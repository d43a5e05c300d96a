"""``interpjax compare DIR DIR … -o page.html``: runs beside each other."""

import argparse
from collections.abc import Sequence
from pathlib import Path

HELP = """Puts finished runs beside each other: prints a table with a row for each run, and writes a page that opens
offline. Runs that differ by their seed alone are taken together."""


def main(arguments: Sequence[str]) -> None:
    """Compares the runs that the arguments name."""
    parser = argparse.ArgumentParser(prog="interpjax compare", description=HELP, allow_abbrev=False)
    parser.add_argument("workdirs", nargs="+", metavar="DIR", help="the folder of a run, which has been dissected")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("compare.html"), metavar="FILE", help="the page, compare.html"
    )
    given = parser.parse_args(arguments)
    from interpjax.comparison import compare  # with what draws and counts, which --help does not need
    from interpjax.report.tables import align

    table = compare(given.workdirs, given.output).drop(columns="workdir")
    rows = [["–" if value != value else _cell(value) for value in row] for row in table.itertuples(index=False)]
    print(align(list(table.columns), rows))
    print(f"the page: {given.output}")


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
