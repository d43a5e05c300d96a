"""Splits of data sets: examples by number, whatever they are read from."""

import dataclasses
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, UInt8

from interpjax.data.images import readable
from interpjax.errors import UserError


@runtime_checkable
class Split(Protocol):
    """Examples by number, each ``{"image": …, "label": int, "name": str}``; the name is for error messages.

    The image is an encoded file as bytes, the path of one, or a decoded uint8 RGB array [height, width, 3].
    """

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> dict[str, Any]: ...


@dataclasses.dataclass(frozen=True)
class FileSplit:
    """Image files with their labels."""

    files: Sequence[Path]
    labels: Sequence[int]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Any]:
        path = self.files[index]
        return {"image": path, "label": self.labels[index], "name": readable(path)}


@dataclasses.dataclass(frozen=True, eq=False)
class ArraySplit:
    """Images that are held in memory, with their labels.

    Attributes:
      images: the images, RGB.
      labels: the class of each image, from 0.

    Raises:
      UserError: if the images are not uint8 or not channels-last, or if there is not one label for each image.
    """

    images: UInt8[np.ndarray, "examples height width 3"]
    labels: Int[np.ndarray, " examples"]

    def __post_init__(self) -> None:
        shape, dtype = np.shape(self.images), getattr(self.images, "dtype", None)
        if len(shape) != 4 or shape[3] != 3 or dtype != np.uint8:
            raise UserError(f"images: of shape {shape} and type {dtype}; expected uint8 [examples, height, width, 3]")
        if np.shape(self.labels) != shape[:1]:
            raise UserError(f"labels: of shape {np.shape(self.labels)}; expected {shape[:1]}, one for each image")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"image": self.images[index], "label": int(self.labels[index]), "name": f"images[{index}]"}


@dataclasses.dataclass(frozen=True)
class TfdsSplit:
    """A split of a prepared TFDS data set, with images that are still encoded.

    Attributes:
      records: the records by number.
      label: the name of the feature that is the label.
      prefix: what the names of the examples begin with.
      cache: the file that keeps the labels of all records once they are read, ``….npy``; None if none does.
      listing: what tells the records from others without reading them, as the version and the lengths of the shards.
    """

    records: Any
    label: str
    prefix: str
    cache: Path | None = None
    listing: str = ""

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, Any]:
        record = self.records[index]
        return {"image": record["image"], "label": int(record[self.label]), "name": f"{self.prefix}[{index}]"}


@dataclasses.dataclass(frozen=True, eq=False)
class ClassSplit:
    """The examples of some classes of a split. Their names are those that they have in the whole split.

    Attributes:
      whole: the whole split.
      kept: the numbers of the examples that are kept.
      numbers: the labels of the kept classes in the whole split, in the order of their new labels 0, 1, ….
      labels: the new label of each example that is kept.
    """

    whole: Split
    kept: Int[np.ndarray, " examples"]
    numbers: tuple[int, ...]
    labels: Int[np.ndarray, " examples"]

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: int) -> dict[str, Any]:
        example = self.whole[int(self.kept[index])]
        if example["label"] not in self.numbers:
            raise UserError(
                f"{example['name']}: its label is {example['label']}, which is none of config.data.classes; the data "
                "are not those whose labels were read before: remove the labels_*.npy in WORKDIR/data"
            )
        return example | {"label": self.numbers.index(example["label"])}


@dataclasses.dataclass(frozen=True, eq=False)
class PartSplit:
    """Some examples of a split, with the names and labels that they have there.

    Attributes:
      whole: the whole split.
      kept: the numbers of the examples that are kept.
    """

    whole: Split
    kept: Int[np.ndarray, " examples"]

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.whole[int(self.kept[index])]


class Deferred:
    """Examples or records that are made or read when they are first needed.

    This lets a configuration be checked, and its data be described, before anything is written.
    """

    def __init__(self, open_now: Callable[[], Any], length: int | None = None, whole: Any = None):
        """Takes note of how the examples are opened, without opening them.

        Args:
          open_now: opens the examples and returns them.
          length: the number of examples, if it is known before they are opened.
          whole: the split that they are a part of, if they are one.
        """
        self._open_now, self._length, self.whole = open_now, length, whole
        self._found: list[Any] = []
        self._lock = threading.Lock()  # several threads read, and only one may make or open it

    @property
    def opened(self) -> Any:
        """The examples, which are opened at the first call."""
        with self._lock:
            if not self._found:
                self._found.append(self._open_now())
        return self._found[0]

    @property
    def known_length(self) -> int | None:
        """The number of examples, where it is known without opening them."""
        return len(self._found[0]) if self._length is None and self._found else self._length

    def __len__(self) -> int:
        return len(self.opened) if self._length is None else self._length

    def __getitem__(self, index: int) -> Any:
        return self.opened[index]
