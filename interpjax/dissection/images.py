"""Pixels by image: what masks and concepts share on each image, so that images can be weighed anew.

Sums over images hide how much they hang on a few of them. A bootstrap draws images again and again, and needs the
counts of each; most are 0, so they are kept in sparse matrices with a row per image.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Int, Num
from scipy import sparse

from interpjax.dissection import npz
from interpjax.dissection.labels import BatchLabels, ConceptColumns, ImageLabels, batch_labels
from interpjax.dissection.masks import MaskedBatch, Masks
from interpjax.dissection.protocol import Protocol

MATRICES = ("intersection", "unit_area", "label_area")
CSR = ("data", "indices", "indptr")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ImageCounts:
    """Counts by image of one layer: N images, K units, C concepts. Two are equal if all numbers in them are.

    Attributes:
      numbers: [N] of the images' records in the data, rising.
      pixels: [N] label pixels of each image.
      intersection: [N, K · C] pixels that a unit's mask shares with a concept, in column unit · C + concept.
      unit_area: [N, K · categories] pixels of a unit's mask if they count in the union with the concepts of a
        category, by the protocol's ``unit_area``, in column unit · categories + category.
      label_area: [N, C] pixels of each concept.
      category_of: [C] the primary category of each concept.
    """

    numbers: Int[np.ndarray, " images"]
    pixels: Int[np.ndarray, " images"]
    intersection: sparse.csr_array
    unit_area: sparse.csr_array
    label_area: sparse.csr_array
    category_of: Int[np.ndarray, " concepts"]

    def __repr__(self) -> str:
        return f"ImageCounts({len(self.numbers)} images, {self.units} units, {len(self.category_of)} concepts)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImageCounts):
            return NotImplemented
        return npz.equal(self.arrays(), other.arrays())

    @property
    def units(self) -> int:
        """How many units there are."""
        return self.intersection.shape[1] // len(self.category_of)

    def totals(
        self, weights: Num[np.ndarray, "*samples images"] | None = None
    ) -> tuple[
        Num[np.ndarray, "*samples units concepts"],
        Num[np.ndarray, "*samples units concepts"],
        Num[np.ndarray, "*samples concepts"],
    ]:
        """Sums over the images, in which each counts with a weight.

        Args:
          weights: [..., N] for each image, in the order of ``numbers``; None counts each once.

        Returns:
          Intersection and unit area, [..., K, C], and label area, [..., C]: as of a :class:`Dissection`. Integers if
          the weights are.

        Raises:
          ValueError: if there are not as many weights as images.
        """
        weights = np.ones(len(self.numbers), np.int64) if weights is None else weights
        if weights.shape[-1] != len(self.numbers):
            raise ValueError(f"weights: of {weights.shape[-1]} images; expected {len(self.numbers)}")
        # In float64, which holds every count below 2⁵³ exactly, products take a third of the time that int64's do; and
        # row by row of what is summed up less than column by column.
        rows = weights.reshape(-1, len(self.numbers)).astype(np.float64).T
        sums = [np.ascontiguousarray((getattr(self, name).T.tocsr() @ rows).T) for name in MATRICES]
        if np.issubdtype(weights.dtype, np.integer):
            sums = [own.astype(np.int64) for own in sums]
        shape = weights.shape[:-1]
        areas = sums[1].reshape(*shape, self.units, -1)[..., self.category_of]
        return sums[0].reshape(*shape, self.units, -1), areas, sums[2].reshape(*shape, -1)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that it holds, by name, for :meth:`from_arrays`."""
        parts = {f"{name}_{part}": getattr(getattr(self, name), part) for name in MATRICES for part in CSR}
        columns = np.array([getattr(self, name).shape[1] for name in MATRICES])
        own = {name: getattr(self, name) for name in ("numbers", "pixels", "category_of")}
        return own | {"columns": columns} | parts

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "ImageCounts":
        """What :meth:`arrays` gave.

        Raises:
          KeyError: if one is missing.
          ValueError: if they do not fit together.
        """
        rows = len(arrays["numbers"])
        matrices = {
            name: sparse.csr_array(tuple(arrays[f"{name}_{part}"] for part in CSR), shape=(rows, int(columns)))
            for name, columns in zip(MATRICES, arrays["columns"], strict=True)
        }
        return cls(**{name: arrays[name] for name in ("numbers", "pixels", "category_of")}, **matrices)

    @classmethod
    def join(cls, parts: Sequence["ImageCounts"]) -> "ImageCounts":
        """The counts of several sets of images, of the same units and concepts; in whatever order they come.

        Raises:
          ValueError: if there is no part, or an image is in two of them.
        """
        if not parts:
            raise ValueError("batches: there is none; expected the images' masks")
        numbers = np.concatenate([part.numbers for part in parts])
        order = np.argsort(numbers, kind="stable")
        twice = numbers[order][1:][np.diff(numbers[order]) == 0]
        if len(twice):
            raise ValueError(f"image {twice[0]} is there twice; expected each image once")
        matrices = {name: _smallest(sparse.vstack([getattr(part, name) for part in parts])[order]) for name in MATRICES}
        pixels = np.concatenate([part.pixels for part in parts])[order]
        return cls(numbers[order], pixels, **matrices, category_of=parts[0].category_of)


def count_images(
    batches: Iterable[MaskedBatch], layer: str, *, units: int, concepts: ConceptColumns, protocol: Protocol
) -> ImageCounts:
    """Counts the pixels of masks, of concepts and of both, image by image.

    Args:
      batches: the masks on all images, once each.
      layer: whose masks.
      units: how many the layer has.
      concepts: what is counted where, as in the labels of the batches.
      protocol: says which mask pixels count in a union.

    Returns:
      The counts; their :meth:`~ImageCounts.totals` are the sums of the dissection.

    Raises:
      ValueError: if no batch comes, or an image comes twice.
    """
    parts = []
    for batch in batches:
        masks, labels = batch.masks[layer], batch_labels(batch.labels)
        intersection, area = count_masks(masks, labels, units=units, concepts=concepts, protocol=protocol)
        parts.append(
            ImageCounts(
                numbers=np.asarray(batch.numbers),
                pixels=np.array([own.shape[0] * own.shape[1] for own in batch.labels]),
                intersection=_smallest(intersection),
                unit_area=_smallest(area),
                label_area=_smallest(count_labels(batch.labels, len(concepts.numbers))),
                category_of=concepts.category_of,
            )
        )
    return ImageCounts.join(parts)


def count_labels(labels: Sequence[ImageLabels], concepts: int) -> sparse.csr_array:
    """[images, C] pixels of each concept."""
    image = np.repeat(np.arange(len(labels)), [len(own.column) for own in labels])
    column = np.concatenate([own.column for own in labels])
    pixels = _pixels(np.concatenate([own.words for own in labels]))
    return sparse.csr_array((pixels, (image, column)), shape=(len(labels), concepts))  # sums up a concept's tiles


def count_masks(
    masks: Masks, labels: BatchLabels, *, units: int, concepts: ConceptColumns, protocol: Protocol
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Counts the masks of a batch's images: see ``intersection`` and ``unit_area`` of :class:`ImageCounts`."""
    images, columns = len(labels.shape), len(concepts.numbers)
    image, unit, column, shared = _intersections(masks, labels)
    # Indices of 4 bytes wherever they will do: scipy keeps what it is given, and there are millions.
    keys = unit.astype(np.int32 if units * columns < 2**31 else np.int64) * columns + column
    intersection = sparse.csr_array((shared, (image, keys)), shape=(images, units * columns))  # sums up the tiles
    owner = masks.image.astype(np.int64) * units + masks.unit
    area = np.bincount(owner, weights=_pixels(masks.words), minlength=images * units).astype(np.int32)
    counts = np.zeros((images, 1, concepts.num_categories), bool)
    if protocol.unit_area == "all":
        counts[:] = True
    elif protocol.unit_area == "category":
        counts[:, 0] = labels.categories
    else:
        counts = np.zeros((images, units, concepts.num_categories), bool)
        counts[image, unit, concepts.category_of[column]] = True
    area_by_category = area.reshape(images, units, 1) * counts
    return intersection, sparse.csr_array(area_by_category.reshape(images, -1))


def _intersections(masks: Masks, labels: BatchLabels) -> tuple[np.ndarray, ...]:
    """Image, unit, concept and number of shared pixels, tile by tile, wherever there is one."""
    tile = labels.tile_of_grid(masks.image, masks.tile)
    place, words, column = labels.pairs(tile * np.int32(len(labels.shape)) + masks.image)
    shared = _pixels(masks.words[place] & words)
    some = np.flatnonzero(shared)
    place = place[some]
    return masks.image[place], masks.unit[place], column[some], shared[some]


def _pixels(words: np.ndarray) -> np.ndarray:
    return np.bitwise_count(np.ascontiguousarray(words).view(np.uint64)[:, 0]).astype(np.int32)


def _smallest(matrix: sparse.csr_array) -> sparse.csr_array:
    """In the smallest unsigned integers that hold its numbers: there are millions of them."""
    return matrix.astype(np.min_scalar_type(int(matrix.data.max(initial=0))))
