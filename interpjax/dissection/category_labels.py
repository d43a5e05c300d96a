"""The labels of all images, category by category, so that those of any image can be looked up at once."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int, Integer, UInt64

from interpjax.dissection.labels import ConceptColumns, ImageLabels
from interpjax.dissection.masks import MaskedBatch
from interpjax.dissection.tiles import TILE


@dataclasses.dataclass(frozen=True, eq=False)
class CategoryLabels:
    """What one category's labels say of the images that are annotated in it: a concept of a tile takes 9 or 10 bytes.

    Attributes:
      columns: the category's columns of the tally.
      numbers: of the annotated images' records, rising; an image's *place* is its place among these.
      alike: places of the images whose label maps are of one shape, for each shape.
      first: number of each image's first tile, in a count through the tiles of all of them.
      start: where the entries of each tile start, and, at the end, where the last stop.
      column: of each entry, the concept's place in ``columns``.
      words: of each entry, the pixels of the tile that carry it.
    """

    columns: Int[np.ndarray, " columns"]
    numbers: Int[np.ndarray, " images"]
    alike: Sequence[Int[np.ndarray, " _"]]
    first: Int[np.ndarray, " images"]
    start: Int[np.ndarray, " tiles_and_one"]
    column: Integer[np.ndarray, " entries"]
    words: UInt64[np.ndarray, " entries"]

    def places(self, numbers: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The places of images, −1 where they are not annotated in this category."""
        if not self.numbers.size:
            return np.full(len(numbers), -1)
        place = np.minimum(np.searchsorted(self.numbers, numbers), len(self.numbers) - 1)
        return np.where(self.numbers[place] == numbers, place, -1)

    @functools.cached_property
    def area(self) -> Int[np.ndarray, " columns"]:
        """Pixels of each concept."""
        area = np.zeros(len(self.columns), np.int64)
        np.add.at(area, self.column, np.bitwise_count(self.words).astype(np.int64))
        return area


def collect_labels(batches: Iterable[MaskedBatch], concepts: ConceptColumns) -> list[CategoryLabels]:
    """The labels of all images of some batches, of each category.

    Raises:
      ValueError: if there is no image, or one is there twice.
    """
    parts = [_Parts(np.flatnonzero(concepts.category_of == c), c) for c in range(concepts.num_categories)]
    seen: list[np.ndarray] = []
    for batch in batches:
        if not len(batch.numbers):  # none of its images could be read
            continue
        seen.append(batch.numbers)
        entries = _Entries.of(batch.labels)
        for part in parts:
            part.add(batch, entries, concepts)
    numbers, times = np.unique(np.concatenate(seen) if seen else np.zeros(0, np.int64), return_counts=True)
    if not numbers.size:
        raise ValueError("batches: there is no image in them; expected the masks of two at least")
    if times.max() > 1:
        raise ValueError(f"batches: image {numbers[times.argmax()]} is in them twice; expected each image once")
    return [part.joined() for part in parts]


@dataclasses.dataclass(frozen=True, eq=False)
class _Entries:
    """The labels of a batch's images in one list, image by image and tile by tile."""

    image: np.ndarray
    tile: np.ndarray
    column: np.ndarray
    words: np.ndarray

    @classmethod
    def of(cls, labels: Sequence[ImageLabels]) -> "_Entries":
        image = np.repeat(np.arange(len(labels)), [len(own.tile) for own in labels])
        tile, column, words = (
            np.concatenate([getattr(own, name) for own in labels]) for name in ("tile", "column", "words")
        )
        return cls(image, tile, column, words.view(np.uint64)[:, 0])


class _Parts:
    """What came of one category, batch by batch."""

    def __init__(self, columns: np.ndarray, category: int):
        self._columns, self._category = columns, category
        self._kind = np.min_scalar_type(len(columns))  # one byte will do for most categories
        self._shapes: list[tuple[int, int]] = []
        self._arrays: dict[str, list[np.ndarray]] = {
            "numbers": [np.zeros(0, np.int64)],
            "tiles": [np.zeros(0, np.int64)],
            "counts": [np.zeros(0, np.uint16)],
            "column": [np.zeros(0, self._kind)],
            "words": [np.zeros(0, np.uint64)],
        }

    def add(self, batch: MaskedBatch, entries: _Entries, concepts: ConceptColumns) -> None:
        """Takes the category's share of a batch's labels."""
        annotated = np.array([own.categories[self._category] for own in batch.labels], bool)
        shapes = [own.shape for own, has in zip(batch.labels, annotated, strict=True) if has]
        tiles = np.array([-(-height // TILE) * -(-width // TILE) for height, width in shapes], np.int64)
        first = np.zeros(len(annotated), np.int64)
        first[annotated] = np.cumsum(tiles) - tiles
        chosen = concepts.category_of[entries.column] == self._category
        slots = first[entries.image[chosen]] + entries.tile[chosen]
        self._shapes += shapes
        self._arrays["numbers"].append(batch.numbers[annotated])
        self._arrays["tiles"].append(tiles)
        self._arrays["counts"].append(np.bincount(slots, minlength=tiles.sum()).astype(np.uint16))
        self._arrays["column"].append(np.searchsorted(self._columns, entries.column[chosen]).astype(self._kind))
        self._arrays["words"].append(entries.words[chosen])

    def joined(self) -> CategoryLabels:
        """All of it; the images in the order of their numbers, so that it does not matter how they came."""
        arrays = {name: np.concatenate(parts) for name, parts in self._arrays.items()}
        order = np.argsort(arrays["numbers"])
        of_shape: dict[tuple[int, int], list[int]] = {}
        for place, image in enumerate(order.tolist()):
            of_shape.setdefault(self._shapes[image], []).append(place)
        start = np.zeros(len(arrays["counts"]) + 1, np.int64)
        np.cumsum(arrays["counts"], out=start[1:], dtype=np.int64)
        return CategoryLabels(
            columns=self._columns,
            numbers=arrays["numbers"][order],
            alike=[np.array(members) for members in of_shape.values()],
            first=(np.cumsum(arrays["tiles"]) - arrays["tiles"])[order],
            start=start,
            column=arrays["column"],
            words=arrays["words"],
        )
