"""How fast dissection counts, beside a loop as published and plain torch, on the same activations and labels.

Counts are compared before times are. Activations are smooth rectified maps of which, at 13×13, about one in six
exceeds its unit's threshold at all, as in real networks; labels are like Broden's: colours in every image, some
objects and parts in patches, a scene or a texture of the whole image. Every round times each method once; medians
are given.

The bound is what no implementation on this machine gets below: reading every activation once at the speed at which
memory is read here, or interpolating and comparing the pixels of the tiles that hold any pixel of a mask (three
operations a pixel and axis) at the speed at which float64 multiplications and additions in cache are done here by all
cores; the larger of the two.

Run:   python benchmarks/dissection.py            (--images=16 --rounds=2 for a quick look)
Cost:  about three minutes on 2 cores, 2 GB. With torch installed it is timed too.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import dissection_peers as peers
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from interpjax.dissection import get_protocol, tile_tables
from interpjax.dissection import labels as labels_lib
from interpjax.dissection import tiles as tiles_lib
from interpjax.dissection.counting import Counting, Limits, Pixels, round_down
from interpjax.dissection.passes import BATCHES_AT_A_TIME
from interpjax.dissection.upsampling import resampling

SIDE, CONCEPTS, CATEGORIES = 112, 80, 4
SHAPES = ((13, 256), (13, 512), (55, 64))  # side of the maps, units
TARGETS = {(13, 256): (25, 60), (55, 64): (10, 30)}
COLUMNS = labels_lib.ConceptColumns(
    np.arange(1, CONCEPTS + 1), np.arange(CONCEPTS) * CATEGORIES // CONCEPTS, CATEGORIES
)


def make_maps(rng: np.random.Generator, images: int, side: int, units: int) -> np.ndarray:
    """Rectified smooth fields, two cells to a bump, of a strength that differs from image to image."""
    coarse = rng.normal(size=(images, side // 2 + 1, side // 2 + 1, units)).astype(np.float32)
    smooth = np.asarray(jax.image.resize(jnp.asarray(coarse), (images, side, side, units), "cubic"))
    return np.maximum(smooth - 0.5, 0) * rng.lognormal(0, 0.8, (images, 1, 1, units)).astype(np.float32)


def make_labels(rng: np.random.Generator, images: int) -> np.ndarray:
    """[images, 4, side, side]: colours, objects, parts, and a label of the whole image; own numbers in each."""
    labels = np.zeros((images, 4, SIDE, SIDE), np.int64)
    for image in range(images):
        cells = rng.integers(1, 12, (14, 14))
        labels[image, 0] = cells.repeat(8, 0).repeat(8, 1)
        for channel, patches in ((1, 4), (2, 3)):
            for _ in range(rng.integers(0, patches + 1)):
                y, x = rng.integers(0, SIDE - 40, 2)
                labels[image, channel, y : y + 40, x : x + 40] = rng.integers(20 * channel + 1, 20 * channel + 21)
        if rng.random() < 0.4:
            labels[image, 3] = rng.integers(61, 81)
    return labels


def pack(labels: np.ndarray) -> list[labels_lib.ImageLabels]:
    return [labels_lib.image_labels(list(channels), (SIDE, SIDE), COLUMNS) for channels in labels]


def ours(
    batches: list[jax.Array], packed: list[labels_lib.ImageLabels], thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As dissection does it: activations as a network leaves them, labels packed; "lite" upsamples as Pillow does."""
    protocol = get_protocol("lite", unit_area="all", categories=None)
    how, total = Counting(len(thresholds), COLUMNS, protocol), Counting(len(thresholds), COLUMNS, protocol).nothing()

    def count(number: int) -> Pixels:
        size = len(batches[number])
        labels = labels_lib.batch_labels(packed[number * size : (number + 1) * size])
        return how.count(batches[number], labels, (2 * SIDE, 2 * SIDE), Limits(thresholds, thresholds))[0]

    with ThreadPoolExecutor(BATCHES_AT_A_TIME) as threads:
        for pixels in threads.map(count, range(len(batches))):
            total += pixels
    return total.intersection, total.area_by_category[:, 0]


def bound(maps: np.ndarray, thresholds: np.ndarray) -> float:
    """Seconds an image, see above."""
    how = resampling("pil-bilinear", maps.shape[1:3], (SIDE, SIDE), (2 * SIDE, 2 * SIDE))
    tiles = tile_tables.cut((how,), 1)
    active = tiles_lib.active_tiles(
        tiles, jnp.asarray(maps), round_down(thresholds, maps.dtype), np.zeros(len(maps), np.int32), skip_below=True
    )
    pixels = int(active.sum()) * tiles_lib.TILE**2
    return max(maps.nbytes / read_speed(), 6 * pixels / arithmetic_speed()) / len(maps)


def read_speed() -> float:
    """Bytes a second that a sum of a large array reads."""
    data = jnp.ones(64 * 2**20, jnp.float32)
    total = jax.jit(jnp.sum)
    return data.nbytes / min(_time(lambda: jax.block_until_ready(total(data))) for _ in range(5))


def arithmetic_speed() -> float:
    """Multiplications and additions in float64 a second, on data in cache, of all cores."""
    with jax.enable_x64(True):
        left, right = jnp.ones((1024, 1024)), jnp.ones((1024, 1024))
        product = jax.jit(jnp.matmul)
        seconds = min(_time(lambda: jax.block_until_ready(product(left, right))) for _ in range(5))
    return 2 * 1024**3 / seconds


def _time(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(side: int, units: int, images: int, rounds: int, batch: int) -> dict[str, object]:
    """A row of the table."""
    rng = np.random.default_rng(0)
    maps, labels = make_maps(rng, images, side, units), make_labels(rng, images)
    thresholds = np.quantile(maps.astype(np.float64), 0.995, axis=(0, 1, 2))
    packed = pack(labels)
    batches = [jnp.asarray(maps[start : start + batch]) for start in range(0, images, batch)]
    methods: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
        "loop": lambda: peers.published_loop(maps, labels, thresholds, CONCEPTS),
        "ours": lambda: ours(batches, packed, thresholds),
    }
    if peers.TORCH:
        methods["torch"] = lambda: peers.plain_torch(maps, labels, thresholds, CONCEPTS)
        peers.choose_threads(methods["torch"])
    found = {name: method() for name, method in methods.items()}
    differing = {
        name: int(sum(abs(a - b).sum() for a, b in zip(found[name], found["loop"], strict=True))) for name in found
    }
    if differing["ours"]:
        raise AssertionError(f"{side}×{side}×{units}: {differing['ours']} pixels differ from the loop")
    times: dict[str, list[float]] = {name: [] for name in methods}
    packing = []
    for _ in range(rounds):
        for name, method in methods.items():
            times[name].append(_time(method) / images * 1e3)
        packing.append(_time(lambda: pack(labels)) / images * 1e3)
    median = {name: float(np.median(values)) for name, values in times.items()}
    least = bound(maps, thresholds) * 1e3
    row: dict[str, object] = {
        "maps": f"{side}×{side}×{units}",
        "maps above T": f"{(maps.max(axis=(1, 2)) > thresholds).mean():.0%}",
        **{f"{name}, ms": f"{median[name]:.2f}" for name in methods},
        "labels, ms": f"{np.median(packing):.2f}",
        "loop / ours": _ratio(times["loop"], times["ours"]),
        "bound, ms": f"{least:.3f}",
        "bound / ours": f"{least / median['ours']:.0%}",
    }
    if peers.TORCH:
        row["torch / ours"] = _ratio(times["torch"], times["ours"])
        row["torch differs in"] = f"{differing['torch']} of {int(found['loop'][1].sum())} pixels"
    return row


def _ratio(theirs: list[float], ours: list[float]) -> str:
    ratios = np.array(theirs) / np.array(ours)
    return f"{np.median(ratios):.0f} ({ratios.min():.0f}–{ratios.max():.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    arguments = parser.parse_args()
    rows = [compare(side, units, **vars(arguments)) for side, units in SHAPES]
    print(pd.DataFrame(rows).T.to_string(header=False))
    print(
        "labels: packing them, once for all layers; aims: "
        + ", ".join(
            f"{side}×{side}×{units} {loop} × the loop, {torch} × torch"
            for (side, units), (loop, torch) in TARGETS.items()
        )
    )


if __name__ == "__main__":
    main()
