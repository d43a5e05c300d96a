"""Counting pixels of a batch: where a unit is above its threshold, where a concept is, and where both are.

Thresholds need not be known yet: what is in a mask wherever the threshold lies between two limits is counted, and the
tiles of which that is not known are left for later.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from interpjax.dissection import tiles as tiles_lib
from interpjax.dissection.chunks import Chunk, chunks_of, list_chunks
from interpjax.dissection.labels import BatchLabels, ConceptColumns
from interpjax.dissection.leftover import Leftover
from interpjax.dissection.protocol import Protocol
from interpjax.dissection.tile_tables import Tiles, cut
from interpjax.dissection.undecided import Undecided
from interpjax.dissection.upsampling import FieldMap, resampling

Totals = tuple[Array, Array, Array]  # pixels shared with concepts, of masks, and the categories that masks touch


class Limits(NamedTuple):
    """Between what a layer's thresholds lie, float64; where both are equal, they are known."""

    lower: Float[np.ndarray, " units"]
    upper: Float[np.ndarray, " units"]


class Pixels(NamedTuple):
    """What was counted somewhere: of masks and concepts, and of masks in the images that count for each category."""

    intersection: Int[np.ndarray, "units concepts"]
    area_by_category: Int[np.ndarray, "units categories"]

    def __add__(self, other: tuple) -> "Pixels":
        return Pixels(self[0] + other[0], self[1] + other[1])


@dataclasses.dataclass(frozen=True, eq=False)
class Counting:
    """How a layer is counted by a protocol.

    Attributes:
      units: how many there are.
      concepts: what is counted where.
      protocol: how to upsample and which images count.
      fieldmap: of the layer, for protocols that use it.
    """

    units: int
    concepts: ConceptColumns
    protocol: Protocol
    fieldmap: FieldMap | None = None

    def nothing(self) -> Pixels:
        """No pixels."""
        sizes = len(self.concepts.numbers), self.concepts.num_categories
        return Pixels(*(np.zeros((self.units, size), np.int64) for size in sizes))

    def count(
        self,
        maps: Float[Array, "n h w units"],
        labels: BatchLabels,
        image_shape: tuple[int, int],
        limits: Limits,
        *,
        keep_masks: bool = False,
    ) -> tuple[Pixels, Undecided]:
        """Counts a batch, on the device where the maps are.

        Args:
          maps: activations, float32 or float64.
          labels: of the images.
          image_shape: (height, width) of the network's input.
          limits: of the thresholds.
          keep_masks: whether to keep the tiles that are counted as well.

        Returns:
          what is in a mask wherever its threshold lies; and what is left for :meth:`settle`.
        """
        map_shape = (maps.shape[1], maps.shape[2])
        tiles, sizes = self._tiles(map_shape, labels, image_shape), (map_shape, image_shape)
        left = Leftover(settled=bool((limits.lower == limits.upper).all()), keep_masks=keep_masks)
        with jax.enable_x64(True):  # so that float64 stays float64
            maps = maps.astype(jnp.float32) if tiles.layout.rounded else maps
            active = tiles_lib.active_tiles(
                tiles, maps, round_down(limits.lower, maps.dtype), labels.shape, skip_below=self.protocol.skip_below
            )
            maxima = maps.max(axis=(1, 2)) if self.protocol.skip_below and tiles.layout.overshoots else None
            totals = self._no_pixels(labels)
            for chunk in list_chunks(np.asarray(active).reshape(-1, len(maps) * self.units), self.units, labels):
                cells, own, caps = _gather(tiles, maps, limits, maxima, chunk.number, chunk.tile)
                sure, possible = tiles_lib.masks(tiles, cells, chunk.tile, own, caps)
                totals = _add(sure, self.concepts.category_of, chunk, totals)
                left.take(chunk, cells, sure, possible, caps)
        intersection, area, touched = map(np.array, totals)
        undecided = left.undecided(sizes, area, touched)
        area.reshape(-1)[undecided.open] = 0  # counted when all that the mask touches is known
        return self._pixels(intersection, area, touched, labels), undecided

    def settle(
        self, undecided: Undecided, labels: BatchLabels, thresholds: Float[np.ndarray, " units"]
    ) -> tuple[Pixels, UInt32[np.ndarray, "tiles 2"]]:
        """Counts what was undecided, now that the thresholds are known.

        Args:
          undecided: what :meth:`count` left.
          labels: of the batch's images.
          thresholds: of the units.

        Returns:
          the pixels to add; and of each undecided tile those that are in its mask and were not counted before.
        """
        map_shape, image_shape = ((int(height), int(width)) for height, width in undecided.shapes)
        tiles = self._tiles(map_shape, labels, image_shape)
        words = np.zeros_like(undecided.sure)
        with jax.enable_x64(True):
            totals, start = self._no_pixels(labels), 0
            for chunk in chunks_of(undecided.tile, undecided.number, self.units, labels):
                slots = np.flatnonzero(chunk.number.reshape(-1) >= 0)
                own = slice(start, start + len(slots))
                masks = _settled(tiles, undecided, own, chunk, thresholds)
                totals = _add(masks, self.concepts.category_of, chunk, totals)
                words[own], start = masks.reshape(-1, 2)[slots], own.stop
        intersection, area, touched = map(np.array, totals)
        if self._touches:
            area.reshape(-1)[undecided.open] += undecided.area
            touched.reshape(area.size, touched.shape[2])[undecided.open] |= undecided.touched
        return self._pixels(intersection, area, touched, labels), words

    @property
    def _touches(self) -> bool:
        return self.protocol.unit_area == "touched"

    def _tiles(self, map_shape: tuple[int, int], labels: BatchLabels, image_shape: tuple[int, int]) -> Tiles:
        method = self.protocol.upsampling
        hows = [resampling(method, map_shape, shape, image_shape, self.fieldmap) for shape in labels.shapes]
        return cut(tuple(hows), len(labels.shape))

    def _no_pixels(self, labels: BatchLabels) -> Totals:
        images, categories = len(labels.shape), self.concepts.num_categories
        return (
            jnp.zeros((len(self.concepts.numbers), self.units), sum_dtype(images, labels.shapes)),
            jnp.zeros((images, self.units), jnp.int32),
            jnp.zeros((images, self.units, categories if self._touches else 0), bool),
        )

    def _pixels(self, intersection: np.ndarray, area: np.ndarray, touched: np.ndarray, labels: BatchLabels) -> Pixels:
        area = area.astype(np.int64)
        if self._touches:
            return Pixels(intersection.T, np.einsum("nu,nuc->uc", area, touched))
        counts = np.ones_like(labels.categories) if self.protocol.unit_area == "all" else labels.categories
        return Pixels(intersection.T, area.T @ counts.astype(np.int64))


def _settled(
    tiles: Tiles, undecided: Undecided, own: slice, chunk: Chunk, thresholds: np.ndarray
) -> UInt32[np.ndarray, "blocks block 2"]:
    """The masks of a chunk's tiles, less what was counted; ``own`` are those tiles among the undecided ones."""
    blocks, block = chunk.number.shape
    slots = np.flatnonzero(chunk.number.reshape(-1) >= 0)

    def filled(values: np.ndarray, fill: float) -> np.ndarray:
        whole = np.full((blocks * block, *values.shape[1:]), fill, values.dtype)
        whole[slots] = values
        return whole.reshape(blocks, block, *values.shape[1:])

    cells = np.ascontiguousarray(filled(undecided.cells[own], 0).transpose(0, 2, 3, 1))
    limits = filled(thresholds[undecided.number[own] % len(thresholds)], np.inf)
    caps = filled(undecided.caps[own].astype(np.float64), np.inf) if len(undecided.caps) else None
    (masks,) = tiles_lib.masks(tiles, cells, chunk.tile, [limits], caps)
    return np.asarray(masks) & ~filled(undecided.sure[own], 0)


def round_down(thresholds: Float[np.ndarray, " units"], dtype: np.dtype) -> Float[np.ndarray, " units"]:
    """Numbers of ``dtype`` not above the thresholds, near them: what is not denormal exceeds both or none."""
    rounded = thresholds.astype(dtype)
    rounded = np.where(rounded > thresholds, np.nextafter(rounded, dtype.type(-np.inf)), rounded)
    # A device may take denormal numbers for 0; activations are none.
    tiny = np.finfo(dtype).tiny
    return np.where(np.abs(rounded) < tiny, np.where(rounded < 0, -tiny, dtype.type(0)), rounded)


def sum_dtype(images: int, shapes: Sequence[tuple[int, int]]) -> type:
    """What holds the pixels of so many label maps of these shapes; sums in int64 are slower."""
    return np.int32 if images * max(height * width for height, width in shapes) < 2**31 else np.int64


@jax.jit
def _gather(
    tiles: Tiles, maps: Array, limits: Limits, maxima: Array | None, number: Array, tile: Array
) -> tuple[Array, list[Array], Array | None]:
    """The cells of some masks, and their limits, the upper first: infinite in what fills up, which so is empty."""
    image, unit = _image_and_unit(number, maps.shape[-1])
    lower, upper = (jnp.where(number < 0, np.inf, jnp.asarray(values)[unit]) for values in limits)
    caps = None if maxima is None else maxima[image, unit].astype(jnp.float64)
    return tiles_lib.cells(tiles, maps, image, tile, unit), [upper, lower], caps


def _image_and_unit(number: Array | np.ndarray, units: int) -> tuple[Array, Array]:
    own, by = jnp.maximum(number, 0), np.int32(units)
    # Kept from being made again for each cell that is read.
    return jax.lax.optimization_barrier((jax.lax.div(own, by), jax.lax.rem(own, by)))


@functools.partial(jax.jit, donate_argnames="totals")
def _add(masks: Array, category_of: Array, chunk: Chunk, totals: Totals) -> Totals:
    """Adds a chunk to the pixels shared with concepts, the masks' pixels, and the categories touched.

    The sums over batches are made in int64 on the host.
    """
    intersection, area, touched = totals
    masks, (image, unit) = masks.reshape(-1, 2), _image_and_unit(chunk.number.reshape(-1), area.shape[1])
    shared = _set_bits(masks[chunk.place] & chunk.words)
    intersection = intersection.at[chunk.column, unit[chunk.place]].add(shared.astype(intersection.dtype))
    area = area.at[image, unit].add(_set_bits(masks))
    if touched.shape[2]:
        places = image[chunk.place], unit[chunk.place], category_of[chunk.column]
        touched = touched.at[places].max(shared > 0)
    return intersection, area, touched


def _set_bits(words: Array) -> Array:
    return jax.lax.population_count(words).sum(axis=-1, dtype=jnp.int32)
