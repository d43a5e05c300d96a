"""The pages beside a table, on which the runs of a section stand beside each other."""

import itertools
import sys
from pathlib import Path

from interpjax.comparison import compare
from interpjax.comparison.settings import seed_of_data
from interpjax.errors import UserError
from interpjax.running import Planned
from interpjax.running.records import summary_of
from interpjax.tables.table import Table, slug

PAGE = "comparison.html"


def write_comparisons(table: Table, folder: Path) -> None:
    """Writes ``SECTION/comparison.html`` for each section of which two rows have dissected runs of one seed.

    It has the runs of all seeds that two rows share, or, where ``seed_fields`` has other fields than seeds, those of
    the first such seed: each seed then is a setting of its own. Runs whose folders are gone are not on it. A page that
    cannot be made, as of runs some of whose files are gone, is told of on standard error, for the table is the same
    without it.

    Args:
      table: the table.
      folder: of it, absolute.
    """
    by_section: dict[str, dict[int, list[Planned]]] = {}
    for row, seed, planned in table.planned(folder):
        if "layers" in summary_of(planned):
            by_section.setdefault(row.section, {}).setdefault(seed, []).append(planned)
    for section, by_seed in by_section.items():
        paired = [runs for runs in by_seed.values() if len(runs) > 1]
        if paired:
            seeds = {"seed", seed_of_data(paired[0][0].config.data.source)}
            as_one = "seed" in table.seed_fields and seeds.issuperset(table.seed_fields)
            runs = list(itertools.chain(*paired)) if as_one else paired[0]
            page = folder / slug(section) / PAGE
            try:
                compare([run.folder for run in runs], page)
            except UserError as error:
                print(f"{page} is not written: {error}", file=sys.stderr)
