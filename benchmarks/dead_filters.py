"""How many filters of each layer are dead, and how many units are detectors, in the runs of a table.

For each section, layer and row of a table it prints, as means over seeds with 95 % t-intervals and with the difference
from the row "weight_decay": the filters that are above 0 nowhere in a sample of the test images at the end of training,
from ``metrics.jsonl`` (which notes them for layers that a rectifier follows), and the units that detect a concept.

Run:   python benchmarks/dead_filters.py FOLDER   (of a table)
Cost:  seconds.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from dissected_runs import dissected, minus_baseline, told

from interpjax.comparison.statistics import mean_interval

KEYS = ["section", "layer", "row"]
MEASURES = ("dead filters", "detectors")
OF_EACH = [name + minus for name in MEASURES for minus in ("", ", minus weight decay")]
HEADER = [*KEYS, "seeds", "units", *OF_EACH]


def last_value(metrics: Path, name: str) -> float:
    """The last value of a metric; NaN if it was not measured."""
    values = [json.loads(line).get(name) for line in metrics.read_text(encoding="utf-8").splitlines()]
    return next((float(value) for value in reversed(values) if value is not None), np.nan)


def counted(folder: Path) -> pd.DataFrame:
    """A row for each run and layer."""
    found: list[dict[str, object]] = []
    for labels, result, _ in dissected(folder):
        workdir = folder / labels["section"] / labels["row"] / labels["seed"]
        dead = last_value(workdir / "metrics.jsonl", f"groups/dead_filters/{labels['layer']}")
        detectors = result.sweep([result.protocol.detector_iou])["detectors"].item()
        found.append({**labels, "units": len(result.iou), "dead filters": dead, "detectors": detectors})
    return pd.DataFrame(found)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    found = counted(parser.parse_args().folder).set_index([*KEYS, "seed"])
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
    for (section, layer), own in found.groupby(KEYS[:2], sort=False):
        for row, values in own.groupby("row", sort=False):
            cells = [section, layer, row, str(len(values)), str(values["units"].iloc[0])]
            for name in MEASURES:
                by_row = own.droplevel(KEYS[:2])[name].unstack("row")
                measured = values[name].notna().all()
                mean = told(mean_interval(values[name].to_numpy(float)), ".1f") if measured else "–"
                cells += [mean, minus_baseline(by_row, row, "+.1f") if measured else ""]
            print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
