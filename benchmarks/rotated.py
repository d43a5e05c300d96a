"""How much of each layer's unique detectors is of its units, and not of the space that they span.

The maps of each run's network are multiplied by random rotations, as in Bau et al. 2017, Sec. 3.2, and dissected again
on the same labelled images: the layer knows as much as before, only its units are others. For each section, layer and
row of a table, and for all layers together, it prints, as means over seeds with 95 % t-intervals and with the
difference from the row of --minus: the unique detectors, those after a rotation (the mean of the draws), and by how
many the former are more.

Run:   python benchmarks/rotated.py FOLDER --rows weight_decay block_norm all_three   (of a table)
Cost:  two figures: 4 seconds a run of a quarter of the width; AlexNet on scenes: about 18 seconds a run.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from dissected_runs import check_baseline, dissected, print_measures, table_parser, with_all_layers

from interpjax import dissection
from interpjax.changes import current_config
from interpjax.config import from_json
from interpjax.dissection import Dissection
from interpjax.prepare import prepare
from interpjax.progress import progress_bar

MEASURES = ("unique", "rotated", "more")


def of_rotations(workdir: Path, draws: int) -> dict[str, float]:
    """By layer, the unique detectors of a run's network after a rotation, in the mean of so many."""
    experiment = prepare(from_json(current_config(workdir)), workdir, ("dissect",))
    labelled = experiment.labelled
    assert labelled is not None
    found = dissection.chance(experiment.network, labelled.concepts, kind="rotation", draws=draws, **labelled.settings)
    return {layer: own.mean for layer, own in found.items()}


def measured(folder: Path, rows: Sequence[str], draws: int, base: str) -> pd.DataFrame:
    """A row for each run and layer, and one for all its layers together.

    Raises:
      SystemExit: if the table has no dissected run of these rows, or none of the row from which the others differ.
    """
    runs: dict[Path, list[tuple[dict[str, str], Dissection]]] = {}
    for labels, result, _ in dissected(folder):
        if not rows or labels["row"] in rows:
            workdir = folder / labels["section"] / labels["row"] / labels["seed"]
            runs.setdefault(workdir, []).append((labels, result))
    if not runs:
        raise SystemExit(f"--rows {' '.join(rows)}: {folder} has no dissected run of these")
    check_baseline((labels["row"] for layers in runs.values() for labels, _ in layers), base)
    found: list[dict[str, object]] = []
    with progress_bar("runs", len(runs), unit="run") as bar:
        for workdir, layers in runs.items():
            rotated = of_rotations(workdir.absolute(), draws)
            for labels, result in layers:
                unique = result.unique_detectors()
                own = {"unique": unique, "rotated": rotated[labels["layer"]]}
                found.append({**labels, "units": len(result.iou), **own, "more": unique - own["rotated"]})
            bar.update()
    return with_all_layers(pd.DataFrame(found), MEASURES)


def main() -> None:
    """Prints the table."""
    parser = table_parser(__doc__)
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW", help="these alone, by the names of folders")
    parser.add_argument("--draws", type=int, default=4)
    flags = parser.parse_args()
    if flags.draws < 1:
        parser.error(f"--draws {flags.draws}: expected 1 at least")
    print_measures(measured(flags.folder, flags.rows, flags.draws, flags.minus), "units", MEASURES, flags.minus)


if __name__ == "__main__":
    main()
