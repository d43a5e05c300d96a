"""Unique detectors at other cuts of the IoU than 0.04: whether what is found depends on the cut.

For each section, layer, cut and row of a table it prints the unique detectors at that cut (concepts that are the best
one of some unit, with a larger IoU) as a mean over seeds with a 95 % t-interval, and the difference from the row
"weight_decay", with the p of the exact sign-flip test. Beside them stands on how many concepts some unit has a larger
IoU, after training and, where the stage chance was run with the kind "untrained", before it.

Run:   python benchmarks/iou_cuts.py FOLDER       (of a table, as of interpjax table table_two_figures --workdir=FOLDER)
Cost:  seconds.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from interpjax.comparison.statistics import mean_interval, paired_difference
from interpjax.dissection import Chance, Dissection

CUTS = (0.04, 0.1, 0.15, 0.2, 0.3, 0.4)
KEYS = ["section", "layer", "cut", "row"]
BASELINE = "weight_decay"
HEADER = [*KEYS, "seeds", "unique detectors", "less weight decay", "concepts above", "untrained"]


def counts(folder: Path) -> pd.DataFrame:
    """A row for each run, layer and cut."""
    found = []
    for path in sorted(folder.glob("*/*/seed=*/dissection/*/iou.npz")):
        section, row, seed, _, layer, _ = path.relative_to(folder).parts
        iou, chance = Dissection.load(path).iou, path.with_name("chance_untrained.npz")
        before = Chance.load(chance).best_iou[0] if chance.is_file() else None
        for cut in CUTS:
            own = {"section": section, "layer": layer, "cut": cut, "row": row, "seed": seed}
            own["unique"] = len(set(iou.argmax(axis=1)[iou.max(axis=1) > cut]))
            own["above"] = int((iou.max(axis=0) > cut).sum())
            own["untrained"] = np.nan if before is None else int((before > cut).sum())
            found.append(own)
    return pd.DataFrame(found)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    found = counts(parser.parse_args().folder).set_index([*KEYS, "seed"])
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
    for (section, layer, cut), own in found.groupby(KEYS[:3], sort=False):
        unique = own.droplevel(KEYS[:3])["unique"].unstack("row")
        for row, values in own.groupby("row", sort=False):
            mean = mean_interval(values["unique"].to_numpy())
            difference = paired_difference("unique", (unique[row] - unique[BASELINE]).dropna().to_numpy())
            apart, half = difference.difference.value, (difference.difference.high - difference.difference.low) / 2
            less = "" if row == BASELINE else f"{apart:+.1f} ± {half:.1f} (p {difference.p:.2g})"
            cells = [section, layer, f"{cut:g}", row, str(len(values))]
            cells += [f"{mean.value:.1f} ± {(mean.high - mean.low) / 2:.1f}", less]
            cells += [f"{values[name].mean():.1f}" for name in ("above", "untrained")]
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
