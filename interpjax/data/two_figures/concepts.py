"""The two-figures data as concepts: its exact pixel labels, in the form dissection takes."""

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from interpjax.data.concept_records import Channels, ReadOnce
from interpjax.data.concepts import ConceptData, primary_categories
from interpjax.data.images import decode_image
from interpjax.data.two_figures import drawing as figures
from interpjax.data.two_figures.builder import example_name


@dataclasses.dataclass(frozen=True)
class TwoFiguresRecord:
    """One rendered image with its label maps, still encoded."""

    records: Any
    number: int
    name: str
    image_shape: tuple[int, int]

    @property
    def label_shape(self) -> tuple[int, int]:
        """That of the image."""
        return self.image_shape

    def opened(self) -> "TwoFiguresRecord":
        """The same record, which is parsed once."""
        return dataclasses.replace(self, records=ReadOnce(self.records))

    def image(self) -> UInt8[np.ndarray, "height width 3"]:
        """The image as RGB."""
        return decode_image(self.records[self.number]["image"], f"two_figures[{self.number}]")

    def digest(self) -> bytes:
        """Of its image and label maps."""
        record = self.records[self.number]
        parts = [record["image"], *(record[category] for category in figures.CATEGORIES)]
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()

    def labels(self) -> Channels:
        """A label map for each category."""
        record = self.records[self.number]
        return {name: [decode_image(record[name], name)[..., 0].astype(np.int32)] for name in figures.CATEGORIES}


def load(records: Any, *, image_size: int, figure_size: int, split: str = "test") -> ConceptData:
    """The concepts of a two-figures split.

    Args:
      records: by number, with images and label maps left encoded, as a TFDS data source gives them; only their
        number is asked for here.
      image_size: side of the images in pixels.
      figure_size: side of a figure's square in pixels.
      split: that they are of.
    """
    names = {number: name for labels in figures.CATEGORIES.values() for name, number in labels.items()}
    coverage = _expected_coverage(image_size, figure_size, len(records))
    concepts = pd.DataFrame({"number": names.keys(), "name": names.values()})
    shape = (image_size, image_size)
    return ConceptData(
        name="two_figures",
        categories=tuple(figures.CATEGORIES),
        concepts=concepts.assign(category=primary_categories(coverage).to_numpy()),
        coverage=coverage,
        records=[TwoFiguresRecord(records, i, example_name(split, i), shape) for i in range(len(records))],
    )


def _expected_coverage(image_size: int, figure_size: int, images: int) -> pd.DataFrame:
    """How many images each label covers on average over all ways to draw them: each has two figures of any kind."""
    areas = {shape: figures.shape_mask(shape, figure_size).sum() / image_size**2 for shape in figures.SHAPES}
    kinds = [name.split("-") for name in figures.PAIR_LABELS]
    covered = {
        category: {
            number: 2 * images * sum(areas[s] for c, s in kinds if name in (c, s, f"{c}-{s}")) / len(kinds)
            for name, number in labels.items()
        }
        for category, labels in figures.CATEGORIES.items()
    }
    return pd.DataFrame(covered, dtype=float).rename_axis(index="number")
