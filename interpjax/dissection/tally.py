"""Counting pixels: where a unit is above its threshold, where a concept is, and where both are.

Numbers nearer to 0 than float32's smallest normal one, 1.2e-38, may count as 0, since XLA computes with them so.
"""

import functools
import threading
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from interpjax.dissection import tile_tables
from interpjax.dissection import tiles as tiles_lib
from interpjax.dissection.chunks import Chunk, list_chunks
from interpjax.dissection.labels import BatchLabels, ConceptColumns, ImageLabels, batch_labels
from interpjax.dissection.passes import State, Work
from interpjax.dissection.protocol import Protocol
from interpjax.dissection.upsampling import FieldMap, resampling


class LabelTally:
    """Pixels of each concept and of all images; the same for every layer."""

    def __init__(self, concepts: int):
        self.label_area = np.zeros(concepts, np.int64)
        self.pixels = 0

    def add(self, labels: ImageLabels) -> None:
        """Counts one image."""
        np.add.at(self.label_area, labels.column, np.bitwise_count(labels.words).sum(axis=1, dtype=np.int64))
        self.pixels += labels.shape[0] * labels.shape[1]


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
        self, maps: Float[Array, "n h w units"], labels: BatchLabels, image_shape: tuple[int, int]
    ) -> tuple[Int[np.ndarray, "units concepts"], Int[np.ndarray, "units categories"]]:
        """Counts a batch, on the device where the maps are; for :meth:`add`.

        Args:
          maps: activations.
          labels: of the images.
          image_shape: (height, width) of the network's input.
        """
        with jax.enable_x64(True):
            maps = maps if maps.dtype == jnp.float64 else jnp.asarray(maps, jnp.float32)
            return self._count(maps, labels, image_shape)

    def _count(self, maps: Array, labels: BatchLabels, image_shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        method, map_shape, fieldmap = self._protocol.upsampling, maps.shape[1:3], self._fieldmap
        hows = tuple(resampling(method, map_shape, shape, image_shape, fieldmap) for shape in labels.shapes)
        tiles = tile_tables.cut(hows, len(maps))
        maps = maps.astype(jnp.float32) if hows[0].rounded else maps
        rounded_down = round_down(self.thresholds, maps.dtype)
        active = tiles_lib.active_tiles(tiles, maps, rounded_down, labels.shape, skip_below=self._protocol.skip_below)
        images, units, categories = len(maps), len(self.thresholds), self._concepts.num_categories
        totals = (
            jnp.zeros((len(self._concepts.numbers), units), sum_dtype(images, labels.shapes)),
            jnp.zeros((images, units), jnp.int32),
            jnp.zeros((images, units, categories if self._protocol.unit_area == "touched" else 0), bool),
        )
        for chunk in list_chunks(np.asarray(active).reshape(-1, images * units), units, labels):
            cells, limits = _gather(tiles, maps, self.thresholds, chunk)
            (masks,) = tiles_lib.masks(tiles, cells, chunk.tile, [limits])
            totals = _add(masks, self._concepts.category_of, chunk, totals)
        intersection, area, touched = map(np.asarray, totals)
        return intersection.T, self._area_by_category(area.astype(np.int64), touched, labels)

    def _area_by_category(self, area: np.ndarray, touched: np.ndarray, labels: BatchLabels) -> np.ndarray:
        if self._protocol.unit_area == "touched":
            return np.einsum("nu,nuc->uc", area, touched)
        counts = np.ones_like(labels.categories) if self._protocol.unit_area == "all" else labels.categories
        return area.T @ counts.astype(np.int64)


class Counts:
    """Second pass: pixels of concepts, of units, and of both, for every protocol and layer at once."""

    def __init__(
        self,
        labellings: Sequence[ConceptColumns],
        protocols: Sequence[tuple[Protocol, int]],
        thresholds: Sequence[Mapping[str, Float[np.ndarray, " units"]]],
        fieldmaps: Mapping[str, FieldMap],
    ):
        """Starts with no pixels.

        Args:
          labellings: the ways of labelling.
          protocols: how to count, each with the number of its way of labelling.
          thresholds: of every layer, by each protocol.
          fieldmaps: by layer, of those that have one.
        """
        self._lock = threading.Lock()
        self.labels = [LabelTally(len(concepts.numbers)) for concepts in labellings]
        self.units = {
            (number, layer): (way, UnitTally(limits, labellings[way], protocol, fieldmaps.get(layer)))
            for number, (protocol, way) in enumerate(protocols)
            for layer, limits in thresholds[number].items()
        }

    def add(self, work: Work, maps: Mapping[str, Array]) -> None:
        """Takes a batch."""
        rows = len(next(iter(maps.values())))
        fill = [None] * (rows - len(work.numbers))
        batches = [batch_labels([*labels, *fill]) for labels in work.labels]
        with self._lock:
            for concepts, labels in zip(self.labels, work.labels, strict=True):
                for image in labels:
                    concepts.add(image)
        for (_, layer), (labelling, units) in self.units.items():
            counts = units.count(maps[layer], batches[labelling], work.image_shape)
            with self._lock:
                units.add(*counts)

    def state(self) -> State:
        """What has come so far."""
        labels = {f"labels|{n}|area": tally.label_area for n, tally in enumerate(self.labels)}
        pixels = {f"labels|{n}|pixels": np.array(tally.pixels) for n, tally in enumerate(self.labels)}
        units = {}
        for (protocol, layer), (_, tally) in self.units.items():
            units[f"units|{protocol}|{layer}|intersection"] = tally.intersection
            units[f"units|{protocol}|{layer}|area"] = tally.area_by_category
        return labels | pixels | units

    def merge(self, state: State) -> None:
        """Takes what another one has seen."""
        for number, labels in enumerate(self.labels):
            labels.label_area += state[f"labels|{number}|area"]
            labels.pixels += int(state[f"labels|{number}|pixels"])
        for (protocol, layer), (_, tally) in self.units.items():
            prefix = f"units|{protocol}|{layer}"
            tally.add(state[f"{prefix}|intersection"], state[f"{prefix}|area"])


def round_down(thresholds: Float[np.ndarray, " units"], dtype: np.dtype) -> Float[np.ndarray, " units"]:
    """The largest numbers of ``dtype`` not above the thresholds: a number of that dtype exceeds both or none."""
    rounded = thresholds.astype(dtype)
    return np.where(rounded > thresholds, np.nextafter(rounded, dtype.type(-np.inf)), rounded)


def sum_dtype(images: int, shapes: Sequence[tuple[int, int]]) -> type:
    """What holds the pixels of so many label maps of any of some shapes; sums in int64 are slower."""
    return np.int32 if images * max(height * width for height, width in shapes) < 2**31 else np.int64


def iou(
    intersection: Int[np.ndarray, "units concepts"],
    unit_area: Int[np.ndarray, "units concepts"],
    label_area: Int[np.ndarray, " concepts"],
) -> Float[np.ndarray, "units concepts"]:
    """Intersection over union of summed pixel counts; 0 where both are empty."""
    union = unit_area + label_area - intersection
    return np.divide(intersection, union, out=np.zeros(union.shape), where=union > 0)


@jax.jit
def _gather(tiles: tile_tables.Tiles, maps: Array, thresholds: Array, chunk: Chunk) -> tuple[Array, Array]:
    """The cells of a chunk's masks, and their thresholds: infinite in what fills up, whose masks so are empty."""
    image, unit = _image_and_unit(chunk.number, maps.shape[-1])
    limits = jnp.where(chunk.number < 0, np.inf, jnp.asarray(thresholds)[unit])
    return tiles_lib.cells(tiles, maps, image, chunk.tile, unit), limits


def _image_and_unit(number: Array | np.ndarray, units: int) -> tuple[Array, Array]:
    own, by = jnp.maximum(number, 0), np.int32(units)
    # Kept from being made again for each cell that is read.
    return jax.lax.optimization_barrier((jax.lax.div(own, by), jax.lax.rem(own, by)))


@functools.partial(jax.jit, donate_argnames="totals")
def _add(
    masks: Array, category_of: Array, chunk: Chunk, totals: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """Adds a chunk to the pixels shared with concepts, the masks' pixels, and the categories touched.

    The sums over batches are made in int64 on the host.
    """
    intersection, area, touched = totals
    masks, (image, unit) = masks.reshape(-1, 2), _image_and_unit(chunk.number.reshape(-1), area.shape[1])
    shared = _pixels(masks[chunk.place] & chunk.words)
    intersection = intersection.at[chunk.column, unit[chunk.place]].add(shared.astype(intersection.dtype))
    area = area.at[image, unit].add(_pixels(masks))
    if touched.shape[2]:
        places = image[chunk.place], unit[chunk.place], category_of[chunk.column]
        touched = touched.at[places].max(shared > 0)
    return intersection, area, touched


def _pixels(words: Array) -> Array:
    return jax.lax.population_count(words).sum(axis=-1, dtype=jnp.int32)
