"""Estimates how much memory a dissection takes, for exact thresholds and for the maps that are held at a time."""

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path

from interpjax import parallel
from interpjax.dissection.brackets import GROWTH, Z
from interpjax.dissection.passes import BATCHES_AT_A_TIME
from interpjax.errors import UserError

VALUE, UNIT = 4, 4  # bytes of a float32, and of the number of a unit, which those that are not yet sorted have
SPREAD = 0.02  # standard deviation between images of the share above a threshold; real maps have less
GIGABYTE, MEGABYTE = 10**9, 10**6


@dataclasses.dataclass(frozen=True)
class Memory:
    """The memory that a dissection takes.

    Attributes:
      thresholds: bytes for the activations that may be a unit's threshold, before it is known.
      maps: bytes for the activation maps that are held at a time, on all devices together.
      layers: number of layers that are dissected.
      images: number of labelled images.
    """

    thresholds: int
    maps: int
    layers: int
    images: int

    def __str__(self) -> str:
        """A sentence that tells the user of it."""
        return (
            f"dissecting {self.layers} layers on {self.images} images will take about "
            f"{_readable(self.thresholds)} for exact thresholds and {_readable(self.maps)} for a batch's maps; this "
            f"machine has {_readable(machine_memory())}"
        )


def _readable(size: int) -> str:
    return f"{size / GIGABYTE:.1f} GB" if size >= GIGABYTE else f"{math.ceil(size / MEGABYTE)} MB"


def estimate(shapes: Mapping[str, tuple[int, int, int]], images: int, batch_size: int) -> Memory:
    """The memory that a dissection will take.

    Thresholds lie within ``Z`` standard errors of what is known of them; of n images all values that near are kept,
    which are the most when half of the images have come.

    Args:
      shapes: (height, width, units) of each layer's maps.
      images: number of images that the network is dissected with.
      batch_size: number of images at a time on each device.

    Raises:
      UserError: naming the fields, if this is more memory than the machine has.
    """
    cells = sum(math.prod(shape) for shape in shapes.values())
    sorted_in = Z * SPREAD * math.sqrt(images)  # positions' worth of images: n · 2 · error, at n = images / 2
    thresholds = math.ceil(cells * sorted_in * (VALUE + (GROWTH - 1) * (VALUE + UNIT)))
    held = BATCHES_AT_A_TIME * len(parallel.local_devices())
    memory = Memory(thresholds, VALUE * cells * batch_size * held, len(shapes), images)
    if memory.thresholds + memory.maps > machine_memory():
        largest = max(shapes, key=lambda layer: math.prod(shapes[layer]))
        raise UserError(
            f"config.dissection.layers: {memory}; name fewer of them (the largest is {largest!r}), or lower "
            "config.dissection.batch_size if the maps are what is too much"
        )
    return memory


def machine_memory() -> int:
    """Bytes that this machine has, or that its container may use."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [whole]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # the limits of control groups, version 2 and 1
        path = Path("/sys/fs/cgroup") / name
        text = path.read_text().strip() if path.is_file() else "max"
        limits += [int(text)] if text.isdigit() else []
    return min(limits)
