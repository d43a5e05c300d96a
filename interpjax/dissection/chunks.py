"""The active tiles of a batch, listed in pieces of few sizes, so that few shapes are compiled."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from interpjax.dissection.labels import BatchLabels
from interpjax.dissection.tiles import BLOCK

# Masks are counted in chunks of these sizes (multiples of a block).
CHUNKS = (16384, 2048)
PAIRS = 4  # (mask, concept in its tile) pairs that a chunk has room for, a mask
AT_A_TIME = 2**21  # tiles of a batch, all units and images, whose active ones are listed together


class Chunk(NamedTuple):
    """Some active tiles of a batch, each with the concepts that occur in it; filled up to a fixed size.

    Attributes:
      number: of each mask, by image and unit; −1 in what fills up.
      tile: of each block of masks.
      place: of each pair of a mask and a concept, which mask it is.
      words: the concept's pixels in the tile; none in what fills up.
      column: the concept.
    """

    number: np.ndarray
    tile: np.ndarray
    place: np.ndarray
    words: np.ndarray
    column: np.ndarray


def list_chunks(active: Bool[np.ndarray, "tiles images_units"], units: int, labels: BatchLabels) -> Iterator[Chunk]:
    """Active tiles with the concepts in them, cut to fixed sizes; those of some tiles after those of others.

    Args:
      active: which tiles may hold pixels of a mask, for every image and unit.
      units: how many there are.
      labels: of the images.
    """
    tiles, maps = active.shape
    images = maps // units
    order, first = np.arange(images, dtype=np.int32), np.zeros(1, int)
    if len(labels.shapes) > 1:  # images of one shape side by side, so that they share blocks
        order = np.argsort(labels.shape, kind="stable").astype(np.int32)
        active = active.reshape(tiles, images, units)[:, order].reshape(tiles, maps)
        first = np.searchsorted(labels.shape[order], np.arange(len(labels.shapes))) * units
        first[0] = 0  # nothing is active in images that do not count
    step = max(1, AT_A_TIME // maps)
    for start in range(0, tiles, step):
        stop = min(start + step, tiles)
        found = np.flatnonzero(active[start:stop]).astype(np.int32)
        bounds = np.append(np.add.outer(np.arange(stop - start) * maps, first), (stop - start) * maps)
        masks = np.diff(np.searchsorted(found, bounds))
        blocks = -(-masks // BLOCK)
        numbers = np.add.outer(np.arange(start, stop), np.arange(len(first)) * tiles).astype(np.int32)
        tile = np.repeat(numbers.ravel(), blocks)
        shift = np.cumsum(blocks * BLOCK) - blocks * BLOCK - (np.cumsum(masks) - masks)
        # Each tile's masks begin a block, for each label shape.
        slot = np.arange(len(found), dtype=np.int32) + np.repeat(shift.astype(np.int32), masks)
        image, unit = np.divmod(found, np.int32(units))
        own, image = np.divmod(image, np.int32(images))
        image = order[image]
        number = np.full(len(tile) * BLOCK, -1, np.int32)
        number[slot] = image * np.int32(units) + unit
        place, words, column = labels.pairs((start + own) * images + image)
        yield from _cut(number, tile, (slot[place], words, column))


def _cut(number: np.ndarray, tile: np.ndarray, pairs: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Iterator[Chunk]:
    place, words, column = pairs
    start = 0
    while start < len(number):
        size = next((size for size in CHUNKS if size // 2 < len(number) - start), CHUNKS[-1])
        stop, first = min(start + size, len(number)), int(np.searchsorted(place, start))
        last = int(np.searchsorted(place, stop))
        if last - first > PAIRS * size:  # fewer blocks; but for one there is always room
            stop = max(int(place[first + PAIRS * size]) // BLOCK * BLOCK, start + BLOCK)
            last = int(np.searchsorted(place, stop))
        room = size
        while room < last - first:
            room *= 2
        yield Chunk(
            _fill(number[start:stop], size, -1).reshape(-1, BLOCK),
            _fill(tile[start // BLOCK : stop // BLOCK], size // BLOCK),
            _fill(place[first:last] - np.int32(start), room),
            _fill(words[first:last], room),
            _fill(column[first:last], room),
        )
        start = stop


def _fill(values: np.ndarray, size: int, value: int = 0) -> np.ndarray:
    """Filled up to a size; much faster than ``np.pad``."""
    filled = np.full((size, *values.shape[1:]), value, values.dtype)
    filled[: len(values)] = values
    return filled
