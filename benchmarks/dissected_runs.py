"""What the programs over a table's runs share: how runs and results are read, and how means are told.

Not a program itself: best_iou.py, dead_filters.py, grid.py, hours.py, iou_cuts.py, kept_concepts.py,
over_untrained.py, rotated.py, single_runs.py and strengths.py use it.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from interpjax.comparison.statistics import Mean, mean_interval, paired_difference
from interpjax.dissection import Dissection
from interpjax.tables.rendering import with_reach

KEYS = ["section", "layer", "row"]
ALL = "all"  # layers together


def table_parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments of programs over a table's folder: itself, and the row from which the others differ."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a table")
    words = "print differences from this row, by the name of its folder; weight_decay"
    parser.add_argument("--minus", default="weight_decay", metavar="ROW", help=words)
    return parser


def dissected(folder: Path) -> Iterator[tuple[dict[str, str], Dissection, Path]]:
    """Of each run and layer in a table's folder what it is called, its dissection, and where chance may be beside it.

    Raises:
      SystemExit: if there is none.
    """
    paths = sorted(folder.glob("*/*/seed=*/dissection/**/iou.npz"))
    if not paths:
        raise SystemExit(f"{folder}: no SECTION/ROW/seed=N/dissection/LAYER/iou.npz there; expected a table's folder")
    for path in paths:
        section, row, seed, _, *layers, _ = path.relative_to(folder).parts
        labels = {"section": section, "layer": "/".join(layers), "row": row, "seed": seed}
        yield labels, Dissection.load(path), path.with_name("chance_untrained.npz")


def read_results(path: Path) -> pd.DataFrame:
    """A table's ``results.csv``, in which sections and rows are names, also those that look like numbers.

    Raises:
      SystemExit: if there is no such file, or it is something else.
    """
    if not path.is_file():
        raise SystemExit(f"{path}: no such file; expected the results.csv of a table")
    try:
        found = pd.read_csv(path, dtype={"section": str, "row": str})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise SystemExit(f"{path}: not a file of comma-separated values ({error})") from error
    if missing := [name for name in ("section", "row", "seed", "layer", "seconds") if name not in found]:
        raise SystemExit(f"{path}: no column {missing[0]}; expected the results.csv of a table")
    return found


def told(mean: Mean, decimals: int, seeds: int, sign: str = "") -> str:
    """A mean with half the width of its interval.

    Args:
      mean: over seeds.
      decimals: with how many it is written.
      seeds: that the reader expects; another number is told beside.
      sign: ``"+"`` for differences.
    """
    value = f"{mean.value:{sign}z.{decimals}f}"  # z: what is rounded to 0 has no minus
    return with_reach(mean, value, f"{mean.reach:.{decimals}f}", seeds)


def told_difference(values: np.ndarray, decimals: int, seeds: int) -> str:
    """The mean of differences between runs of the same seeds, as :func:`told`, with the p of the exact test."""
    found = paired_difference("", values)
    return f"{told(found.difference, decimals, seeds, '+')} (p {found.p:.2g})"


def check_baseline(rows: Iterable[str], base: str) -> None:
    """Raises a SystemExit if the row from which the others differ is not among some."""
    if base not in (known := list(dict.fromkeys(rows))):
        raise SystemExit(f"--minus {base}: no dissected run of this row; the rows are {', '.join(known)}")


def minus_words(base: str) -> str:
    """The heading of differences from a row."""
    return f"minus {base.replace('_', ' ')}"


def minus_baseline(by_row: pd.DataFrame, row: str, base: str, decimals: int) -> str:
    """The difference of a row from another, over the seeds of both; empty if there is none. Rows are columns."""
    if row == base or base not in by_row:
        return ""
    differences = (by_row[row] - by_row[base]).dropna()
    seeds = by_row[row].notna().sum()
    return told_difference(differences.to_numpy(float), decimals, seeds) if len(differences) else ""


def with_all_layers(layers: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """The rows of each run's layers, and one more for all of them together, as the layer "all", which has their sums.

    Args:
      layers: a row for each run and layer, as of :func:`print_measures`, with ``units``.
      measures: columns; a sum is NaN where that of a layer is.
    """
    sums = layers.groupby(["section", "row", "seed"], as_index=False, sort=False)[["units", *measures]].agg(
        lambda values: values.sum(skipna=False)
    )
    return pd.concat([layers, sums.assign(layer=ALL)])


def print_measures(found: pd.DataFrame, shown: str, measures: Sequence[str], base: str) -> None:
    """Prints the mean over seeds of each measure, and its difference from the baseline, for each layer and row.

    Args:
      found: a row for each run and layer, with ``section``, ``layer``, ``row``, ``seed`` and the columns below.
      shown: a column that is the same in all seeds.
      measures: columns; a dash stands for one that was not measured of all seeds.
      base: the row from which the others differ.

    Raises:
      SystemExit: if no run is of this row.
    """
    check_baseline(found["row"], base)
    header = [*KEYS, "seeds", shown, *(name + minus for name in measures for minus in ("", f", {minus_words(base)}"))]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for (section, layer), own in found.set_index([*KEYS, "seed"]).groupby(KEYS[:2], sort=False):
        for row, values in own.groupby("row", sort=False):
            cells = [section, layer, row, str(len(values)), str(values[shown].iloc[0])]
            for name in measures:
                by_row = own.droplevel(KEYS[:2])[name].unstack("row")
                measured = values[name].notna().all()
                mean = told(mean_interval(values[name].to_numpy(float)), 1, len(values)) if measured else "–"
                cells += [mean, minus_baseline(by_row, row, base, 1) if measured else ""]
            print(f"| {' | '.join(map(str, cells))} |")
