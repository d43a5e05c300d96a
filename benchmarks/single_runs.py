"""How often single runs of two settings differ by so many unique detectors, and two of the same setting.

For each section and row of a results.csv it prints, over all pairs of a run of the row and a run of the section's first
row with another seed, the share in which the former has at least K unique detectors more in a layer, and the share in
which it has at least K fewer. The first row is paired with itself: that is what seeds do, of initialization, order and,
for two figures, images. A published comparison of single runs is such a pair.

Run:   python benchmarks/single_runs.py results/two_figures/results.csv --layer conv2 --at_least 2 4
Cost:  seconds.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from dissected_runs import read_results

HEADER = ("section", "row", "seeds", "standard deviation", "at least", "more", "fewer")


def shares(row: pd.Series, baseline: pd.Series, least: int) -> tuple[float, float]:
    """The shares of pairs of other seeds in which the row has at least so many more, and so many fewer."""
    apart = np.subtract.outer(row.to_numpy(), baseline.to_numpy())
    apart = apart[np.not_equal.outer(row.index.to_numpy(), baseline.index.to_numpy())]
    return float((apart >= least).mean()), float((apart <= -least).mean())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--at_least", type=int, nargs="+", default=[2])
    flags = parser.parse_args()
    found = read_results(flags.results).dropna(subset=["unique_detectors"])  # without runs that failed
    if flags.layer not in set(found["layer"]):
        raise SystemExit(f"--layer={flags.layer}: expected one of {', '.join(found['layer'].unique())}")
    found = found[found["layer"] == flags.layer].set_index("seed")
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
    for section, own in found.groupby("section", sort=False):
        runs = {row: values["unique_detectors"] for row, values in own.groupby("row", sort=False)}
        baseline = next(iter(runs.values()))
        for row, values in runs.items():
            for least in flags.at_least:
                more, fewer = shares(values, baseline, least)
                cells = [section, row, str(len(values)), f"{values.std():.2f}", str(least)]
                print(f"| {' | '.join(cells)} | {more:.0%} | {fewer:.0%} |")


if __name__ == "__main__":
    main()
