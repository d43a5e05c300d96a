"""How much of a network's detectors is left after fine-tuning: its concepts, and the units that detect them.

For each section, layer and row of a table whose runs start from published weights it prints, as means over seeds with
95 % t-intervals and with the difference from the row of --minus: how many of the concepts that the published
network detects a run still detects (kept), how many it detects that the published network does not (new), in how many
units of a hundred the concept that fits best is the same as before (same), and how many units are detectors.

Run:   python benchmarks/kept_concepts.py FOLDER PUBLISHED   (of a table, and the workdir of the published network,
       dissected with the same layers and labelled images, as docs/results_scenes.md says)
Cost:  seconds.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from dissected_runs import dissected, print_measures, table_parser

from interpjax.dissection import Dissection
from interpjax.dissection.scoring import best_concepts

MEASURES = ("kept", "new", "same", "detectors")


def load_layer(published: Path, layer: str) -> Dissection:
    """The published network's dissection of a layer.

    Raises:
      SystemExit: if there is none.
    """
    path = published / "dissection" / layer / "iou.npz"
    if not path.is_file():
        raise SystemExit(f"{path}: no such file; expected a dissection of layer {layer}")
    return Dissection.load(path)


def kept(folder: Path, published: Path) -> pd.DataFrame:
    """A row for each run and layer.

    Raises:
      SystemExit: if the published network's dissection of a layer is missing, or of other concepts or images.
    """
    found: list[dict[str, object]] = []
    layers: dict[str, Dissection] = {}
    for labels, result, _ in dissected(folder):
        layer = labels["layer"]
        if layer not in layers:
            layers[layer] = load_layer(published, layer)
        before = layers[layer]
        if not np.array_equal(before.label_area, result.label_area):
            raise SystemExit(f"{published}: of other concepts or labelled images than {labels}; expected the same")
        detected, was_detected = set(result.detected().index), set(before.detected().index)
        own: dict[str, object] = {**labels, "published": len(was_detected)}
        own |= {"kept": len(detected & was_detected), "new": len(detected - was_detected)}
        (concepts, score), (earlier, _) = best_concepts(result.iou), best_concepts(before.iou)
        own["same"] = 100 * np.mean((concepts == earlier) & (score > 0))  # one that fits none has no best concept
        own["detectors"] = result.sweep([result.protocol.detector_iou])["detectors"].item()
        found.append(own)
    return pd.DataFrame(found)


def main() -> None:
    """Prints the table."""
    parser = table_parser(__doc__)
    parser.add_argument("published", type=Path)
    flags = parser.parse_args()
    print_measures(kept(flags.folder, flags.published), "published", MEASURES, flags.minus)


if __name__ == "__main__":
    main()
