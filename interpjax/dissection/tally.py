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
from interpjax.dissection.upsampling import FieldMap, resampling

# A batch's tiles are counted in chunks of these sizes, so that few shapes are compiled.
CHUNKS = (16384, 2048)
PAIRS = 4  # (tile, concept in it) pairs that a chunk has room for, a tile


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
      image: of each tile.
      tile: its number.
      unit: its unit.
      tiles: how many there are; the rest fills up.
      place: of each pair of a tile and a concept, where the tile is.
      words: the concept's pixels in the tile; none in what fills up.
      column: the concept.
    """

    image: np.ndarray
    tile: np.ndarray
    unit: np.ndarray
    tiles: int
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
        for chunk in _chunks(np.flatnonzero(active), labels, units):
            cells = tiles_lib.cells(tiles, maps, chunk.image, chunk.tile, chunk.unit)
            masks = tiles_lib.masks(tiles, cells, chunk.tile, self.thresholds[chunk.unit])
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


def _chunks(active: np.ndarray, labels: BatchLabels, units: int) -> Iterator[Chunk]:
    """Active tiles (image by image, tile by tile, unit by unit) with the concepts in them, cut to fixed sizes."""
    image_tile, unit = np.divmod(active, units)
    tiles = (len(labels.start) - 1) // len(labels.counted)
    place, entry = labels.pairs(image_tile)
    stop_of = np.searchsorted(place, np.arange(len(active) + 1))  # where each tile's pairs start
    start = 0
    while start < len(active):
        size = next((size for size in CHUNKS if size <= len(active) - start), CHUNKS[-1])
        stop = min(start + size, len(active))
        room = int(np.searchsorted(stop_of, stop_of[start] + PAIRS * size, side="right")) - 1
        stop = min(stop, room)
        pairs = slice(stop_of[start], stop_of[stop])
        image, tile = np.divmod(image_tile[start:stop], tiles)
        fill, fill_pairs = size - (stop - start), PAIRS * size - (pairs.stop - pairs.start)
        yield Chunk(
            np.pad(image.astype(np.int32), (0, fill)),
            np.pad(tile.astype(np.int32), (0, fill)),
            np.pad(unit[start:stop].astype(np.int32), (0, fill)),
            stop - start,
            np.pad(place[pairs] - start, (0, fill_pairs)),
            np.pad(labels.words[entry[pairs]], ((0, fill_pairs), (0, 0))),
            np.pad(labels.column[entry[pairs]], (0, fill_pairs)),
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
    masks = jnp.where(jnp.arange(len(masks))[:, None] < chunk.tiles, masks, 0)
    shared = _pixels(masks[chunk.place] & chunk.words)
    unit = chunk.unit[chunk.place]
    intersection = intersection.at[chunk.column, unit].add(shared)
    area = area.at[chunk.image, chunk.unit].add(_pixels(masks))
    if touched.shape[2]:
        touched = touched.at[chunk.image[chunk.place], unit, category_of[chunk.column]].max(shared > 0)
    return intersection, area, touched


def _pixels(words: Array) -> Array:
    return jax.lax.population_count(words).sum(axis=-1, dtype=jnp.int32)
