"""Makes a TFDS data set of a directory in Broden's layout: ``python -m interpjax.data.broden SOURCE DESTINATION``."""

import argparse
from pathlib import Path

from interpjax.data.broden.builder import build_broden


def main() -> None:
    """Builds it, and prints where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="holds index.csv, label.csv, category.csv, c_*.csv and images/")
    parser.add_argument("destination", type=Path, help="what to give as --config.dissection.broden afterwards")
    arguments = parser.parse_args()
    print(build_broden(arguments.source, arguments.destination))


if __name__ == "__main__":
    main()
