"""A whole dissection beside the bare forward pass, beside two passes, and beside the published loop, in one run.

Run:   python benchmarks/dissection_whole.py SQUEEZENET_FOLDER BRODEN
       python benchmarks/dissection_whole.py BRODEN   AlexNet's five layers, as initialized
Needs: a directory in Broden's layout; the weights and the mean image of the Places365 SqueezeNet, for the first.
Cost:  about ten minutes on 2 cores.

The bare pass is given decoded images and has two batches in flight, which is faster than one; the dissection decodes
images and labels. "Two passes" is the definition by the same parts: all values for thresholds, then all counts.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dissection_peers as peers
import jax
import numpy as np
import pandas as pd
from dissection_stages import BATCH, initialized, squeezenet

from interpjax import dissection
from interpjax.data import ConceptData, load_broden
from interpjax.data.concept_records import ConceptRecord
from interpjax.dissection import feeds
from interpjax.dissection.backlog import Backlog
from interpjax.dissection.kept import KeptSums
from interpjax.dissection.network_feed import NetworkFeed
from interpjax.dissection.one_pass import OnePass
from interpjax.dissection.passes import BATCHES_AT_A_TIME, Work, run_pass
from interpjax.dissection.plan import Plan
from interpjax.dissection.settings import Settings
from interpjax.dissection.thresholds import Thresholds

LOOPED = 64  # images that the published loop is timed on


def forward(works: Sequence[Work], device: jax.Device, at_a_time: int) -> None:
    """The network alone, on decoded images."""
    with ThreadPoolExecutor(at_a_time) as threads:
        for _ in threads.map(lambda work: jax.block_until_ready(work.maps(device)), works):
            pass


def two_passes(feed: NetworkFeed, broden: ConceptData, settings: Settings) -> None:
    """Thresholds of all values, then counts; every image is decoded and goes through the network twice."""
    protocol, labellings = dissection.get_protocol("paper"), {broden.categories: feeds.columns_of(broden)}
    kept = KeptSums(None, {}, every=1, process=(0, 1))
    shapes = {layer: maps.shape for layer, maps in next(iter(feed.works(0, {}))).maps(feed.devices[0]).items()}
    units = {(protocol.top_quantile, layer): np.arange(shape[3]) for layer, shape in shapes.items()}
    exact = Thresholds(units, feed.images)
    run_pass("thresholds", exact, lambda start: feed.works(start, {}), feed.devices, kept)
    thresholds = {(0, layer): quantile.result() for (_, layer), quantile in exact.quantiles.items()}
    plan = Plan(tuple(settings.layers), list(labellings.values()), [(protocol, 0)], feed.images, 5, {}, thresholds)
    counts = OnePass(plan, Backlog(None, "counts", (0, 1)))
    run_pass("counts", counts, lambda start: feed.works(start, labellings), feed.devices, kept)


def label_maps(record: ConceptRecord) -> np.ndarray:
    """[channels, height, width] of an image."""
    channels = [channel for own in record.labels().values() for channel in own]
    return np.stack([np.broadcast_to(channel, record.label_shape) for channel in channels]).astype(np.int64)


def published(network: dissection.Network, broden: ConceptData) -> None:
    """Forward once, maps stored, and NetDissect-Lite's tally: unit by unit, one map resized and counted at a time."""
    images = [record.image() for record in broden.records]
    maps = [network(np.stack(images[first : first + BATCH])) for first in range(0, len(images), BATCH)]
    stored = {layer: np.concatenate([np.asarray(part[layer]) for part in maps]) for layer in network.layers}
    labels, numbers = [label_maps(record) for record in broden.records], int(broden.concepts["number"].max())
    for own in stored.values():
        thresholds = np.quantile(own, 0.995, axis=(0, 1, 2))
        for image, channels in enumerate(labels):
            peers.published_loop(own[image : image + 1], channels[None], thresholds, numbers)


def compare(network: dissection.Network, broden: ConceptData, rounds: int) -> pd.DataFrame:
    """What each way takes, ms an image, and how many times the bare pass and our dissection; medians of rounds."""
    settings = Settings(layers=network.layers, batch_size=BATCH)
    feed = NetworkFeed(network, broden, settings)
    works, device = list(feed.works(0, {})), feed.devices[0]
    few = dataclasses.replace(broden, records=broden.records[:LOOPED])
    ways: dict[str, Callable[[], object]] = {
        "forward, one batch at a time": lambda: forward(works, device, 1),
        "forward, two at a time": lambda: forward(works, device, BATCHES_AT_A_TIME),
        "dissection": lambda: dissection.dissect(
            network, broden, layers=network.layers, batch_size=BATCH, progress=False
        ),
        "two passes": lambda: two_passes(feed, broden, settings),
        "published loop": lambda: published(network, few),
    }
    each: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):  # the first one compiles
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            images = len(few.records) if way == "published loop" else len(broden.records)
            each[way] += [1e3 * (time.perf_counter() - start) / images] if number else []
    table = pd.DataFrame(each)
    ratios = {
        "ms an image": table.median(),
        "over bare": table.div(table["forward, two at a time"], axis=0).median(),
        "over dissection": table.div(table["dissection"], axis=0).median(),
    }
    return pd.DataFrame(ratios).round(2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    broden = load_broden(arguments.folders[-1])
    network = squeezenet(arguments.folders[0]) if len(arguments.folders) > 1 else initialized("alexnet")
    print(f"{', '.join(network.layers)} on {len(broden.records)} images")
    print(compare(network, broden, arguments.rounds).to_string())


if __name__ == "__main__":
    main()
