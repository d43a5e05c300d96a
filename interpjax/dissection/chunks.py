"""The active tiles of a batch, listed in pieces of few sizes, so that few shapes are compiled."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

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
    order = np.arange(images, dtype=np.int32)
    if len(labels.shapes) > 1:  # images of one shape side by side, so that they share blocks
        order = np.argsort(labels.shape, kind="stable").astype(np.int32)
        active = active.reshape(tiles, images, units)[:, order].reshape(tiles, maps)
    step = max(1, AT_A_TIME // maps)
    for start in range(0, tiles, step):
        image, unit = np.divmod(np.flatnonzero(active[start : start + step]).astype(np.int32), np.int32(units))
        own, image = np.divmod(image, np.int32(images))
        image = order[image]
        tile = np.int32(start) + own + labels.shape[image] * np.int32(tiles)
        yield from chunks_of(tile, image * np.int32(units) + unit, units, labels)


def chunks_of(
    tile: Int[np.ndarray, " masks"], number: Int[np.ndarray, " masks"], units: int, labels: BatchLabels
) -> Iterator[Chunk]:
    """The chunks of some masks, in their order but for what fills up.

    Args:
      tile: of each mask; those of one tile side by side.
      number: of each mask, by image and unit.
      units: how many there are.
      labels: of the images.
    """
    first = np.flatnonzero(np.diff(tile, prepend=-1))  # of each tile's masks
    masks = np.diff(first, append=len(tile))
    blocks = -(-masks // BLOCK)
    shift = np.cumsum(blocks * BLOCK) - blocks * BLOCK - first
    # Each tile's masks begin a block.
    slot = np.arange(len(tile), dtype=np.int32) + np.repeat(shift.astype(np.int32), masks)
    filled = np.full(int(blocks.sum()) * BLOCK, -1, np.int32)
    filled[slot] = number
    rows, columns = labels.grid
    place, words, column = labels.pairs(tile % np.int32(rows * columns) * len(labels.shape) + number // np.int32(units))
    yield from _cut(filled, np.repeat(tile[first], blocks), (slot[place], words, column))


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
