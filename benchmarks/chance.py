"""What shuffling labels takes beside the dissection, and what chance gives for a network with published weights.

Run:   python benchmarks/chance.py SQUEEZENET_FOLDER BRODEN [--images N] [--draws N]
Needs: a directory in Broden's layout; the weights and the mean image of the Places365 SqueezeNet.
Cost:  about three minutes on 2 cores.
"""

import argparse
import dataclasses
import time
from pathlib import Path

from dissection_stages import BATCH, squeezenet

from interpjax.data import load_broden
from interpjax.dissection import Chance, get_protocol
from interpjax.dissection.chance import calibrated
from interpjax.dissection.dissect import masked
from interpjax.dissection.label_draws import label_draws
from interpjax.dissection.labels import ConceptColumns

LAYER = "fire9"


def main() -> None:
    """Prints the times of both, ms an image, then what is above chance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squeezenet", type=Path)
    parser.add_argument("broden", type=Path)
    parser.add_argument("--images", type=int)
    parser.add_argument("--draws", type=int, default=100)
    given = parser.parse_args()
    broden = load_broden(given.broden)
    broden = dataclasses.replace(broden, records=broden.records[: given.images])
    start = time.perf_counter()
    results, batches = masked(
        squeezenet(given.squeezenet), broden, protocol=get_protocol("paper"), layers=(LAYER,), batch_size=BATCH
    )
    middle, result = time.perf_counter(), results[LAYER]
    columns = ConceptColumns.of(result.concepts, result.categories)
    drawn = label_draws(
        batches, LAYER, units=len(result.thresholds), concepts=columns, protocol=result.protocol, draws=given.draws
    )
    end, images = time.perf_counter(), len(broden.records) / 1000
    counted = (result.concepts, result.protocol, len(result.iou), result.label_area)
    chance = Chance("labels", *counted, drawn.unique_detectors, drawn.best_iou)
    print(f"dissection with masks: {(middle - start) / images:.2f} ms an image")
    print(f"a draw:                {(end - middle) / images / given.draws:.3f} ms an image")
    print(f"{chance}\n{result}")
    found = [calibrated(result, chance, unique=unique) for unique in (False, True)]
    print(f"above chance: {found[0]} units, {found[1]} distinct concepts")
    cuts = result.concepts.assign(cut=chance.cuts(), best_iou=result.iou.max(axis=0))
    print(cuts.sort_values("cut").to_string(index=False))


if __name__ == "__main__":
    main()
