"""Pixel counts summed over images, and the IoU that they give."""

import numpy as np
from jaxtyping import Float, Int

from interpjax.dissection.labels import ImageLabels


class LabelTally:
    """Pixels of each concept and of all images; the same for every layer."""

    def __init__(self, concepts: int):
        self.label_area = np.zeros(concepts, np.int64)
        self.pixels = 0

    def add(self, labels: ImageLabels) -> None:
        """Counts one image."""
        np.add.at(self.label_area, labels.column, np.bitwise_count(labels.words).sum(axis=1, dtype=np.int64))
        self.pixels += labels.shape[0] * labels.shape[1]


def iou(
    intersection: Int[np.ndarray, "units concepts"],
    unit_area: Int[np.ndarray, "units concepts"],
    label_area: Int[np.ndarray, " concepts"],
) -> Float[np.ndarray, "units concepts"]:
    """Intersection over union of summed pixel counts; 0 where both are empty."""
    union = unit_area + label_area - intersection
    return np.divide(intersection, union, out=np.zeros(union.shape), where=union > 0)
