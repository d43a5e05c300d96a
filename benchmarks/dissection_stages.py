"""What a dissection takes, stage by stage, and how its memory grows; and one network under every protocol.

Run:   python benchmarks/dissection_stages.py protocols SQUEEZENET_FOLDER BRODEN   fire9 by every protocol
       python benchmarks/dissection_stages.py stages SQUEEZENET_FOLDER BRODEN      ms an image of each stage, projected
       python benchmarks/dissection_stages.py memory BRODEN                        peak at 1 and 10 times the images
Needs: a directory in Broden's layout; for the first two, the weights and the mean image of the Places365 SqueezeNet.
Cost:  about five minutes each on 2 cores.
"""

import argparse
import dataclasses
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from interpjax import dissection, models
from interpjax.data import ConceptData, load_broden
from interpjax.dissection import feeds
from interpjax.dissection.settings import Settings
from interpjax.dissection.thresholds import TopQuantile

BATCH = 32
WARM = 8  # batches that are counted untimed first: the sizes of what is counted vary, and each is compiled
BRODEN_IMAGES = 63_305
ALEXNET_SHAPES = {"conv1": (55, 64), "conv2": (27, 192), "conv3": (13, 384), "conv4": (13, 256), "conv5": (13, 256)}


def squeezenet(folder: Path, stage: str = "post") -> dissection.Network:
    """fire9 of the Places365 SqueezeNet."""
    model = models.create_model("squeezenet_places365", num_classes=365)
    mean = np.load(folder / "places365_mean_bgr_3x256x256.npy").transpose(1, 2, 0)[16:240, 16:240]
    return dissection.from_jax(
        lambda variables, images: models.apply_with_taps(model, variables, images, layers=("fire9",), stage=stage)[1],
        models.load_weights("squeezenet_places365", folder / "squeezenet_places365.npz"),
        layers=("fire9",),
        preprocessing=dissection.Preprocessing(mean, 255, channels="BGR"),
        name=stage,
    )


def alexnet() -> dissection.Network:
    """All five layers of AlexNet, as initialized: what it takes does not depend on the weights much."""
    model = models.create_model("alexnet", num_classes=365)
    layers = tuple(ALEXNET_SHAPES)
    return dissection.from_jax(
        lambda variables, images: models.apply_with_taps(model, variables, images, layers=layers)[1],
        model.init(jax.random.key(0), jnp.zeros((1, 224, 224, 3))),
        layers=layers,
        preprocessing=dissection.Preprocessing.imagenet(),
    )


def protocols(folder: Path, broden: ConceptData) -> None:
    """Prints a row for each protocol."""
    rows = []
    for stage in ("post", "pre"):
        chosen = [protocol for protocol in dissection.PROTOCOLS.values() if protocol.tap == stage]
        found = dissection.dissect_all(
            squeezenet(folder, stage), broden, layers=("fire9",), protocols=chosen, batch_size=BATCH
        )
        for protocol, results in zip(chosen, found, strict=True):
            result = results["fire9"]
            rows.append(
                {
                    "protocol": protocol.name,
                    "detectors": int((result.best()["iou"] >= protocol.detector_iou).sum()),
                    "unique": result.unique_detectors(),
                    **result.by_category(),
                    "per category": result.unique_detectors(convention="per-category"),
                    "mean IoU": round(float(result.best()["iou"].mean()), 4),
                    "T = 0": len(result.silent_units()),
                    "unreachable": len(result.unreachable()),
                }
            )
    print(pd.DataFrame(rows).to_string(index=False))


def stages(network: dissection.Network, broden: ConceptData) -> dict[str, float]:
    """Milliseconds an image of each stage, one after the other, after some batches that compile."""
    feed = feeds.NetworkFeed(network, broden, Settings(layers=network.layers, batch_size=BATCH))
    labellings = {broden.categories: feeds.columns_of(broden)}
    device = feed.devices[0]
    seconds: dict[str, float] = {}
    works = list(_timed(seconds, "decode images", feed.works(0, {})))
    labelled = list(_timed(seconds, "decode images and pack labels", feed.works(0, labellings)))
    first = Thresholds(0.005, feed.images, 5)
    for run in ("compile", "time"):
        for work in works[: WARM if run == "compile" else None]:
            start = time.perf_counter()
            maps = jax.block_until_ready(work.maps(device))
            _add(seconds, f"forward, {run}", start)
            start = time.perf_counter()
            if run == "time":
                first.add(work, maps)
            _add(seconds, f"thresholds, {run}", start)
    values = {layer: quantile.result() for layer, quantile in first.quantiles.items()}
    columns = labellings[broden.categories]
    for run in ("compile", "time"):
        counts = tally.Counts([columns], [(dissection.get_protocol("paper"), 0)], [values], {})
        for work in labelled[: WARM if run == "compile" else None]:
            maps = jax.block_until_ready(work.maps(device))
            start = time.perf_counter()
            counts.add(work, maps)
            _add(seconds, f"counts, {run}", start)
    seconds["pack labels"] = seconds.pop("decode images and pack labels") - seconds["decode images"]
    kept = {name.removesuffix(", time"): value for name, value in seconds.items() if "compile" not in name}
    return {name: 1e3 * value / feed.images for name, value in kept.items()}


def _timed(seconds: dict[str, float], name: str, items: Iterable[Any]) -> Iterator[Any]:
    start = time.perf_counter()
    yield from items
    _add(seconds, name, start)


def _add(seconds: dict[str, float], name: str, start: float) -> None:
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start


def print_stages(folder: Path, broden: ConceptData) -> None:
    """Both networks, and the second projected to Broden."""
    some = dataclasses.replace(broden, records=broden.records[: WARM * BATCH])
    table = pd.DataFrame(
        {"SqueezeNet fire9": stages(squeezenet(folder), broden), "AlexNet conv1–5": stages(alexnet(), some)}
    )
    print(table.round(2).to_string())
    own = table["AlexNet conv1–5"]
    twice = 2 * (own["decode images"] + own["forward"]) + own["pack labels"] + own["thresholds"] + own["counts"]
    hours = twice * BRODEN_IMAGES / 3.6e6
    print(f"\nBroden's {BRODEN_IMAGES} images, AlexNet's five layers, stage after stage: {hours:.1f} hours")
    state = sum(
        TopQuantile(0.005, side * side * BRODEN_IMAGES, 1).nbytes * units for side, units in ALEXNET_SHAPES.values()
    )
    print(f"State of its exact thresholds: {state / 1e6:.0f} MB")


def memory(broden: ConceptData, times: int) -> None:
    """Dissects a small network on the images, so many times over, and prints the peak of this process."""
    kernel = np.random.default_rng(0).normal(size=(16, 16, 3, 256)).astype(np.float32)

    def apply(variables: Any, images: Any) -> dict[str, Any]:
        return {
            "layer": jax.lax.conv_general_dilated(
                images, variables, (17, 17), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        }

    network = dissection.from_jax(apply, kernel, layers=("layer",), preprocessing=dissection.Preprocessing.imagenet())
    repeated = dataclasses.replace(broden, records=list(broden.records) * times)
    dissection.dissect(network, repeated, layers=("layer",), batch_size=BATCH)
    kept = TopQuantile(0.005, 13 * 13 * len(repeated.records), 256).nbytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(repeated.records)} images: peak {peak:.0f} MB, of which thresholds {kept / 2**20:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["protocols", "stages", "memory"])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--times", type=int, default=0)
    arguments = parser.parse_args()
    broden = load_broden(arguments.folders[-1])
    if arguments.what == "protocols":
        protocols(arguments.folders[0], broden)
    elif arguments.what == "stages":
        print_stages(arguments.folders[0], broden)
    elif arguments.times:
        memory(broden, arguments.times)
    else:  # each in a process of its own, since a peak never falls
        for times in ("1", "10"):
            subprocess.run(
                [sys.executable, __file__, "memory", str(arguments.folders[-1]), "--times", times], check=True
            )


if __name__ == "__main__":
    main()
