"""Prints one table for several quantities, with a line for each section of a results.csv and a column for each row.

So sections and rows may be the two sides of a grid, as p and q. Each cell has the mean over seeds with half of its 95 %
t-interval. Given --minus SECTION ROW, it has the difference from this one setting instead, seed by seed, with the p of
the exact two-sided sign-flip test, and with † where the accuracies are more than one percentage point apart.

Run:   python benchmarks/grid.py results/two_figures_published_width/results.csv --minus binary "weight decay"
Cost:  seconds.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from dissected_runs import read_results, told, told_difference

from interpjax.comparison.statistics import mean_interval
from interpjax.tables.choosing import are_apart
from interpjax.tables.rendering import HEADINGS, WORDS_OF_APART
from interpjax.tables.scores import scores_of

SETTING = ["section", "row"]
MISSING, ACCURACY = "–", "accuracy"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--quantities", nargs="+", default=["accuracy", "interpretability_score"])
    parser.add_argument("--minus", nargs=2, metavar=("SECTION", "ROW"), help="print differences from this setting")
    flags = parser.parse_args()
    scores = scores_of(read_results(flags.results)).set_index([*SETTING, "seed"])
    settings = scores.index.droplevel("seed").unique().tolist()
    if unknown := set(flags.quantities) - set(scores):
        raise SystemExit(f"--quantities: {min(unknown)} is not in {flags.results}; it has {', '.join(scores)}")
    if flags.minus and tuple(flags.minus) not in settings:
        known = ", ".join(" / ".join(each) for each in settings)
        raise SystemExit(f"--minus: no run of {' / '.join(flags.minus)}; expected one of {known}")
    sections, rows = (_ordered(list(dict.fromkeys(names))) for names in zip(*settings, strict=True))
    if flags.minus:
        _check_accuracies(scores, flags.results)
    base, seeds = tuple(flags.minus or ()), int(scores.groupby(level=SETTING).size().mode()[0])
    print(f"| quantity |  | {' | '.join(rows)} |\n|{'---|' * (len(rows) + 2)}")
    for quantity in flags.quantities:
        cells = _differences(scores, quantity, base, seeds) if base else _means(scores[quantity], seeds)
        for section in sections:
            own = [cells.get((section, row), MISSING) for row in rows]
            print(f"| {HEADINGS.get(quantity, quantity)} | {section} | {' | '.join(own)} |")
    print(f"\nOf {seeds} seeds, where no other number is told.", *([WORDS_OF_APART] if base else []), sep="\n")


def _ordered(names: list[str]) -> list[str]:
    """Numbers by their size, for sections may have others; names as they come."""
    try:
        return sorted(names, key=float)
    except ValueError:
        return names


def _check_accuracies(scores: pd.DataFrame, results: Path) -> None:
    """Raises a SystemExit if a run has no accuracy, without which nobody knows whether scores may be compared."""
    measured = scores[ACCURACY] if ACCURACY in scores else pd.Series(np.nan, scores.index)
    if measured.isna().any():
        section, row, seed = scores.index[measured.isna()][0]
        raise SystemExit(f"{results}, {section} / {row}, seed {seed}: no accuracy; --minus expects it of each run")


def _means(values: pd.Series, seeds: int) -> dict[tuple[str, ...], str]:
    """By section and row, what is told of a quantity."""
    by_setting = values.dropna().groupby(level=SETTING)
    return {each: told(mean_interval(own.to_numpy(float)), _decimals(values.name), seeds) for each, own in by_setting}


def _differences(scores: pd.DataFrame, quantity: str, base: tuple[str, ...], seeds: int) -> dict[tuple[str, ...], str]:
    """By section and row, what is told of a quantity's difference from a setting; empty of that itself."""
    by_setting = {each: own.droplevel(SETTING) for each, own in scores.groupby(level=SETTING)}
    cells = {base: ""}
    for each, own in by_setting.items():
        apart = own - by_setting[base]
        found = apart[quantity].dropna()
        if each != base and len(found):
            mark = " †" if quantity != ACCURACY and are_apart(apart[ACCURACY].mean()) else ""
            cells[each] = told_difference(found.to_numpy(float), _decimals(quantity), seeds) + mark
    return cells


def _decimals(quantity: object) -> int:
    return 2 if quantity == ACCURACY else 1


if __name__ == "__main__":
    main()
