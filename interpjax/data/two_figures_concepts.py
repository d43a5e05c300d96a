"""The two-figures data as concepts: its exact pixel labels, in the form dissection takes."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int, UInt8
from ml_collections import ConfigDict

from interpjax.data.builders import figures
from interpjax.data.concepts import ConceptData
from interpjax.data.images import decode_image


@dataclasses.dataclass(frozen=True)
class TwoFiguresRecord:
    """One rendered image with its label maps, still encoded."""

    records: Any
    number: int
    label_shape: tuple[int, int]

    @property
    def name(self) -> str:
        """``"test/000007"``."""
        return self.records[self.number]["name"].decode()

    def image(self) -> UInt8[np.ndarray, "height width 3"]:
        """The image as RGB."""
        return decode_image(self.records[self.number]["image"], f"two_figures[{self.number}]")

    def labels(self) -> list[Int[np.ndarray, "label_height label_width"] | int]:
        """A label map for each category."""
        record = self.records[self.number]
        return [decode_image(record[category], category)[..., 0].astype(np.int32) for category in figures.CATEGORIES]


def load(config: ConfigDict, records: Any) -> ConceptData:
    """The concepts of a two-figures split.

    Args:
      config: the experiment that the data were made for.
      records: a TFDS data source with its images left encoded.
    """
    rows = [
        (number, name, category) for category, labels in figures.CATEGORIES.items() for name, number in labels.items()
    ]
    concepts = pd.DataFrame(rows, columns=["number", "name", "category"])
    shape = (config.data.two_figures.image_size,) * 2
    images = [TwoFiguresRecord(records, number, shape) for number in range(len(records))]
    return ConceptData("two_figures", tuple(figures.CATEGORIES), concepts, images)
