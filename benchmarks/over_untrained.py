"""What training adds to the interpretability score: that of the trained network less that of the same one untrained.

For each section and row of a results.csv whose runs have the stage chance with the kind "untrained" it prints the mean
over seeds with its 95 % t-interval, and the p of the exact two-sided sign-flip test.

Run:   python benchmarks/over_untrained.py results/two_figures/results.csv
Cost:  seconds.
"""

import argparse
from pathlib import Path

import pandas as pd

from interpjax.comparison.statistics import paired_difference

HEADER = ("section", "row", "seeds", "score less that of the untrained network")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    path = parser.parse_args().results
    found = pd.read_csv(path)
    if "untrained" not in found:
        raise SystemExit(f"{path} has no column 'untrained'; expected runs with the stage chance of this kind")
    sums = found.groupby(["section", "row", "seed"], sort=False)[["unique_detectors", "untrained"]].sum()
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
    for (section, row), own in sums.groupby(["section", "row"], sort=False):
        added = paired_difference("score", (own["unique_detectors"] - own["untrained"]).to_numpy(float))
        mean, half = added.difference.value, (added.difference.high - added.difference.low) / 2
        print(f"| {section} | {row} | {len(own)} | {mean:+.1f} ± {half:.1f} (p {added.p:.2g}) |")


if __name__ == "__main__":
    main()
