"""Reading Broden, the data set of Network Dissection: its directory, or what the builder made of that.

References:
  Bau et al., *Network Dissection*, CVPR 2017; the layout is that of the published ``broden1_224``.
"""

import dataclasses
import functools
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8, UInt16

from interpjax.data.broden import tables as broden_tables
from interpjax.data.broden.files import EncodedMaps, Files, Folder, KeepEncoded, Shards
from interpjax.data.concept_records import Channels
from interpjax.data.concepts import ConceptData
from interpjax.data.headers import png_depth, stated_size
from interpjax.data.images import BadImageError, decode_image
from interpjax.errors import UserError, refusals

VERSION, SPLIT = "1.0.0", "labelled"
PREPARED = Path("broden") / VERSION  # where in its destination the builder puts the data
DATASET_INFO = "dataset_info.json"  # what TFDS writes last


@dataclasses.dataclass(frozen=True, slots=True)
class BrodenRecord:
    """A row of ``index.csv`` that carries a label."""

    row: broden_tables.Row
    files: Files
    known: frozenset[int]

    @property
    def name(self) -> str:
        """As in ``index.csv``."""
        return self.row.image

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width) of the image, as the row says."""
        return self.row.image_shape

    @property
    def label_shape(self) -> tuple[int, int]:
        """(height, width) of the label maps, as the row says."""
        return self.row.label_shape

    def opened(self) -> "BrodenRecord":
        """The same record, of files that are not read twice."""
        return dataclasses.replace(self, files=self.files.opened())

    def encoded_image(self) -> bytes:
        """The image file; raises BadImageError if it cannot be read."""
        try:
            return self.files.image(self.row)
        except OSError as error:
            raise BadImageError(self._image_name, f"cannot be read ({error.strerror})") from error

    def encoded_maps(self) -> EncodedMaps:
        """The files of the label maps; raises UserError, naming row and file, if one cannot be read."""
        try:
            return self.files.maps(self.row)
        except OSError as error:
            reason = f"label map {error.filename} cannot be read ({error.strerror})"
            raise UserError(f"{self.row.where}: {reason}") from error

    def decode_image(self, encoded: bytes) -> UInt8[np.ndarray, "height width 3"]:
        """The image in a file; raises BadImageError, naming row and file."""
        return decode_image(encoded, self._image_name)

    def decode_labels(self, encoded: EncodedMaps) -> Channels:
        """The channels whose label maps are in these files.

        Raises:
          UserError: naming row and file, if a map is damaged, of the wrong size, or has a label that is not in
            ``label.csv``.
        """
        labels: Channels = {}
        for category, entries in self.row.cells.items():
            maps = iter(encoded[category])
            labels[category] = [e if isinstance(e, int) else self._decode_map(next(maps), e) for e in entries]
        return labels

    def image(self) -> UInt8[np.ndarray, "height width 3"]:
        """The image as RGB; errors as of its two steps."""
        return self.decode_image(self.encoded_image())

    def labels(self) -> Channels:
        """The label maps and the labels of the whole image, by category; errors as of its two steps."""
        return self.decode_labels(self.encoded_maps())

    def digest(self) -> bytes:
        """Of the cells of its row, its image file and its label maps."""
        try:
            image = self.encoded_image()
        except BadImageError as error:
            image = str(error).encode()
        parts = [repr(sorted(self.row.cells.items())).encode(), image]
        parts += [encoded for _, maps in sorted(self.encoded_maps().items()) for encoded in maps]
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()

    @property
    def _image_name(self) -> str:
        return f"{self.row.where}: images/{self.name}"

    def _of_another_size(self, where: str, size: tuple[int, ...] | None) -> UserError:
        return UserError(f"{where} is {size} pixels (height, width); the row says {self.label_shape}")

    def _decode_map(self, encoded: bytes, entry: str) -> UInt16[np.ndarray, "label_height label_width"]:
        where = f"{self.row.where}: label map images/{entry}"
        if (stated_size(encoded) or self.label_shape) != self.label_shape:  # which may be too large to decode
            raise self._of_another_size(where, stated_size(encoded))
        if png_depth(encoded) == 16:  # which OpenCV would cut down to the upper 8, so to 0 for most labels
            raise UserError(f"{where} has 16 bits a channel; expected 8, with the label's number as red + 256 · green")
        try:
            pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB) if encoded else None
        except cv2.error as error:
            raise UserError(f"{where} cannot be decoded ({error.err})") from error
        if pixels is None:
            raise UserError(f"{where} cannot be decoded")
        if pixels.shape[:2] != self.label_shape:
            raise self._of_another_size(where, pixels.shape[:2])
        # As four bytes a pixel red and green are one number, which is read much faster than put together.
        labels = np.ascontiguousarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA).view("<u2")[..., 0])
        if cv2.countNonZero(cv2.LUT(labels, _allowed(self.known))) < labels.size:
            unknown = set(np.unique(labels).tolist()) - self.known - {0}
            raise UserError(f"{where} has the label {min(unknown)}, which label.csv does not list")
        return labels


@functools.cache
def _allowed(known: frozenset[int]) -> UInt8[np.ndarray, "65536"]:
    """Whether a pixel of a label map may have a number: 0, for unlabelled, or that of a known label."""
    allowed = np.zeros(2**16, np.uint8)
    allowed[[0, *(number for number in known if number < len(allowed))]] = 1
    return allowed


def load_broden(path: str | Path) -> ConceptData:
    """Opens Broden, or other data in its layout.

    Args:
      path: a directory that holds ``index.csv``, ``label.csv``, ``category.csv``, ``c_<category>.csv`` and
        ``images/``; or what :func:`build_broden` made of one, which gives the same.

    Raises:
      UserError: naming the file and row, if a table is not as expected (:func:`interpjax.data.broden.tables.read`),
        or a row names a label map or image that is not there. Whether maps have the right size and known labels shows
        when they are read.
    """
    if not isinstance(path, str | Path):
        raise UserError(f"path: a {type(path).__name__}; expected the path of a directory in Broden's layout")
    path = Path(path)
    with refusals(str(path)):
        return _load(path)


def _load(path: Path) -> ConceptData:
    prepared = prepared_folder(path)
    if prepared is None and not (path / "index.csv").is_file():
        raise UserError(
            f"{path}: no Broden directory there (neither index.csv nor, as the builder makes it, {PREPARED}); "
            "`interpjax get broden --to DIR` fetches Broden"
        )
    tables = broden_tables.read(prepared or path)
    files = _open_shards(prepared, tables) if prepared else _open_folder(path, tables)
    known = frozenset(tables.coverage.index.tolist())
    return ConceptData(
        name=str(path),
        categories=tables.categories,
        concepts=tables.concepts,
        coverage=tables.coverage,
        records=[BrodenRecord(row, files, known) for row in tables.rows],
        unlabelled=tables.unlabelled,
    )


def prepared_folder(path: Path) -> Path | None:
    """Where at or below a path the builder's finished data are; None for a directory in Broden's layout."""
    if (path / DATASET_INFO).is_file():
        return path
    found = not (path / "index.csv").is_file() and (path / PREPARED / DATASET_INFO).is_file()
    return path / PREPARED if found else None


def _open_folder(path: Path, tables: broden_tables.Tables) -> Folder:
    folder = Folder(path / "images")
    folder.require(tables.rows)
    return folder


def _open_shards(prepared: Path, tables: broden_tables.Tables) -> Shards:
    decoders = {"image": KeepEncoded(), "maps": {category: KeepEncoded() for category in tables.categories}}
    try:
        for name in (DATASET_INFO, "features.json"):  # what is no JSON is an error of protobuf there
            json.loads((prepared / name).read_bytes())
        builder = tfds.builder_from_directory(prepared)
        shards = builder.info.splits[SPLIT].filepaths
    except Exception as error:  # TFDS passes on whatever its parsers raise
        reason = f"{DATASET_INFO} or features.json is damaged ({error})"
        raise UserError(
            f"{prepared}: {reason}; expected what build_broden made: remove it and build it again"
        ) from error
    missing = [file for file in shards if not file.is_file()]
    if missing:
        raise UserError(f"{missing[0]} is missing")
    records = builder.as_data_source(SPLIT, decoders=decoders)
    if len(records) != len(tables.rows):
        raise UserError(f"{prepared}: {len(records)} records, but index.csv has {len(tables.rows)} rows with a label")
    return Shards(records, prepared)
