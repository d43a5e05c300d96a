"""Counting pixels: where a unit is above its threshold, where a concept is, and where both are."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from interpjax.dissection import tiles as tiles_lib
from interpjax.dissection.labels import BatchLabels, ConceptColumns, ImageLabels
from interpjax.dissection.protocol import Protocol
from interpjax.dissection.tiles import BLOCK
from interpjax.dissection.upsampling import FieldMap, resampling

# Masks are counted in chunks of these sizes (multiples of a block), so that few shapes are compiled.
CHUNKS = (16384, 2048)
PAIRS = 4  # (mask, concept in its tile) pairs that a chunk has room for, a mask


class LabelTally:
    """Pixels of each concept and of all images; the same for every layer."""

    def __init__(self, concepts: int):
        self.label_area = np.zeros(concepts, np.int64)
        self.pixels = 0

    def add(self, labels: ImageLabels) -> None:
        """Counts one image."""
        np.add.at(self.label_area, labels.column, np.bitwise_count(labels.words).sum(axis=1, dtype=np.int64))
        self.pixels += labels.shape[0] * labels.shape[1]


class Chunk(NamedTuple):
    """Some active tiles of a batch, each with the concepts that occur in it; filled up to a fixed size.

    Attributes:
      image: of each mask.
      unit: of each mask.
      threshold: of that unit; infinite in what fills up, whose masks so are empty.
      tile: of each block of masks.
      place: of each pair of a mask and a concept, which mask it is.
      words: the concept's pixels in the tile; none in what fills up.
      column: the concept.
    """

    image: np.ndarray
    unit: np.ndarray
    threshold: np.ndarray
    tile: np.ndarray
    place: np.ndarray
    words: np.ndarray
    column: np.ndarray


class UnitTally:
    """Pixels of each unit's mask, and of its intersection with each concept, summed over images."""

    def __init__(
        self,
        thresholds: Float[np.ndarray, " units"],
        concepts: ConceptColumns,
        protocol: Protocol,
        fieldmap: FieldMap | None = None,
    ):
        """Starts with no pixels.

        Args:
          thresholds: of the units, float64.
          concepts: what is counted where.
          protocol: how to upsample and which images count.
          fieldmap: of the layer, for protocols that use it.
        """
        self.thresholds = thresholds
        self.intersection = np.zeros((len(thresholds), len(concepts.numbers)), np.int64)
        self.area_by_category = np.zeros((len(thresholds), concepts.num_categories), np.int64)
        self._concepts, self._protocol, self._fieldmap = concepts, protocol, fieldmap

    def add(
        self, intersection: Int[np.ndarray, "units concepts"], area_by_category: Int[np.ndarray, "units categories"]
    ) -> None:
        """Adds what was counted somewhere."""
        self.intersection += intersection
        self.area_by_category += area_by_category

    def count(
        self, maps: Float[Array, "n h w units"], labels: list[BatchLabels], image_shape: tuple[int, int]
    ) -> tuple[Int[np.ndarray, "units concepts"], Int[np.ndarray, "units categories"]]:
        """Counts a batch, on the device where the maps are; for :meth:`add`.

        Args:
          maps: activations.
          labels: of the images, by label shape.
          image_shape: (height, width) of the network's input.
        """
        intersection, area = np.zeros_like(self.intersection), np.zeros_like(self.area_by_category)
        with jax.enable_x64(True):
            maps = maps if maps.dtype == jnp.float64 else jnp.asarray(maps, jnp.float32)
            for part in labels:
                own = self._count(maps, part, image_shape)
                intersection, area = intersection + own[0], area + own[1]
        return intersection, area

    def _count(self, maps: Array, labels: BatchLabels, image_shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        how = resampling(self._protocol.upsampling, maps.shape[1:3], labels.shape, image_shape, self._fieldmap)
        tiles = tiles_lib.cut(how)
        rounded_down = round_down(self.thresholds, maps.dtype)
        active = tiles_lib.active_tiles(tiles, maps, rounded_down, labels.counted, skip_below=self._protocol.skip_below)
        images, units, categories = len(maps), len(self.thresholds), self._concepts.num_categories
        totals = (
            jnp.zeros((len(self._concepts.numbers), units), jnp.int32),
            jnp.zeros((images, units), jnp.int32),
            jnp.zeros((images, units, categories if self._protocol.unit_area == "touched" else 0), bool),
        )
        numbers = np.flatnonzero(active).astype(np.int32 if active.size < 2**31 else np.int64)
        for chunk in _chunks(numbers, self.thresholds, images, tiles.grid[0] * tiles.grid[1], labels):
            cells = tiles_lib.cells(tiles, maps, chunk.image, chunk.tile, chunk.unit)
            masks = tiles_lib.masks(tiles, cells, chunk.tile, chunk.threshold)
            totals = _add(masks, self._concepts.category_of, chunk, totals)
        intersection, area, touched = map(np.asarray, totals)
        return intersection.T, self._area_by_category(area.astype(np.int64), touched, labels)

    def _area_by_category(self, area: np.ndarray, touched: np.ndarray, labels: BatchLabels) -> np.ndarray:
        if self._protocol.unit_area == "touched":
            return np.einsum("nu,nuc->uc", area, touched)
        counts = np.ones_like(labels.categories) if self._protocol.unit_area == "all" else labels.categories
        return area.T @ counts.astype(np.int64)


def round_down(thresholds: Float[np.ndarray, " units"], dtype: np.dtype) -> Float[np.ndarray, " units"]:
    """The largest numbers of ``dtype`` not above the thresholds: a number of that dtype exceeds both or none."""
    rounded = thresholds.astype(dtype)
    return np.where(rounded > thresholds, np.nextafter(rounded, dtype.type(-np.inf)), rounded)


def iou(
    intersection: Int[np.ndarray, "units concepts"],
    unit_area: Int[np.ndarray, "units concepts"],
    label_area: Int[np.ndarray, " concepts"],
) -> Float[np.ndarray, "units concepts"]:
    """Intersection over union of summed pixel counts; 0 where both are empty."""
    union = unit_area + label_area - intersection
    return np.divide(intersection, union, out=np.zeros(union.shape), where=union > 0)


def _chunks(
    active: np.ndarray, thresholds: np.ndarray, images: int, tiles: int, labels: BatchLabels
) -> Iterator[Chunk]:
    """Active tiles (tile by tile, image by image, unit by unit) with the concepts in them, cut to fixed sizes."""
    units = len(thresholds)
    tile = active // (images * units)
    rest = active - tile * (images * units)
    image = rest // units
    masks = np.bincount(tile, minlength=tiles)
    blocks = -(-masks // BLOCK)
    shift = np.cumsum(blocks * BLOCK) - blocks * BLOCK - (np.cumsum(masks) - masks)
    slot = np.arange(len(active), dtype=np.int32) + shift.astype(np.int32)[tile]  # each tile's begin a block
    size = int(blocks.sum()) * BLOCK
    all_images, all_units, threshold = np.zeros(size, np.int32), np.zeros(size, np.int32), np.full(size, np.inf)
    all_images[slot], all_units[slot] = image, rest - image * units
    threshold[slot] = thresholds[all_units[slot]]
    place, entry = labels.pairs(image * tiles + tile)
    every = (all_images, all_units, threshold, np.repeat(np.arange(tiles, dtype=np.int32), blocks))
    yield from _cut(every, (slot[place], labels.words[entry], labels.column[entry]))


def _cut(masks: tuple[np.ndarray, ...], pairs: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Iterator[Chunk]:
    (image, unit, threshold, tile), (place, words, column) = masks, pairs
    start = 0
    while start < len(image):
        size = next((size for size in CHUNKS if size <= len(image) - start), CHUNKS[-1])
        stop, first = min(start + size, len(image)), int(np.searchsorted(place, start))
        last = int(np.searchsorted(place, stop))
        room = PAIRS * size
        if last - first > room:  # fewer blocks; but for one there is always room
            stop = max(int(place[first + room]) // BLOCK * BLOCK, start + BLOCK)
            last = int(np.searchsorted(place, stop))
        while room < last - first:
            room *= 2
        fill, fill_pairs = size - (stop - start), room - (last - first)
        yield Chunk(
            np.pad(image[start:stop], (0, fill)).reshape(-1, BLOCK),
            np.pad(unit[start:stop], (0, fill)).reshape(-1, BLOCK),
            np.pad(threshold[start:stop], (0, fill), constant_values=np.inf).reshape(-1, BLOCK),
            np.pad(tile[start // BLOCK : stop // BLOCK], (0, fill // BLOCK)),
            np.pad(place[first:last] - np.int32(start), (0, fill_pairs)),
            np.pad(words[first:last], ((0, fill_pairs), (0, 0))),
            np.pad(column[first:last], (0, fill_pairs)),
        )
        start = stop


@functools.partial(jax.jit, donate_argnames="totals")
def _add(
    masks: Array, category_of: Array, chunk: Chunk, totals: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """Adds a chunk to the pixels shared with concepts, the masks' pixels, and the categories touched.

    int32 holds the pixels of a batch; the sums over batches are made in int64 on the host.
    """
    intersection, area, touched = totals
    masks, image, unit = masks.reshape(-1, 2), chunk.image.reshape(-1), chunk.unit.reshape(-1)
    shared = _pixels(masks[chunk.place] & chunk.words)
    intersection = intersection.at[chunk.column, unit[chunk.place]].add(shared)
    area = area.at[image, unit].add(_pixels(masks))
    if touched.shape[2]:
        places = image[chunk.place], unit[chunk.place], category_of[chunk.column]
        touched = touched.at[places].max(shared > 0)
    return intersection, area, touched


def _pixels(words: Array) -> Array:
    return jax.lax.population_count(words).sum(axis=-1, dtype=jnp.int32)
