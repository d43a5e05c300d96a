"""Masks of units on images, as bits in tiles: only what holds a pixel takes any room.

Whoever needs more than the sums over images – groups, counts by image, labels shuffled between images – counts these.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt32

from interpjax.dissection.labels import ImageLabels


class Masks(NamedTuple):
    """Masks of one layer's units on the images of a batch: a record for each tile in which a mask has a pixel.

    Records are sorted by image, then by tile, then by unit; none is there twice.

    Attributes:
      image: place of the image in its batch.
      unit: number of the unit (or of the group of units).
      tile: number of the tile, row by row, in the image's own label map.
      words: pixels of the tile that are in the mask, in the bits of :func:`interpjax.dissection.tiles.pack`.
    """

    image: Int[np.ndarray, " records"]
    unit: Int[np.ndarray, " records"]
    tile: Int[np.ndarray, " records"]
    words: UInt32[np.ndarray, "records 2"]


class MaskedBatch(NamedTuple):
    """Images with their labels and with the masks of every unit on them.

    Attributes:
      numbers: of the images' records in the data.
      labels: of each image.
      masks: by layer.
    """

    numbers: Int[np.ndarray, " images"]
    labels: Sequence[ImageLabels]
    masks: Mapping[str, Masks]


def sorted_masks(
    number: Int[np.ndarray, " records"],
    tile: Int[np.ndarray, " records"],
    words: UInt32[np.ndarray, "records 2"],
    units: int,
) -> Masks:
    """Masks of records in any order, of which some may be of the same tile, or empty.

    Args:
      number: of the mask, image · units + unit.
      tile: its tile.
      words: some of its pixels there.
      units: how many there are.
    """
    bits = np.ascontiguousarray(words).view(np.uint64).reshape(-1)
    held = bits != 0
    image, unit = np.divmod(number[held].astype(np.int64), units)
    tiles = int(tile.max(initial=0)) + 1
    place = (image * tiles + tile[held]) * units + unit
    order = np.argsort(place, kind="stable")
    first = np.flatnonzero(np.diff(place[order], prepend=-1))
    joined = np.bitwise_or.reduceat(bits[held][order], first) if len(first) else bits[:0]
    image, rest = np.divmod(place[order][first], tiles * units)
    return Masks(
        image=image.astype(np.int32),
        unit=(rest % units).astype(np.int32),
        tile=(rest // units).astype(np.int32),
        words=joined.view(np.uint32).reshape(-1, 2),
    )
