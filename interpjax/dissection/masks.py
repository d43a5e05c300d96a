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
