"""Where Broden's encoded images and label maps are: in a file each, or in the records of the prepared data set."""

import dataclasses
import errno
import io
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import tensorflow_datasets as tfds

from interpjax.data.broden import tables as broden_tables
from interpjax.data.concept_records import ReadOnce
from interpjax.errors import UserError

EncodedMaps = dict[str, list[bytes]]  # by category, in the order of the row's cell


@runtime_checkable
class Files(Protocol):
    """Where encoded images and label maps are; several threads may read at once."""

    def image(self, row: broden_tables.Row) -> bytes:
        """The file of the row's image; raises OSError."""
        ...

    def maps(self, row: broden_tables.Row) -> EncodedMaps:
        """The files of its label maps, for each category of the row; raises OSError."""
        ...

    def opened(self) -> "Files":
        """The same files, for a single row: what is read of them is not read twice."""
        ...


@dataclasses.dataclass(frozen=True)
class Folder:
    """Files below ``images/``."""

    path: Path

    def image(self, row: broden_tables.Row) -> bytes:
        """Reads the file."""
        return self._read(row.image)

    def maps(self, row: broden_tables.Row) -> EncodedMaps:
        """Reads the files."""
        return {
            category: [self._read(entry) for entry in entries if isinstance(entry, str)]
            for category, entries in row.cells.items()
        }

    def opened(self) -> "Folder":
        """Itself: a row's image and its label maps are files of their own, each of which is read by one method."""
        return self

    def _read(self, name: str) -> bytes:
        with io.FileIO(f"{self.path}/{name}") as file:  # half the time of joining a Path and its read_bytes
            return file.readall()

    def require(self, rows: list[broden_tables.Row]) -> None:
        """Raises UserError, naming row and file, if a file is missing."""
        for row in rows:
            files = [("image", row.image)]
            files += [("label map", e) for entries in row.cells.values() for e in entries if isinstance(e, str)]
            for what, name in files:
                if not (self.path / name).is_file():
                    raise UserError(f"{row.where}: {what} {self.path / name} is missing")


class KeepEncoded(tfds.decode.SkipDecoding):
    """Leaves an image, or each of several, encoded; TFDS itself does so without TensorFlow for single images only."""

    def decode_batch_example_np(self, encoded: Any) -> Any:
        """The bytes, as they are; None in a record that is cut short."""
        return encoded


@dataclasses.dataclass(frozen=True)
class Shards:
    """Records of the prepared data set, one for each row that carries a label."""

    records: Any
    folder: Path

    def image(self, row: broden_tables.Row) -> bytes:
        """Reads the row's record."""
        return self._record(row)["image"]

    def maps(self, row: broden_tables.Row) -> EncodedMaps:
        """Reads the row's record."""
        maps = self._record(row)["maps"]
        return {category: maps[category].tolist() for category in row.cells}

    def opened(self) -> "Shards":
        """The same, where a row's record is parsed once, for its image and its label maps."""
        return dataclasses.replace(self, records=ReadOnce(self.records))

    def _record(self, row: broden_tables.Row) -> dict[str, Any]:
        try:
            record = self.records[row.position]
        except RuntimeError as error:  # array_record's, on a checksum that fails
            raise OSError(errno.EIO, str(error), f"in {self.folder}") from error
        if record["name"] is None:  # what becomes of a record beyond the end of a file that is cut short
            raise OSError(errno.EIO, "an empty record; damaged or cut short", f"in {self.folder}")
        if record["name"].decode() != row.image:
            raise UserError(f"{row.where}: its record is of {record['name'].decode()}; index.csv has been changed")
        return record
