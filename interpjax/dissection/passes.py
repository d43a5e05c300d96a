"""The two passes over the images: one finds thresholds, the other counts."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from interpjax.dissection import tally
from interpjax.dissection.thresholds import TopQuantile
from interpjax.dissection.top_images import TopImages

# Starts a pass: numbers of records, with the activations (NHWC) of their images by layer.
Pass = Callable[[], Iterator[tuple[np.ndarray, Mapping[str, np.ndarray]]]]


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

    def column_of(self) -> Int[np.ndarray, " numbers"]:
        """The column of each label number, −1 where there is none."""
        columns = np.full(self.numbers.max() + 1, -1)
        columns[self.numbers] = np.arange(len(self.numbers))
        return columns


def find_thresholds(
    batches: Pass, top_quantile: float, records: int, top_images: int
) -> tuple[dict[str, np.ndarray], dict[str, TopImages]]:
    """The first pass: exact thresholds and the most exciting images of every unit.

    Args:
      batches: starts the pass.
      top_quantile: share of activations above a threshold.
      records: at most so many images come.
      top_images: how many to remember for each unit.

    Raises:
      ValueError: if no image comes, or an activation is not finite.
    """
    quantiles: dict[str, TopQuantile] = {}
    top: dict[str, TopImages] = {}
    for numbers, activations in batches():
        for layer, maps in activations.items():
            if not np.isfinite(maps).all():
                raise ValueError(f"layer {layer}: an activation is not finite (NaN or infinite)")
            if layer not in quantiles:
                positions = maps.shape[1] * maps.shape[2]
                quantiles[layer] = TopQuantile(top_quantile, positions * records, maps.shape[-1])
                top[layer] = TopImages(top_images, maps.shape[-1])
            quantiles[layer].update(maps.reshape(-1, maps.shape[-1]))
            top[layer].update(numbers, maps.max(axis=(1, 2)))
    if not quantiles:
        raise ValueError("nothing to dissect: no image could be used")
    return {layer: quantile.result() for layer, quantile in quantiles.items()}, top


def count(
    batches: Pass, records: Sequence[Any], concepts: ConceptColumns, thresholds: Mapping[str, np.ndarray]
) -> tuple[tally.LabelTally, dict[str, tally.UnitTally]]:
    """The second pass: pixels of concepts, of units, and of both.

    An image's labels are read once for all layers.

    Args:
      batches: starts the pass.
      records: have ``labels()`` and ``label_shape``.
      concepts: what is counted where.
      thresholds: of every unit, by layer.
    """
    sizes = len(concepts.numbers), concepts.num_categories
    column_of = concepts.column_of()
    label_tally = tally.LabelTally(sizes[0])
    unit_tallies = {layer: tally.UnitTally(values, *sizes) for layer, values in thresholds.items()}
    for numbers, activations in batches():
        for row, number in enumerate(numbers):
            record = records[number]
            channels = [channel for channels in record.labels().values() for channel in channels]
            labels = tally.image_labels(
                channels, record.label_shape, column_of, concepts.category_of, concepts.num_categories
            )
            label_tally.add(labels)
            for layer, maps in activations.items():
                unit_tallies[layer].add(maps[row], labels)
    return label_tally, unit_tallies
