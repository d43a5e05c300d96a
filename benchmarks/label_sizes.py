"""What label maps of many sizes cost: a folder of one size beside one of 150 sizes, compiling included.

The images are photographs of a data set in Broden's layout, their label maps resized; the network's images are all of
one size, as ``image_size`` makes them. Each dissection runs in a process of its own, so that it compiles all that it
needs; the network is compiled and run once before the clock starts, since it is the same for both.

Run:   python benchmarks/label_sizes.py BRODEN    (--images=200 --sizes=150 --rounds=3)
Cost:  about three minutes on 2 cores.
"""

import argparse
import dataclasses
import itertools
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from interpjax import dissection
from interpjax.data import ConceptData, load_broden
from interpjax.data.concept_records import ConceptRecord

IMAGE_SIZE, SIDE, BATCH = 224, 112, 32
SIDES = (75, 160)  # of the label maps of many sizes: as many pixels as those of one size, on average
LAYERS = {"fine": (4, 64), "coarse": (17, 256)}  # stride and units: maps of 55 × 55 and of 13 × 13


@dataclasses.dataclass(frozen=True)
class Resized:
    """A record whose label maps have another size, by the nearest pixel."""

    record: ConceptRecord
    label_shape: tuple[int, int]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.record, name)

    def opened(self) -> "Resized":
        """As of any record."""
        return Resized(self.record.opened(), self.label_shape)

    def labels(self) -> dict[str, list[Any]]:
        """As of any record."""
        return {
            category: [channel if isinstance(channel, int) else self._resized(channel) for channel in channels]
            for category, channels in self.record.labels().items()
        }

    def _resized(self, channel: np.ndarray) -> np.ndarray:
        rows, columns = (
            (2 * np.arange(new) + 1) * old // (2 * new)
            for new, old in zip(self.label_shape, channel.shape, strict=True)
        )
        return np.ascontiguousarray(channel[np.ix_(rows, columns)])


def label_shapes(images: int, sizes: int) -> list[tuple[int, int]]:
    """Of each image; every shape occurs, and which images share one is left to chance."""
    rng = np.random.default_rng(0)
    if sizes == 1:
        return [(SIDE, SIDE)] * images
    sides = range(SIDES[0], SIDES[1] + 1)
    chosen = rng.permutation(list(itertools.product(sides, sides)))[:sizes]
    numbers = rng.permutation(np.append(np.arange(sizes), rng.integers(0, sizes, images - sizes)))
    return [(int(height), int(width)) for height, width in chosen[numbers]]


def network() -> dissection.Network:
    """Two layers of random filters, a fine and a coarse one."""
    rng = np.random.default_rng(1)
    kernels = {name: rng.normal(size=(11, 11, 3, units)).astype(np.float32) for name, (_, units) in LAYERS.items()}

    def apply(variables: Any, images: Any) -> dict[str, Any]:
        maps = {}
        for name, (stride, _) in LAYERS.items():
            numbers = ("NHWC", "HWIO", "NHWC")
            maps[name] = jax.nn.relu(
                jax.lax.conv_general_dilated(
                    images, variables[name], (stride, stride), "VALID", dimension_numbers=numbers
                )
            )
        return maps

    preprocessing = dissection.Preprocessing.imagenet()
    return dissection.from_jax(apply, kernels, layers=tuple(LAYERS), preprocessing=preprocessing)


def seconds(broden: ConceptData, shapes: Sequence[tuple[int, int]], protocol: str) -> float:
    """Of one dissection."""
    records = itertools.islice(itertools.cycle(broden.records), len(shapes))
    resized = [Resized(record, shape) for record, shape in zip(records, shapes, strict=True)]
    own = network()
    own(np.zeros((BATCH, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8))
    start = time.perf_counter()
    dissection.dissect(
        own,
        dataclasses.replace(broden, records=resized),
        layers=tuple(LAYERS),
        protocol=dissection.get_protocol(protocol),
        batch_size=BATCH,
        image_size=IMAGE_SIZE,
        progress=False,
    )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--sizes", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--protocol", default="paper")
    parser.add_argument("--alone", action="store_true", help="only this number of sizes, in this process")
    arguments = parser.parse_args()
    if arguments.alone:
        shapes = label_shapes(arguments.images, arguments.sizes)
        print(seconds(load_broden(arguments.folder), shapes, arguments.protocol))
        return
    taken: dict[int, list[float]] = {1: [], arguments.sizes: []}
    for _ in range(arguments.rounds):
        for sizes, times in taken.items():
            command = [sys.executable, __file__, str(arguments.folder), "--alone", f"--sizes={sizes}"]
            settings = [f"--images={arguments.images}", f"--protocol={arguments.protocol}"]
            times.append(float(subprocess.run([*command, *settings], check=True, stdout=subprocess.PIPE).stdout))
    for sizes, times in taken.items():
        print(f"{arguments.images} images of {sizes} label sizes: {np.median(times):.1f} s ({min(times):.1f} at least)")
    one, many = (np.array(times) for times in taken.values())
    print(f"ratio: {np.median(many / one):.2f} ({(many / one).min():.2f}–{(many / one).max():.2f})")


if __name__ == "__main__":
    main()
