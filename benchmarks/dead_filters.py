"""How many filters of each layer are dead, and how many units are detectors, in the runs of a table.

For each section, layer and row of a table, and for all layers together, it prints, as means over seeds with 95 %
t-intervals and with the difference from the row of --minus: the filters that are above 0 nowhere in a sample of the
test images at the end of training, from ``metrics.jsonl`` (which notes them for layers that a rectifier follows), and
the units that detect a concept.

Run:   python benchmarks/dead_filters.py FOLDER   (of a table)
Cost:  seconds.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from dissected_runs import dissected, print_measures, table_parser, with_all_layers

MEASURES = ("dead filters", "detectors")


def last_value(metrics: Path, name: str) -> float:
    """The last value of a metric; NaN if it was not measured."""
    values = [json.loads(line).get(name) for line in metrics.read_text(encoding="utf-8").splitlines()]
    return next((float(value) for value in reversed(values) if value is not None), np.nan)


def counted(folder: Path) -> pd.DataFrame:
    """A row for each run and layer, and one for all its layers together."""
    found: list[dict[str, object]] = []
    for labels, result, _ in dissected(folder):
        workdir = folder / labels["section"] / labels["row"] / labels["seed"]
        dead = last_value(workdir / "metrics.jsonl", f"groups/dead_filters/{labels['layer']}")
        detectors = result.sweep([result.protocol.detector_iou])["detectors"].item()
        found.append({**labels, "units": len(result.iou), "dead filters": dead, "detectors": detectors})
    return with_all_layers(pd.DataFrame(found), MEASURES)


def main() -> None:
    """Prints the table."""
    flags = table_parser(__doc__).parse_args()
    print_measures(counted(flags.folder), "units", MEASURES, flags.minus)


if __name__ == "__main__":
    main()
