"""What a table is made of: rows that are trained over seeds, in sections with a baseline each."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from interpjax.config import override
from interpjax.config.files import call_in_file
from interpjax.errors import UserError
from interpjax.running import Planned
from interpjax.tables.checks import check


def slug(*names: str) -> str:
    """The path of a section's folder or of a row's, with what could be read as a path or a wildcard replaced."""
    return "/".join(re.sub(r"[^\w.=+-]+", "_", name).strip("_.") or "_" for name in names)


def run_name(section: str, row: str, seed: int) -> str:
    """What a run is called, which is also the path of its folder: ``SECTION/ROW/seed=N``."""
    return f"{slug(section, row)}/seed={seed}"


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One experiment, which is made once for each seed.

    Attributes:
      section: of the table, as ``"Places365, AlexNet"``; rows of one section are held beside its first, the baseline.
      name: as ``"block norm"``; another for each row of a section.
      config: the experiment; its seed is set by the table.
      published: what was published of it, by column.
      seeds: of this row; empty for the table's.
    """

    section: str
    name: str
    config: ConfigDict
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)
    seeds: tuple[int, ...] = ()

    @property
    def slug(self) -> str:
        """The path of its folder beside those of other rows, ``section/name``."""
        return slug(self.section, self.name)


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """A table of experiments.

    Attributes:
      title: of the table.
      rows: in their order; the first of a section is its baseline.
      seeds: each row is run with all of them.
      columns: of scores, as :func:`interpjax.tables.scores.scores_of` names them.
      stages: of each run.
      seed_fields: the fields that take the seed.
      notes: what a reader has to know, under the table.
      search: whether one row of each section is chosen by :func:`interpjax.tables.choosing.choose`; rows are then not
        held beside the first.
    """

    title: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    columns: tuple[str, ...] = ("accuracy", "interpretability_score", "calibrated", "rud")
    stages: tuple[str, ...] = ("train", "evaluate", "dissect", "chance")
    seed_fields: tuple[str, ...] = ("seed",)
    notes: str = ""
    search: bool = False

    def __post_init__(self) -> None:
        check(self)

    @property
    def sections(self) -> list[str]:
        """Their names in order."""
        return list(dict.fromkeys(row.section for row in self.rows))

    def planned(self, workdir: Path, seeds: Sequence[int] = ()) -> list[tuple[Row, int, Planned]]:
        """All runs: of each seed all rows, so that a table that is stopped has as many of each.

        Args:
          workdir: absolute, which holds the runs as ``SECTION/ROW/seed=N``.
          seeds: those alone; empty for all.
        """
        wanted = list(dict.fromkeys(seed for row in self.rows for seed in row.seeds or self.seeds))
        return [
            (row, seed, self._planned(row, seed, workdir))
            for seed in seeds or wanted
            for row in self.rows
            if seed in (row.seeds or self.seeds)
        ]

    def _planned(self, row: Row, seed: int, workdir: Path) -> Planned:
        fields: dict[str, Any] = dict.fromkeys(self.seed_fields, seed)
        if row.config.data.source == "two_figures" and not row.config.data.directory:
            fields["data.directory"] = str(workdir / "data")  # rendered once for all
        name = run_name(row.section, row.name, seed)
        return Planned(name, row.slug, override(row.config, fields), workdir, name)


def read_table(name: str) -> Table:
    """Loads a table by the name of a file in ``configs/`` or its path, as ``"table_two_figures"``.

    Args:
      name: what follows a colon is the argument of the file's ``get_table``.

    Raises:
      UserError: if there is no such file, or it has no function ``get_table``, or one that returns something else.
    """
    found = call_in_file(name, "get_table")
    if not isinstance(found, Table):
        raise UserError(f"table {name!r}: get_table returns a {type(found).__name__}; expected a Table")
    return found
