"""Counting pixels: where a unit is above its threshold, where a concept is, and where both are."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from interpjax.dissection.upsampling import upsample_bilinear


@dataclasses.dataclass(frozen=True)
class ImageLabels:
    """Which pixels of an image carry which concept.

    Attributes:
      columns: the concepts that occur, as columns of the tally.
      planes: a column of 0 and 1 over the pixels for each of them.
      shape: (height, width) of the label maps.
      categories: which categories the image carries a label of.
    """

    columns: Int[np.ndarray, " present"]
    planes: Float[np.ndarray, "pixels present"]
    shape: tuple[int, int]
    categories: Bool[np.ndarray, " categories"]


def image_labels(
    channels: list[Int[np.ndarray, "height width"] | int],
    shape: tuple[int, int],
    column_of: Int[np.ndarray, " numbers"],
    category_of: Int[np.ndarray, " concepts"],
    num_categories: int,
) -> ImageLabels:
    """Pools the channels of an image: a pixel carries a concept if any channel says so, and counts once.

    Args:
      channels: label numbers, 0 where unlabelled; an integer labels every pixel.
      shape: (height, width) of the label maps.
      column_of: the concept (column of the tally) of each label number, −1 where there is none.
      category_of: the primary category of each concept.
      num_categories: how many categories there are.
    """
    pixels = shape[0] * shape[1]
    planes: dict[int, np.ndarray] = {}
    for channel in channels:
        numbers = [channel] if isinstance(channel, int) else np.flatnonzero(np.bincount(channel.ravel())).tolist()
        for number in numbers:
            if number and column_of[number] >= 0:
                plane = np.ones(pixels, bool) if isinstance(channel, int) else channel.ravel() == number
                column = int(column_of[number])
                planes[column] = planes[column] | plane if column in planes else plane
    columns = np.array(sorted(planes), np.intp)
    stacked = np.stack([planes[c] for c in columns], axis=1) if planes else np.zeros((pixels, 0), bool)
    categories = np.zeros(num_categories, bool)
    categories[category_of[columns]] = True
    return ImageLabels(columns, stacked.astype(np.float32), shape, categories)


class LabelTally:
    """Pixels of each concept and of all images; the same for every layer."""

    def __init__(self, concepts: int):
        self.label_area = np.zeros(concepts, np.int64)
        self.pixels = 0

    def add(self, labels: ImageLabels) -> None:
        """Counts one image."""
        self.label_area[labels.columns] += labels.planes.sum(axis=0, dtype=np.float64).astype(np.int64)
        self.pixels += len(labels.planes)


class UnitTally:
    """Pixels of each unit's mask, and of its intersection with each concept, summed over images."""

    def __init__(self, thresholds: Float[np.ndarray, " units"], concepts: int, categories: int):
        self.thresholds = thresholds
        self.intersection = np.zeros((len(thresholds), concepts), np.int64)
        self.area_by_category = np.zeros((len(thresholds), categories), np.int64)

    def add(self, activation: Float[np.ndarray, "h w units"], labels: ImageLabels) -> None:
        """Counts one image.

        Units that never exceed their threshold are skipped: interpolation stays below the largest cell.

        Args:
          activation: low-resolution maps of all units.
          labels: of the same image.
        """
        active = np.flatnonzero(activation.max(axis=(0, 1)).astype(np.float64) > self.thresholds)
        if not active.size:
            return
        maps = upsample_bilinear(np.moveaxis(activation[..., active], -1, 0), *labels.shape)
        masks = (maps > self.thresholds[active, None, None]).reshape(len(active), -1)
        area = np.count_nonzero(masks, axis=1)
        self.area_by_category[active] += area[:, None] * labels.categories
        if labels.columns.size:
            # Products of 0 and 1 summed in float32 are exact up to 2^24 pixels an image.
            overlap = masks.astype(np.float32) @ labels.planes
            self.intersection[np.ix_(active, labels.columns)] += overlap.astype(np.int64)


def iou(
    intersection: Int[np.ndarray, "units concepts"],
    unit_area: Int[np.ndarray, "units concepts"],
    label_area: Int[np.ndarray, " concepts"],
) -> Float[np.ndarray, "units concepts"]:
    """Intersection over union of summed pixel counts; 0 where both are empty."""
    union = unit_area + label_area - intersection
    return np.divide(intersection, union, out=np.zeros(union.shape), where=union > 0)
