"""What a feed is: it gives the batches of a pass, those of a network or those of stored activations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from interpjax.data.concept_records import ConceptRecord
from interpjax.data.concepts import ConceptData
from interpjax.dissection.labels import ConceptColumns, ImageLabels, image_labels
from interpjax.dissection.passes import Work

ActivationsFn = Callable[
    [UInt8[Array | np.ndarray, "batch height width 3"]], Mapping[str, Float[Array | np.ndarray, "batch _ _ _"]]
]
Labellings = Mapping[tuple[str, ...], ConceptColumns]  # the categories whose channels are read → how they are counted


@runtime_checkable
class Feed(Protocol):
    """Gives the batches of a pass."""

    @property
    def batch_size(self) -> int:
        """Rows of each batch's maps."""

    @property
    def images(self) -> int:
        """How many there are at most, of all processes."""

    @property
    def devices(self) -> Sequence[jax.Device]:
        """Those that compute the activations."""

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """What is known of what was done to the images."""

    def works(self, start: int, labellings: Labellings) -> Iterator[Work]:
        """This process's batches from number ``start`` on, with the labels of their images in these ways."""


def shuffled(count: int) -> np.ndarray:
    """Numbers in random order, the same in every process and run: what comes first is a sample of the whole."""
    return np.random.default_rng(0).permutation(count)


def columns_of(data: ConceptData) -> ConceptColumns:
    """How the concepts of some data are counted."""
    return ConceptColumns.of(data.concepts, data.categories)


def checked(broden: Any) -> ConceptData:
    """The labelled images.

    Raises:
      ValueError: if they are something else, or there is none.
    """
    if not isinstance(broden, ConceptData):
        raise ValueError(f"broden: a {type(broden).__name__}; expected what data.load_broden(path) gives")
    if len(broden.records) == 0:
        raise ValueError(f"broden: {broden.name} with no record of an image; expected one at least")
    return broden


def read_labels(
    threads: ThreadPoolExecutor, records: Sequence[ConceptRecord], labellings: Labellings
) -> list[list[ImageLabels]]:
    """For each way of counting, the labels of these images."""
    if not labellings:
        return []

    def read(record: ConceptRecord) -> list[ImageLabels]:
        channels = record.labels()
        ways = []
        for categories, columns in labellings.items():
            own = [channel for category in categories for channel in channels.get(category, [])]
            ways.append(image_labels(own, record.label_shape, columns))
        return ways

    return [list(images) for images in zip(*threads.map(read, records), strict=True)]
