"""Splits of data sets: examples by number, whatever they are read from."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Int
from numpy import ndarray


@runtime_checkable
class Split(Protocol):
    """Examples by number; each is ``{"image": encoded bytes or a file's path, "label": int, "name": str}``."""

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
        return {"image": path, "label": self.labels[index], "name": str(path)}


@dataclasses.dataclass(frozen=True)
class TfdsSplit:
    """A split of a prepared TFDS data set, its images left encoded."""

    records: Any
    label: str
    prefix: str

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, Any]:
        record = self.records[index]
        return {"image": record["image"], "label": int(record[self.label]), "name": f"{self.prefix}[{index}]"}


@dataclasses.dataclass(frozen=True, eq=False)
class ClassSplit:
    """The examples of some classes of a split; names of examples stay those of the whole split.

    Attributes:
      whole: the split.
      kept: which of its examples.
      numbers: of the classes in the whole split, in the order of their new labels 0, 1, ….
    """

    whole: Split
    kept: Int[ndarray, " examples"]
    numbers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: int) -> dict[str, Any]:
        example = self.whole[int(self.kept[index])]
        if example["label"] not in self.numbers:
            raise ValueError(
                f"{example['name']}: its label is {example['label']}, which is none of config.data.classes; the data "
                "are not those whose labels were read before: remove the labels_*.npy in WORKDIR/data"
            )
        return example | {"label": self.numbers.index(example["label"])}
