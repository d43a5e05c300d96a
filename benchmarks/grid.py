"""Prints one table for several quantities, with a line for each section of a results.csv and a column for each row.

So sections and rows may be the two sides of a grid, as p and q. Each cell has the mean over seeds with half of its 95 %
t-interval. Given --minus SECTION ROW, it has the difference from this one setting instead, seed by seed, with the p of
the exact two-sided sign-flip test.

Run:   python benchmarks/grid.py results/two_figures_published_width/results.csv --minus binary "weight decay"
Cost:  seconds.
"""

import argparse
from pathlib import Path

import pandas as pd
from dissected_runs import told, told_difference

from interpjax.comparison.statistics import mean_interval
from interpjax.tables.scores import scores_of

SETTING = ["section", "row"]
WORDS = {"accuracy": "accuracy, %", "interpretability_score": "score", "zero_groups": "zero groups, %"}
MISSING = "–"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--quantities", nargs="+", default=["accuracy", "interpretability_score"])
    parser.add_argument("--minus", nargs=2, metavar=("SECTION", "ROW"), help="print differences from this setting")
    flags = parser.parse_args()
    scores = scores_of(pd.read_csv(flags.results)).set_index([*SETTING, "seed"])
    settings = scores.index.droplevel("seed").unique().tolist()
    if unknown := set(flags.quantities) - set(scores):
        raise SystemExit(f"--quantities: {min(unknown)} is not in {flags.results}; it has {', '.join(scores)}")
    if flags.minus and tuple(flags.minus) not in settings:
        known = ", ".join(" / ".join(each) for each in settings)
        raise SystemExit(f"--minus: no run of {' / '.join(flags.minus)}; expected one of {known}")
    sections, rows = (list(dict.fromkeys(names)) for names in zip(*settings, strict=True))
    print(f"| quantity |  | {' | '.join(rows)} |\n|{'---|' * (len(rows) + 2)}")
    for quantity in flags.quantities:
        cells = _cells(scores[quantity], tuple(flags.minus or ()))
        for section in sections:
            own = [cells.get((section, row), MISSING) for row in rows]
            print(f"| {WORDS.get(quantity, quantity)} | {section} | {' | '.join(own)} |")


def _cells(values: pd.Series, base: tuple[str, ...]) -> dict[tuple[str, ...], str]:
    """By section and row what is told of a quantity, or of its difference from a setting; empty of that itself."""
    by_setting = {each: own.droplevel(SETTING) for each, own in values.dropna().groupby(level=SETTING)}
    decimals = ".2f" if values.name == "accuracy" else ".1f"
    if not base:
        return {each: told(mean_interval(own.to_numpy(float)), decimals) for each, own in by_setting.items()}
    cells = {base: ""}
    for each, own in by_setting.items():
        differences = (own - by_setting.get(base, pd.Series(dtype=float))).dropna()
        if each != base and len(differences):
            cells[each] = told_difference(differences.to_numpy(float), f"+{decimals}")
    return cells


if __name__ == "__main__":
    main()
