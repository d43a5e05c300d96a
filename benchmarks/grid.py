"""Prints a table whose sections and rows are the two sides of a grid, as (p, q), with one grid for each quantity.

Each cell has the mean over seeds with half of its 95 % t-interval. Given --minus SECTION ROW, it prints the differences
from this one setting instead, seed by seed, with the p of the exact two-sided sign-flip test.

Run:   python benchmarks/grid.py results/two_figures_exponents/results.csv --minus "p = 2" "q = 1"
Cost:  seconds.
"""

import argparse
from pathlib import Path

import pandas as pd
from dissected_runs import told, told_difference

from interpjax.comparison.statistics import mean_interval
from interpjax.tables.scores import scores_of

SETTING = ["section", "row"]
QUANTITIES = {
    "accuracy": ("accuracy, %", ".2f"),
    "interpretability_score": ("score", ".1f"),
    "conv1": ("conv1", ".1f"),
    "conv2": ("conv2", ".1f"),
    "zero_groups": ("zero groups, %", ".1f"),
}


def cell(own: pd.Series, base: pd.Series | None, form: str) -> str:
    """What stands in a cell: of one setting's values by seed, or of their differences from those of another."""
    if base is None:
        return told(mean_interval(own.to_numpy(float)), form)
    differences = (own - base).dropna()
    return told_difference(differences.to_numpy(float), f"+{form}") if len(differences) else "–"


def main() -> None:
    """Prints the grids."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--quantities", nargs="+", choices=QUANTITIES, default=list(QUANTITIES))
    parser.add_argument("--minus", nargs=2, metavar=("SECTION", "ROW"), help="print differences from this setting")
    flags = parser.parse_args()
    scores = scores_of(pd.read_csv(flags.results)).set_index([*SETTING, "seed"])
    settings = scores.index.droplevel("seed").unique().tolist()
    if flags.minus and tuple(flags.minus) not in settings:
        known = ", ".join(" / ".join(each) for each in settings)
        raise SystemExit(f"--minus: no run of {' / '.join(flags.minus)}; expected one of {known}")
    sections, rows = (list(dict.fromkeys(names)) for names in zip(*settings, strict=True))
    print(f"| quantity |  | {' | '.join(rows)} |\n|{'---|' * (len(rows) + 2)}")
    for quantity in flags.quantities:
        name, form = QUANTITIES[quantity]
        found = {each: own.droplevel(SETTING) for each, own in scores[quantity].dropna().groupby(level=SETTING)}
        base = found[tuple(flags.minus)] if flags.minus else None
        for section in sections:
            own = [found.get((section, row)) for row in rows]
            cells = ["–" if each is None else cell(each, base, form) for each in own]
            print(f"| {name} | {section} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
