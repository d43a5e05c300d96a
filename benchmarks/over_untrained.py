"""What training adds to unique detectors: those of the trained network minus those of the same one before training.

For each section and row of a results.csv whose runs have the stage chance with the kind "untrained" it prints, of the
score and of each layer, the mean over seeds with its 95 % t-interval, and the p of the exact two-sided sign-flip test.

Run:   python benchmarks/over_untrained.py results/two_figures/results.csv
Cost:  seconds.
"""

import argparse
from pathlib import Path

from dissected_runs import read_results, told_difference

KEYS = ["section", "row"]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    path = parser.parse_args().results
    found = read_results(path)
    if "untrained" not in found:
        raise SystemExit(f"{path} has no column 'untrained'; expected runs with the stage chance of this kind")
    found = found[found["untrained"].notna()]
    found["added"] = found["unique_detectors"] - found["untrained"]
    layers = found["layer"].unique().tolist()
    header = [*KEYS, "seeds", "score", *layers]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for names, runs in found.groupby(KEYS, sort=False):
        own = runs.pivot(index="seed", columns="layer", values="added")
        added = [own.sum(axis=1, skipna=False), *(own.get(name) for name in layers)]
        told = ["–" if each is None else told_difference(each.to_numpy(float), 1, len(own)) for each in added]
        print(f"| {' | '.join([*names, str(len(own)), *told])} |")


if __name__ == "__main__":
    main()
