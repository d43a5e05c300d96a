"""The interface of a labelled image, which is the same whatever files it is read from."""

import dataclasses
import functools
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer, UInt8

# By category; label numbers, 0 where unlabelled; an integer labels the whole image.
Channels = dict[str, list[Integer[np.ndarray, "label_height label_width"] | int]]


@runtime_checkable
class ConceptRecord(Protocol):
    """One labelled image; it reads its files when asked."""

    @property
    def name(self) -> str:
        """Its name, as in ``index.csv``."""
        ...

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width) of its image."""
        ...

    @property
    def label_shape(self) -> tuple[int, int]:
        """(height, width) of its label maps."""
        ...

    def opened(self) -> "ConceptRecord":
        """The same record, whose files are read when they are asked for, but not twice."""
        ...

    def image(self) -> UInt8[np.ndarray, "height width 3"]:
        """The image; raises BadImageError."""
        ...

    def labels(self) -> Channels:
        """Its channels, in the categories in which it has any."""
        ...

    def digest(self) -> bytes:
        """Of what its image and label maps are, byte for byte."""
        ...


class ReadOnce:
    """Encoded records, by number, of which those that were asked for are kept; for a record that is opened."""

    def __init__(self, records: Any):
        self._read = functools.cache(records.__getitem__)

    def __getitem__(self, number: int) -> Any:
        return self._read(number)


@dataclasses.dataclass(frozen=True, slots=True)
class RestrictedRecord:
    """A record of which only some categories are seen."""

    record: ConceptRecord
    categories: frozenset[str]

    @property
    def name(self) -> str:
        """That of the record."""
        return self.record.name

    @property
    def image_shape(self) -> tuple[int, int]:
        """That of the record."""
        return self.record.image_shape

    @property
    def label_shape(self) -> tuple[int, int]:
        """That of the record."""
        return self.record.label_shape

    def opened(self) -> "RestrictedRecord":
        """The same record, of files that are not read twice."""
        return RestrictedRecord(self.record.opened(), self.categories)

    def image(self) -> UInt8[np.ndarray, "height width 3"]:
        """That of the record."""
        return self.record.image()

    def labels(self) -> Channels:
        """The record's channels in these categories; all of its label maps are read and checked."""
        return {
            category: channels for category, channels in self.record.labels().items() if category in self.categories
        }

    def digest(self) -> bytes:
        """That of the record."""
        return self.record.digest()
