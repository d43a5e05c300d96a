"""Unique detectors at other cuts of the IoU than 0.04: whether what is found depends on the cut.

For each section, layer, cut and row of a table it prints the unique detectors at that cut (concepts that are the best
one of some unit, with at least this IoU) as a mean over seeds with a 95 % t-interval, and the difference from the row
of --minus, where the section has it, with the p of the exact sign-flip test. Beside them stands for how many concepts
some unit has at least this IoU, after training and, where the stage chance was run with the kind "untrained", before
it.

Run:   python benchmarks/iou_cuts.py FOLDER       (of a table, as of interpjax table table_two_figures --workdir=FOLDER)
Cost:  seconds.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from dissected_runs import check_baseline, dissected, minus_baseline, minus_words, table_parser, told

from interpjax.comparison.statistics import mean_interval
from interpjax.dissection import Chance

CUTS = (0.04, 0.1, 0.15, 0.2, 0.3, 0.4)
KEYS = ["section", "layer", "cut", "row"]


def counts(folder: Path) -> pd.DataFrame:
    """A row for each run, layer and cut."""
    found = []
    for labels, result, chance in dissected(folder):
        before = Chance.load(chance).best_iou[0] if chance.is_file() else None
        for cut in CUTS:
            own: dict[str, object] = {**labels, "cut": cut, "unique": result.unique_detectors(cut)}
            own["above"] = int((result.iou.max(axis=0) >= cut).sum())
            own["untrained"] = np.nan if before is None else int((before >= cut).sum())
            found.append(own)
    return pd.DataFrame(found)


def main() -> None:
    """Prints the table."""
    parser = table_parser(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[], metavar="SEED", help="these alone")
    flags = parser.parse_args()
    found = counts(flags.folder)
    if flags.seeds:
        found = found[found["seed"].isin([f"seed={seed}" for seed in flags.seeds])]
    if found.empty:
        raise SystemExit(f"--seeds {flags.seeds}: {flags.folder} has no dissected run of these")
    check_baseline(found["row"], flags.minus)
    found = found.set_index([*KEYS, "seed"])
    header = [*KEYS, "seeds", "unique detectors", minus_words(flags.minus), "concepts above", "untrained"]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for (section, layer, cut), own in found.groupby(KEYS[:3], sort=False):
        unique = own.droplevel(KEYS[:3])["unique"].unstack("row")
        for row, values in own.groupby("row", sort=False):
            mean = told(mean_interval(values["unique"].to_numpy()), 1, len(values))
            difference = minus_baseline(unique, row, flags.minus, 1)
            cells = [section, layer, f"{cut:g}", row, str(len(values)), mean, difference]
            above = (values[name] for name in ("above", "untrained"))
            cells += [f"{each.mean():.1f}" if each.notna().all() else "–" for each in above]
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
