"""How well the best unit of each concept fits it, after training and before: what a count at one cut does not show.

For each row of a table, layer and category it prints the mean over concepts of the largest IoU that any unit has, of
the same network before training and after it, with 95 % t-intervals over seeds; how much it gained; and, where the
section has the row of --minus, its difference from that, with the p of the exact sign-flip test. At the end it prints
the smallest of these IoUs over all concepts, layers and seeds, by which one sees whether a cut leaves any concept out.
The runs have to have the stages dissect and chance, with the kind "untrained".

Run:   python benchmarks/best_iou.py FOLDER       (of a table, as of interpjax table table_two_figures --workdir=FOLDER)
Cost:  seconds.
"""

from pathlib import Path

import pandas as pd
from dissected_runs import check_baseline, dissected, minus_baseline, minus_words, table_parser, told

from interpjax.comparison.statistics import mean_interval
from interpjax.dissection import Chance

KEYS = ["section", "layer", "category", "row"]


def best_ious(folder: Path) -> pd.DataFrame:
    """A row for each run, layer and concept: the largest IoU of any unit, trained and untrained."""
    found = []
    for labels, result, chance in dissected(folder):
        best = pd.DataFrame({"category": result.concepts["category"], "trained": result.iou.max(axis=0)})
        best["untrained"] = Chance.load(chance).best_iou[0]
        found.append(best.assign(**labels))
    return pd.concat(found)


def main() -> None:
    """Prints the table."""
    flags = table_parser(__doc__).parse_args()
    best = best_ious(flags.folder)
    check_baseline(best["row"], flags.minus)
    found = best.groupby([*KEYS, "seed"], sort=False).mean()
    found["gained"] = found["trained"] - found["untrained"]
    header = [*KEYS, "seeds", "untrained", "trained", "gained", minus_words(flags.minus)]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for (section, layer, category), own in found.groupby(KEYS[:3], sort=False):
        trained = own.droplevel(KEYS[:3])["trained"].unstack("row")
        for row, values in own.groupby("row", sort=False):
            means = [
                told(mean_interval(values[name].to_numpy()), 3, len(values))
                for name in ("untrained", "trained", "gained")
            ]
            difference = minus_baseline(trained, row, flags.minus, 3)
            cells = [section, layer, category, row, str(len(values)), *means, difference]
            print(f"| {' | '.join(map(str, cells))} |")
    print("smallest of all:")
    print(best.groupby(["section", "row"], sort=False)[["untrained", "trained"]].min().round(3).to_string())


if __name__ == "__main__":
    main()
