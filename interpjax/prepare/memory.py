"""How much memory a dissection takes: for exact thresholds, and for the maps that are held at a time."""

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path

from interpjax import parallel
from interpjax.dissection.passes import BATCHES_AT_A_TIME
from interpjax.dissection.thresholds import kept_rows
from interpjax.errors import UserError

VALUE = 4  # bytes of a float32
GIGABYTE = 10**9


@dataclasses.dataclass(frozen=True)
class Memory:
    """What a dissection takes, in bytes.

    Attributes:
      thresholds: for the largest activations of every unit, which exact thresholds need.
      maps: for the activation maps that are held at a time, on all devices together.
      layers: how many are dissected.
      images: how many there are.
    """

    thresholds: int
    maps: int
    layers: int
    images: int

    def __str__(self) -> str:
        """One line, for the user."""
        return (
            f"dissecting {self.layers} layers on {self.images} images will take about "
            f"{self.thresholds / GIGABYTE:.2g} GB for exact thresholds and {self.maps / GIGABYTE:.2g} GB for a "
            f"batch's maps; this machine has {machine_memory() / GIGABYTE:.3g} GB"
        )


def estimate(shapes: Mapping[str, tuple[int, int, int]], images: int, top_quantile: float, batch_size: int) -> Memory:
    """The memory that a dissection will take.

    Args:
      shapes: (height, width, units) of each layer's maps.
      images: how many are dissected with.
      top_quantile: share of the activations above a threshold.
      batch_size: images at a time on each device.

    Raises:
      UserError: naming the fields, if it is more than the machine has.
    """
    cells = sum(math.prod(shape) for shape in shapes.values())
    thresholds = sum(
        VALUE * units * kept_rows(top_quantile, height * width * images) for height, width, units in shapes.values()
    )
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
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # of control groups, version 2 and 1
        path = Path("/sys/fs/cgroup") / name
        text = path.read_text().strip() if path.is_file() else "max"
        limits += [int(text)] if text.isdigit() else []
    return min(limits)
