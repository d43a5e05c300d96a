"""The records of a TFDS data set by number; what its libraries raise is told with the data set and the record."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from interpjax.errors import UserError


class Records:
    """The records of a split, with what is wrong with one as a UserError that names it."""

    def __init__(self, records: Any, folder: Path, split: str, remedy: str):
        """Takes note of them.

        Args:
          records: by number, as TFDS gives them.
          folder: that holds the data set.
          split: that they are of.
          remedy: what to do if one is damaged, as an order.
        """
        self._records, self._where, self._remedy = records, f"{folder}, split {split}", remedy

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, number: int) -> Any:
        return self._checked(lambda: self._records[number], f"record {number}")

    def __getitems__(self, numbers: Sequence[int]) -> Any:
        return self._checked(lambda: self._records.__getitems__(numbers), f"records {numbers[0]} to {numbers[-1]}")

    def _checked(self, read: Any, which: str) -> Any:
        try:
            return read()
        except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError, OSError) as error:
            # array_record raises RuntimeError where a checksum fails; the parsers, whatever the rest comes to.
            raise UserError(f"{self._where}: {which} cannot be read ({_words(error)}); {self._remedy}") from error


@contextlib.contextmanager
def description(folder: Path, remedy: str) -> Iterator[None]:
    """Tells what is wrong with the description of a data set that the block reads.

    Args:
      folder: of the data set's version. Where it is not there, nothing is read, and errors stay what they are.
      remedy: what to do if a file is damaged, as an order.

    Raises:
      UserError: naming the folder, if its description is missing or damaged.
    """
    try:
        yield
    except Exception as error:  # TFDS passes on whatever its parsers raise
        if not folder.is_dir():
            raise
        raise UserError(f"{folder}: is no whole TFDS data set ({_words(error)}); {remedy}") from error


def open_builder(folder: Path, remedy: str) -> tfds.core.DatasetBuilder:
    """The builder of a prepared data set; arguments and errors as of :func:`description`."""
    with description(folder, remedy):
        return tfds.builder_from_directory(folder)


def encoded_records(builder: tfds.core.DatasetBuilder, split: str, remedy: str) -> Any:
    """The records of a split by number, with images that are still encoded.

    Args:
      builder: of the data set, which is prepared.
      split: of it.
      remedy: what to do if a file is damaged, as an order.

    Raises:
      UserError: naming the folder, if a file is missing or damaged; when a record is asked for, if that is.
    """
    skip = {
        name: tfds.decode.SkipDecoding()
        for name, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.Image)
    }
    folder = Path(builder.data_dir)
    try:
        records = builder.as_data_source(split, decoders=skip)
        len(records)  # for which the files are looked at
    except Exception as error:  # TFDS passes on whatever its libraries raise
        raise UserError(f"{folder}, split {split}: cannot be opened ({_words(error)}); {remedy}") from error
    return Records(records, folder, split, remedy)


def _words(error: Exception) -> str:
    """What a library tells, on one line and not for long."""
    return " ".join(str(error).split())[:200]
