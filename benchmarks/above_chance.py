"""What two layers of a trained network detect, how sure that is, and what chance gives: a table.

Run:   python benchmarks/above_chance.py SQUEEZENET_FOLDER BRODEN [--draws N] [--rotations N] [--untrained N]
Needs: a directory in Broden's layout; the weights and the mean image of the Places365 SqueezeNet.
Cost:  about ten minutes on 2 cores.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dissection_stages import BATCH, squeezenet

from interpjax import dissection
from interpjax.data import load_broden

LAYERS = ("fire5", "fire9")


def row(layer: str, result: dissection.Dissection, chances: dict[str, dissection.Chance]) -> dict[str, Any]:
    """A layer's numbers."""
    interval = result.bootstrap().set_index("statistic").loc["unique_detectors"]
    found = {
        "layer": layer,
        "units": len(result.thresholds),
        "detectors": int((result.best()["iou"] >= result.protocol.detector_iou).sum()),
        "unique": f"{int(interval['value'])} ({interval['low']:.0f}–{interval['high']:.0f})",
    }
    for kind, chance in chances.items():
        low, high = chance.interval()
        found[f"{kind}: unique"] = f"{chance.mean:.1f} ({low}–{high})"
        found[f"{kind}: above"] = (
            f"{result.calibrated_detectors(chance)} ({result.calibrated_detectors(chance, unique=True)} concepts)"
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squeezenet", type=Path)
    parser.add_argument("broden", type=Path)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--rotations", type=int, default=20)
    parser.add_argument("--untrained", type=int, default=4)
    given = parser.parse_args()
    broden = load_broden(given.broden)
    network = squeezenet(given.squeezenet, layers=LAYERS)
    settings: dict[str, Any] = {"layers": LAYERS, "batch_size": BATCH, "progress": False}
    results = dissection.dissect(network, broden, keep_images=True, **settings)
    untrained = [
        dissection.dissect(squeezenet(given.squeezenet, layers=LAYERS, seed=seed), broden, **settings)
        for seed in range(given.untrained)
    ]
    chances = {
        "labels": dissection.chance(network, broden, draws=given.draws, **settings),
        "rotation": dissection.chance(network, broden, kind="rotation", draws=given.rotations, **settings),
        "untrained": {layer: dissection.Chance.from_dissections([own[layer] for own in untrained]) for layer in LAYERS},
    }
    rows = [row(layer, results[layer], {kind: own[layer] for kind, own in chances.items()}) for layer in LAYERS]
    print(pd.DataFrame(rows).set_index("layer").T.to_string())
    score, own = dissection.bootstrap_score(results), np.sum([r.unique_detectors() for r in results.values()])
    print(f"\nboth layers: {own}\n{score.to_string(index=False)}")


if __name__ == "__main__":
    main()
