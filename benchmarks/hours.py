"""How many runs each table's results.csv has, and how many hours they took by its column ``seconds``.

A run that stands in several files, as the baseline that two tables share, is counted in the first of them alone. Runs
were made several at once, so that hours of the machine are fewer than their sum.

Run:   python benchmarks/hours.py results
Cost:  seconds.
"""

import argparse
from pathlib import Path

import pandas as pd
from dissected_runs import read_results

RUN = ["section", "row", "seed"]
MADE = ["date", "seed", "seconds"]  # by which the same run is known in another file


def hours(folder: Path) -> pd.DataFrame:
    """A row for each table: its name, the runs of its file, and the hours of those that no earlier file has.

    Raises:
      SystemExit: if the folder has no results.csv, or one is something else.
    """
    paths = sorted(folder.glob("*/results.csv"))
    if not paths:
        raise SystemExit(f"{folder}: no TABLE/results.csv there; expected the folder of all tables' results")
    runs = pd.concat([read_results(path).drop_duplicates(RUN).assign(table=path.parent.name) for path in paths])
    made = runs.drop_duplicates(MADE).groupby("table")["seconds"].sum() / 3600
    return pd.DataFrame({"runs": runs.groupby("table").size(), "hours": made})


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the folder that has a folder for each table")
    found = hours(parser.parse_args().results)
    print("| table | runs | hours |\n|---|---|---|")
    for name, runs, taken in found.itertuples():
        print(f"| {name} | {runs} | {taken:.1f} |")
    print(f"| all |  | {found['hours'].sum():.1f} |")


if __name__ == "__main__":
    main()
