"""Images with pixel labels in concept categories: what a network is dissected with."""

import dataclasses
import hashlib
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Int, UInt8

from interpjax.data.concept_records import ConceptRecord, RestrictedRecord
from interpjax.data.images import BadImageError, SkippedImages, resize

HALVES = ("validation", "test")


class ConceptBatch(NamedTuple):
    """Some images that follow each other.

    Attributes:
      numbers: of their records.
      records: themselves, opened.
      images: of one size.
    """

    numbers: Int[np.ndarray, " batch"]
    records: Sequence[ConceptRecord]
    images: UInt8[np.ndarray, "batch height width 3"]


@dataclasses.dataclass(frozen=True, repr=False)
class ConceptData:
    """A data set of concepts.

    Attributes:
      name: where it is from, for messages.
      categories: names, in the order in which tables show them.
      concepts: a row per label: ``number``, ``name``, ``category`` (the primary one: with the largest coverage).
      coverage: by label number, a column per category: images that the label covers, all fractions added up; NaN where
        the label is none of the category's.
      records: the images that carry a label; those without one are left out, as the published loaders do.
      unlabelled: names of the images that carry none.
    """

    name: str
    categories: tuple[str, ...]
    concepts: pd.DataFrame
    coverage: pd.DataFrame
    records: Sequence[ConceptRecord]
    unlabelled: tuple[str, ...] = ()

    def __repr__(self) -> str:
        kinds = ", ".join(self.categories)
        return f"ConceptData({self.name}: {len(self.records)} images, {len(self.concepts)} concepts in {kinds})"

    def restricted(self, categories: Sequence[str]) -> "ConceptData":
        """The same images, labelled in some categories only.

        Concepts of no other category are left out, and primary categories are found among these. Images that lose
        all of their labels stay: their activations count for thresholds.

        Args:
          categories: names; their order is that of the data.

        Raises:
          ValueError: if the names are a single string, the data have no such category, or no concept is left.
        """
        if isinstance(categories, str):
            raise ValueError(f"categories = {categories!r}: expected a sequence of names, as ({categories!r},)")
        unknown = [category for category in categories if category not in self.categories]
        if unknown:
            raise ValueError(f"categories: {unknown[0]!r} is not in {self.name}; it has {', '.join(self.categories)}")
        kept = tuple(category for category in self.categories if category in categories)
        coverage = self.coverage[list(kept)].dropna(how="all")
        if coverage.empty:
            raise ValueError(f"categories = {tuple(categories)}: no concept of {self.name} is in them")
        concepts = self.concepts[self.concepts["number"].isin(coverage.index)].reset_index(drop=True)
        primary = primary_categories(coverage).loc[concepts["number"]].to_numpy()
        return dataclasses.replace(
            self,
            categories=kept,
            concepts=concepts.assign(category=primary),
            coverage=coverage,
            records=[RestrictedRecord(record, frozenset(kept)) for record in self.records],
        )

    def half(self, which: str) -> "ConceptData":
        """About half of the images: those to choose by, or the others, to report on.

        An image's half is drawn by its name alone (the last bit of the first byte of its SHA-256), so it is the same in
        all runs and whatever other images there are. Concepts and their coverage stay those of all images.

        Args:
          which: ``"validation"`` or ``"test"``.

        Raises:
          ValueError: if ``which`` is neither, or no image is in that half.
        """
        if which not in HALVES:
            raise ValueError(f"half = {which!r}: expected one of {', '.join(HALVES)}")
        number = HALVES.index(which)
        kept = [each for each in self.records if hashlib.sha256(each.name.encode()).digest()[0] % 2 == number]
        if not kept:
            raise ValueError(f"half = {which!r}: none of the {len(self.records)} images of {self.name} is in it")
        return dataclasses.replace(self, name=f"{self.name}, {which} half", records=kept)

    def fingerprint(self, num_threads: int = 8) -> str:
        """A hex digest of all that is in the data; reads every file once, in so many threads."""
        whole = self._listing()
        with ThreadPoolExecutor(num_threads) as threads:
            for digest in threads.map(lambda record: record.opened().digest(), self.records):
                whole.update(digest)
        return whole.hexdigest()

    def listing_fingerprint(self) -> str:
        """A hex digest of the concepts and of the records' names, order and sizes; reads no image."""
        return self._listing().hexdigest()

    def _listing(self) -> Any:
        tables = [self.concepts.to_csv(index=False), ",".join(self.categories)]
        names = [f"{record.name} {record.image_shape} {record.label_shape}" for record in self.records]
        return hashlib.sha256("\n".join(tables + names).encode())

    def batches(
        self,
        batch_size: int,
        *,
        shard: tuple[int, int] = (0, 1),
        start: int = 0,
        image_size: int | None = None,
        skipped: SkippedImages | None = None,
        num_threads: int = 8,
    ) -> Generator[ConceptBatch, None, None]:
        """The images in order, with their records; nothing but the images is read.

        Args:
          batch_size: images at a time; the last batch is shorter, and others where images are left out.
          shard: (number, of how many): only every so manieth batch, beginning with this one.
          start: leave out so many batches of this shard.
          image_size: if given, every image is squashed to this side, so that labels stay in place.
          skipped: if given, unreadable images are left out and noted there.
          num_threads: how many threads read images.

        Raises:
          BadImageError: on an unreadable image, if ``skipped`` is None, or if images of one batch differ in size.
        """
        with ThreadPoolExecutor(num_threads) as threads:
            first = (shard[0] + start * shard[1]) * batch_size
            for begin in range(first, len(self.records), shard[1] * batch_size):
                numbers = range(begin, min(begin + batch_size, len(self.records)))
                records = [self.records[number].opened() for number in numbers]
                images = list(threads.map(lambda record: _read(record, image_size, skipped), records))
                readable = [place for place, image in enumerate(images) if image is not None]
                records = [records[place] for place in readable]
                stacked = _stack(records, [image for image in images if image is not None])
                yield ConceptBatch(np.array([numbers[place] for place in readable], np.int64), records, stacked)


def _read(record: ConceptRecord, image_size: int | None, skipped: SkippedImages | None) -> np.ndarray | None:
    try:
        image = record.image()
    except BadImageError as error:
        if skipped is None:
            raise
        skipped.add(error)
        return None
    return image if image_size is None else resize(image, image_size, image_size)


def _stack(records: Sequence[ConceptRecord], images: Sequence[np.ndarray]) -> np.ndarray:
    if not images:
        return np.zeros((0, 0, 0, 3), np.uint8)
    shape = images[0].shape
    for record, image in zip(records, images, strict=True):
        if image.shape != shape:
            raise BadImageError(record.name, f"is of size {image.shape[:2]}, others are {shape[:2]}; pass image_size=")
    return np.stack(images)


def primary_categories(coverage: pd.DataFrame) -> pd.Series:
    """The category in which each label covers most (of equals, the later one), by label number.

    Args:
      coverage: as that of :class:`ConceptData`; every label is in some category.
    """
    return coverage[coverage.columns[::-1]].idxmax(axis=1)
