"""Estimates how much memory a run takes: its batches and parameters, and a dissection's thresholds and maps."""

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path

import jax
from jaxtyping import PyTree
from ml_collections import ConfigDict

from interpjax import parallel
from interpjax.data.pipeline import PREFETCH
from interpjax.dissection.brackets import GROWTH, Z
from interpjax.dissection.passes import BATCHES_AT_A_TIME
from interpjax.errors import UserError

CHANNELS = 3
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


def check_batch(config: ConfigDict) -> None:
    """Checks that a batch of training, as bytes and as floats, fits into this machine, with what is decoded beside it.

    Args:
      config: the experiment.

    Raises:
      UserError: naming the fields, if this is more memory than the machine has.
    """
    data, batch_size = config.data, config.training.batch_size
    own = -(-batch_size // parallel.shard()[1])
    pixels = data.image_size**2 * (own * (1 + VALUE) + PREFETCH) + data.num_threads * data.resize_size**2
    _require_memory(
        CHANNELS * pixels,
        f"config.data.image_size = {data.image_size}, config.data.resize_size = {data.resize_size}, "
        f"config.data.num_threads = {data.num_threads}, config.training.batch_size = {batch_size}: a batch",
    )


def check_parameters(config: ConfigDict, params: PyTree) -> None:
    """Checks that the parameters of a network, with their gradients, fit into this machine.

    Args:
      config: the experiment.
      params: the network's parameters, or their shapes.

    Raises:
      UserError: naming the fields, if this is more memory than the machine has.
    """
    values = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    _require_memory(
        2 * VALUE * values,
        f"config.model.width = {config.model.width}, config.data.image_size = {config.data.image_size}: the "
        f"parameters of {config.model.name} and their gradients",
    )


def _require_memory(size: int, told: str) -> None:
    if size > machine_memory():
        raise UserError(
            f"{told} would take {_readable(size)}; expected less than the {_readable(machine_memory())} that this "
            "machine has"
        )


def machine_memory() -> int:
    """Bytes that this machine has, or that its container may use."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [whole]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # the limits of control groups, version 2 and 1
        path = Path("/sys/fs/cgroup") / name
        text = path.read_text().strip() if path.is_file() else "max"
        limits += [int(text)] if text.isdigit() else []
    return min(limits)
