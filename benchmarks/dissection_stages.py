"""What a dissection takes, stage by stage, and how its memory grows; and one network under every protocol.

Run:   python benchmarks/dissection_stages.py protocols SQUEEZENET_FOLDER BRODEN   fire9 by every protocol
       python benchmarks/dissection_stages.py stages SQUEEZENET_FOLDER BRODEN      ms an image of each stage
       python benchmarks/dissection_stages.py memory BRODEN                        peak at 1 and 10 times the images
       python benchmarks/dissection_stages.py memory BRODEN --layers=vgg16 --batch=8 --images=512 --times=1
Needs: a directory in Broden's layout; for the first two, the weights and the mean image of the Places365 SqueezeNet.
Cost:  about five minutes each on 2 cores; a deep network half an hour.
"""

import argparse
import dataclasses
import resource
import subprocess
import sys
import tempfile
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
from interpjax.dissection.backlog import Backlog
from interpjax.dissection.kept import KeptSums
from interpjax.dissection.network_feed import NetworkFeed
from interpjax.dissection.one_pass import OnePass
from interpjax.dissection.passes import run_pass
from interpjax.dissection.plan import Plan
from interpjax.dissection.settings import Settings
from interpjax.dissection.settling import settle

BATCH = 32


def squeezenet_parts(folder: Path, seed: int | None = None) -> tuple[Any, Any, dissection.Preprocessing]:
    """The Places365 SqueezeNet, its variables and what it does to images; with a seed, before any training."""
    model = models.create_model("squeezenet_places365", num_classes=365)
    mean = np.load(folder / "places365_mean_bgr_3x256x256.npy").transpose(1, 2, 0)[16:240, 16:240]
    variables = (
        models.load_weights("squeezenet_places365", folder / "squeezenet_places365.npz")
        if seed is None
        else dict(model.init(jax.random.key(seed), jnp.zeros((1, 224, 224, 3))))
    )
    return model, variables, dissection.Preprocessing(mean, 255, channels="BGR")


def squeezenet(
    folder: Path, stage: str = "post", layers: tuple[str, ...] = ("fire9",), seed: int | None = None
) -> dissection.Network:
    """Some layers of the Places365 SqueezeNet; with a seed, as it is before any training."""
    model, variables, preprocessing = squeezenet_parts(folder, seed)
    return dissection.from_jax(
        lambda variables, images: models.apply_with_taps(model, variables, images, layers=layers, stage=stage)[1],
        variables,
        layers=layers,
        preprocessing=preprocessing,
        name=stage,
    )


def initialized(name: str) -> dissection.Network:
    """All convolutions of a network that is not trained: what it takes does not depend on the weights much."""
    model = models.create_model(name, num_classes=365)
    layers = tuple(models.outline(model).convolutions)
    return dissection.from_jax(
        lambda variables, images: models.apply_with_taps(model, variables, images, layers=layers)[1],
        jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 224, 224, 3))),  # compiled, it needs less memory
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
    """Milliseconds an image of each stage, one after the other, after a run that compiles."""
    feed = NetworkFeed(network, broden, Settings(layers=network.layers, batch_size=BATCH))
    labellings, seconds = {broden.categories: feeds.columns_of(broden)}, dict[str, float]()
    device = feed.devices[0]
    list(_timed(seconds, "decode images", feed.works(0, {})))
    works = list(_timed(seconds, "decode images and pack labels", feed.works(0, labellings)))
    for run in ("compile", "time"):
        plan = Plan(
            network.layers, list(labellings.values()), [(dissection.get_protocol("paper"), 0)], feed.images, 5, {}
        )
        one = OnePass(plan, Backlog(None, run, (0, 1)))
        for work in works:
            start = time.perf_counter()
            maps = jax.block_until_ready(work.maps(device))
            _add(seconds, f"forward, {run}", start)
            start = time.perf_counter()
            one.add(work, maps)
            for held in one.settle(last=work is works[-1]):
                one.add(held.work, held.work.maps(device) if held.maps is None else held.maps)
            _add(seconds, f"thresholds and counts, {run}", start)
        start = time.perf_counter()
        found = {(0, layer): bracket.found().values for (_, layer), bracket in one.brackets.items()}
        settle(one, found, [device])
        _add(seconds, f"the undecided, {run}", start)
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
    """Both networks, the second on fewer images."""
    some = dataclasses.replace(broden, records=broden.records[: 20 * BATCH])
    table = pd.DataFrame(
        {
            "SqueezeNet fire9": stages(squeezenet(folder), broden),
            "AlexNet conv1–5": stages(initialized("alexnet"), some),
        }
    )
    print(table.round(2).to_string())


def memory(broden: ConceptData, times: int, layers: str, batch: int) -> None:
    """Runs the pass on the images, so many times over, and prints what is kept and the peak of this process."""
    network = small_network() if layers == "small" else initialized(layers)
    repeated = dataclasses.replace(broden, records=list(broden.records) * times)
    feed = NetworkFeed(network, repeated, Settings(layers=network.layers, batch_size=batch))
    labellings = {broden.categories: feeds.columns_of(broden)}
    plan = Plan(network.layers, list(labellings.values()), [(dissection.get_protocol("paper"), 0)], feed.images, 5, {})
    most = [0]
    with tempfile.TemporaryDirectory() as folder:
        one = OnePass(plan, Backlog(Path(folder), "pass", (0, 1)))

        def show(done: int) -> None:
            most.append(max(most[-1], sum(bracket.nbytes for bracket in one.brackets.values())))

        kept = KeptSums(None, {}, every=1, process=(0, 1))
        run_pass("pass", one, lambda start: feed.works(start, labellings), feed.devices, kept, show)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(repeated.records)} images: peak {peak:.0f} MB, of which thresholds {most[-1] / 2**20:.0f} MB; "
        f"{one.backlog.nbytes / len(repeated.records) / 1024:.0f} KB an image in the cache folder"
    )


def small_network() -> dissection.Network:
    """256 filters of 16 × 16 pixels."""
    kernel = np.random.default_rng(0).normal(size=(16, 16, 3, 256)).astype(np.float32)

    def apply(variables: Any, images: Any) -> dict[str, Any]:
        return {
            "layer": jax.lax.conv_general_dilated(
                images, variables, (17, 17), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        }

    return dissection.from_jax(apply, kernel, layers=("layer",), preprocessing=dissection.Preprocessing.imagenet())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["protocols", "stages", "memory"])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--times", type=int, default=0)
    parser.add_argument("--layers", choices=["small", "alexnet", "vgg16", "resnet50"], default="small")
    parser.add_argument("--images", type=int, default=0, help="the first of them only, to try it")
    parser.add_argument("--batch", type=int, default=BATCH)
    arguments = parser.parse_args()
    broden = load_broden(arguments.folders[-1])
    if arguments.images:
        broden = dataclasses.replace(broden, records=broden.records[: arguments.images])
    if arguments.what == "protocols":
        protocols(arguments.folders[0], broden)
    elif arguments.what == "stages":
        print_stages(arguments.folders[0], broden)
    elif arguments.times:
        memory(broden, arguments.times, arguments.layers, arguments.batch)
    else:  # each in a process of its own, since a peak never falls
        for times in ("1", "10"):
            subprocess.run([sys.executable, *sys.argv, "--times", times], check=True)


if __name__ == "__main__":
    main()
