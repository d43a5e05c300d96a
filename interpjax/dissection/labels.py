"""The labels of an image as bits, tile by tile: only the concepts that occur in a tile take any room."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int, Integer, UInt32, UInt64

from interpjax.dissection.tile_tables import TILE, grid_of
from interpjax.dissection.tiles import pack


@dataclasses.dataclass(frozen=True)
class ConceptColumns:
    """How concepts are counted.

    Attributes:
      numbers: label number of each column of the tally.
      category_of: primary category of each column.
      num_categories: how many categories there are.
    """

    numbers: Int[np.ndarray, " concepts"]
    category_of: Int[np.ndarray, " concepts"]
    num_categories: int

    @functools.cached_property
    def column_of(self) -> dict[int, int]:
        """The column of each label number; 0, for unlabelled, has none."""
        return {number: column for column, number in enumerate(self.numbers.tolist()) if number}

    @classmethod
    def of(cls, concepts: pd.DataFrame, categories: Sequence[str]) -> "ConceptColumns":
        """From a table of concepts, with their ``number`` and primary ``category``, and all categories in order."""
        category_of = np.array([categories.index(category) for category in concepts["category"]])
        return cls(concepts["number"].to_numpy(), category_of, len(categories))

    def __post_init__(self) -> None:
        if (np.diff(self.numbers) <= 0).any():
            raise ValueError("concepts: label numbers must rise from row to row")


@dataclasses.dataclass(frozen=True)
class ImageLabels:
    """Which pixels of an image carry which concept: an entry for each tile and each concept that occurs in it.

    The labels do not depend on the units, so one of these serves all layers.

    Attributes:
      tile: number of each entry's tile, rising.
      column: its concept, a column of the tally.
      words: the pixels of the tile that carry it.
      categories: which categories the image carries a label of.
      shape: (height, width) of the label maps.
    """

    tile: Int[np.ndarray, " entries"]
    column: Int[np.ndarray, " entries"]
    words: UInt32[np.ndarray, "entries 2"]
    categories: Bool[np.ndarray, " categories"]
    shape: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Bytes of all of it."""
        return self.tile.nbytes + self.column.nbytes + self.words.nbytes + self.categories.nbytes


def image_labels(
    channels: Iterable[Integer[np.ndarray, "height width"] | int], shape: tuple[int, int], concepts: ConceptColumns
) -> ImageLabels:
    """Pools the channels of an image: a pixel carries a concept if any channel says so, and counts once.

    Args:
      channels: label numbers, 0 where unlabelled; an integer labels every pixel.
      shape: (height, width) of the label maps.
      concepts: what is counted where; labels that are no concept are left out.
    """
    planes: dict[int, np.ndarray] = {}
    for channel in channels:
        for column, plane in _planes(channel, shape, concepts):
            planes[column] = planes[column] | plane if column in planes else plane
    columns = np.array(sorted(planes), np.int32)
    packed = np.array([planes[column] for column in columns.tolist()], "<u8")
    pixels = packed.reshape(len(columns), len(_all_pixels(shape))).T.reshape(-1)  # tile by tile
    entries = np.flatnonzero(pixels != 0)
    tile, present = np.divmod(entries, max(len(columns), 1))
    categories = np.zeros(concepts.num_categories, bool)
    categories[concepts.category_of[columns]] = True
    words = pixels[entries].view("<u4").reshape(-1, 2)
    return ImageLabels(tile.astype(np.int32), columns[present], words, categories, shape)


def _planes(
    channel: Integer[np.ndarray, "height width"] | int, shape: tuple[int, int], concepts: ConceptColumns
) -> Iterable[tuple[int, UInt64[np.ndarray, " tiles"]]]:
    """The pixels that a channel labels as each concept it has: for each tile a number with the bits of :func:`pack`."""
    if isinstance(channel, int):
        return [(concepts.column_of[channel], _all_pixels(shape))] if channel in concepts.column_of else []
    # Brought into the order of tiles before there are planes, of which there are many.
    pixels = _by_tile(channel)
    numbers = [number for number in np.flatnonzero(np.bincount(pixels)).tolist() if number in concepts.column_of]
    planes = pixels == np.array(numbers, pixels.dtype)[:, None]
    packed = np.packbits(planes, axis=1, bitorder="little").view("<u8")
    return zip([concepts.column_of[number] for number in numbers], packed, strict=True)


def _by_tile(channel: Integer[np.ndarray, "height width"]) -> Integer[np.ndarray, " pixels"]:
    """The pixels tile by tile, and 0 for those of tiles that are outside of the channel."""
    height, width = channel.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    if (height, width) != (rows * TILE, columns * TILE):
        channel = np.pad(channel, ((0, rows * TILE - height), (0, columns * TILE - width)))
    lines = np.ascontiguousarray(channel).view(f"V{TILE * channel.itemsize}")  # moved in one piece: much faster
    return lines.reshape(rows, TILE, columns).swapaxes(1, 2).reshape(-1).view(channel.dtype)


@functools.cache
def _all_pixels(shape: tuple[int, int]) -> UInt64[np.ndarray, " tiles"]:
    return pack(np.ones((1, *shape), bool)).reshape(-1).view("<u8")


@dataclasses.dataclass(frozen=True)
class BatchLabels:
    """The labels of a batch of images, whose tiles are numbered in a grid that all of them fit in.

    Attributes:
      start: where the entries of each tile of each image start, image by image; one more, where the last stop.
      column: as of :class:`ImageLabels`.
      words: as of :class:`ImageLabels`.
      categories: as of :class:`ImageLabels`.
      shapes: the label shapes that occur, each once.
      shape: number of each image's among them; −1 for images that do not count, which have no entry.
      grid: (rows, columns) of tiles.
    """

    start: Int[np.ndarray, " tiles_and_one"]
    column: Int[np.ndarray, " entries"]
    words: UInt32[np.ndarray, "entries 2"]
    categories: Bool[np.ndarray, "n categories"]
    shapes: tuple[tuple[int, int], ...]
    shape: Int[np.ndarray, " n"]
    grid: tuple[int, int]

    def pairs(
        self, tile_image: Int[np.ndarray, " chosen"]
    ) -> tuple[Int[np.ndarray, " pairs"], UInt32[np.ndarray, "pairs 2"], Int[np.ndarray, " pairs"]]:
        """Each chosen tile with each of its entries: its place among the chosen, the pixels, and the concept.

        Args:
          tile_image: numbers of tiles, of each image by image: tile · images + image.
        """
        start = self.start.astype(np.int32)
        begin = start[:-1].reshape(len(self.shape), -1).T.reshape(-1)
        count = np.diff(start).reshape(len(self.shape), -1).T.reshape(-1)[tile_image]
        place = np.repeat(np.arange(len(count), dtype=np.int32), count)
        past = np.cumsum(count, dtype=np.int32) - count
        entry = np.arange(len(place), dtype=np.int32) + np.repeat(begin[tile_image] - past, count)
        words = self.words.view(np.uint64)[entry].view(np.uint32)  # as one number each: much faster
        return place, words.reshape(-1, 2), self.column[entry]

    def tile_of_image(self, tile: Int[np.ndarray, " chosen"]) -> Int[np.ndarray, " chosen"]:
        """Numbers of tiles in the images' own label maps, from those of :class:`~.tile_tables.Tiles`."""
        rows, columns = self.grid
        own_columns = np.array([-(-width // TILE) for _, width in self.shapes], np.int32)
        return tile // columns % rows * own_columns[tile // (rows * columns)] + tile % columns

    def tile_of_grid(
        self, image: Int[np.ndarray, " chosen"], tile: Int[np.ndarray, " chosen"]
    ) -> Int[np.ndarray, " chosen"]:
        """Numbers of tiles in the common grid, for :meth:`pairs`, from those in each image's own label map."""
        own_columns = np.array([-(-width // TILE) for _, width in self.shapes], np.int32)[self.shape[image]]
        return tile // own_columns * np.int32(self.grid[1]) + tile % own_columns


def batch_labels(labels: Sequence[ImageLabels | None]) -> BatchLabels:
    """The labels of a batch.

    Args:
      labels: of each image; None stands for one that does not count.

    Raises:
      ValueError: if no image counts.
    """
    members = [(place, own) for place, own in enumerate(labels) if own is not None]
    if not members:
        raise ValueError(f"labels: none of {len(labels)} images counts; expected one at least")
    shapes = tuple(sorted({own.shape for _, own in members}))
    rows, columns = grid_of(shapes)
    tiles = []
    categories = np.zeros((len(labels), len(members[0][1].categories)), bool)
    shape = np.full(len(labels), -1, np.int32)
    for place, own in members:
        row, column = np.divmod(own.tile, -(-own.shape[1] // TILE))
        tiles.append((place * rows + row) * columns + column)
        categories[place], shape[place] = own.categories, shapes.index(own.shape)
    return BatchLabels(
        start=np.searchsorted(np.concatenate(tiles), np.arange(len(labels) * rows * columns + 1)),
        column=np.concatenate([own.column for _, own in members]),
        words=np.concatenate([own.words for _, own in members]),
        categories=categories,
        shapes=shapes,
        shape=shape,
        grid=(rows, columns),
    )
