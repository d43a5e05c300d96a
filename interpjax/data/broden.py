"""Reading a directory in the layout of Broden, the data set of Network Dissection.

References:
  Bau et al., *Network Dissection*, CVPR 2017; the layout is that of the published ``broden1_224``.
"""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from jaxtyping import Int, UInt8

from interpjax.data.concepts import ConceptData
from interpjax.data.images import read_image

SIZE_COLUMNS = ["image", "sh", "sw"]


@dataclasses.dataclass(frozen=True)
class BrodenRecord:
    """A row of ``index.csv`` that carries a label."""

    name: str
    label_shape: tuple[int, int]
    channels: tuple[Path | int, ...]
    folder: Path
    row: int  # of index.csv, the header being row 1
    known: frozenset[int]

    def image(self) -> UInt8[np.ndarray, "height width 3"]:
        """The image as RGB."""
        return read_image(self.folder / self.name)

    def labels(self) -> list[Int[np.ndarray, "label_height label_width"] | int]:
        """The label maps of all categories, and the labels of the whole image.

        Raises:
          ValueError: naming row and file, if a map is missing, of the wrong size, or has a label that is not in
            ``label.csv``.
        """
        return [channel if isinstance(channel, int) else self._read_map(channel) for channel in self.channels]

    def _read_map(self, path: Path) -> Int[np.ndarray, "label_height label_width"]:
        where = f"index.csv row {self.row} ({self.name}): label map {path}"
        try:
            encoded = np.frombuffer(path.read_bytes(), np.uint8)
        except OSError as error:
            raise ValueError(f"{where} cannot be read ({error.strerror})") from error
        pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB) if encoded.size else None
        if pixels is None:
            raise ValueError(f"{where} cannot be decoded")
        if pixels.shape[:2] != self.label_shape:
            raise ValueError(f"{where} is {pixels.shape[:2]} pixels (height, width); the row says {self.label_shape}")
        labels = pixels[..., 0].astype(np.int32) + 256 * pixels[..., 1].astype(np.int32)
        unknown = set(np.flatnonzero(np.bincount(labels.ravel())).tolist()) - self.known - {0}
        if unknown:
            raise ValueError(f"{where} has the label {min(unknown)}, which label.csv does not list")
        return labels


def load(path: Path) -> ConceptData:
    """The work of :func:`interpjax.data.load_broden`."""
    if not (path / "index.csv").is_file():
        raise ValueError(f"{path}: no Broden directory there (index.csv is missing)")
    categories = tuple(_read_csv(path / "category.csv", ["name"])["name"])
    concepts = _read_concepts(path, categories)
    index = _read_csv(path / "index.csv", [*SIZE_COLUMNS, *categories])
    known = frozenset(concepts["number"].tolist())
    records, unlabelled = [], []
    for row, cells in enumerate(index.to_dict("records"), start=2):
        channels = _channels(path, cells, categories, row, known)
        if not channels:
            unlabelled.append(cells["image"])
            continue
        _require_file(path / "images" / cells["image"], f"{path}/index.csv row {row}: image")
        shape = (int(cells["sh"]), int(cells["sw"]))
        records.append(BrodenRecord(cells["image"], shape, channels, path / "images", row, known))
    if not records:
        raise ValueError(f"{path}/index.csv: no row carries a label")
    return ConceptData(str(path), categories, concepts, records, tuple(unlabelled))


def _channels(
    path: Path, cells: dict, categories: tuple[str, ...], row: int, known: frozenset
) -> tuple[Path | int, ...]:
    channels: list[Path | int] = []
    for category in categories:
        for entry in filter(None, cells[category].split(";")):
            if not entry.isdigit():
                file = path / "images" / entry
                _require_file(file, f"{path}/index.csv row {row} ({cells['image']}): label map")
                channels.append(file)
            elif int(entry) != 0:  # the published data set has zeros where a label was dropped
                if int(entry) not in known:
                    raise ValueError(f"{path}/index.csv row {row}: {category} label {entry} is not in label.csv")
                channels.append(int(entry))
    return tuple(channels)


def _require_file(path: Path, what: str) -> None:
    if not path.is_file():
        raise ValueError(f"{what} {path} is missing")


def _read_csv(path: Path, columns: list[str]) -> pd.DataFrame:
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(f"{path}: the column {missing[0]!r} is missing; it has {', '.join(table.columns)}")
    return table


def _read_concepts(path: Path, categories: tuple[str, ...]) -> pd.DataFrame:
    """Labels with their primary category: the one in which they cover most (of equals, the later one)."""
    labels = _read_csv(path / "label.csv", ["number", "name"])
    largest: dict[int, tuple[float, str]] = {}
    for category in categories:
        table = _read_csv(path / f"c_{category}.csv", ["number", "coverage"])
        for number, coverage in zip(table["number"], table["coverage"], strict=True):
            candidate = (float(coverage), category)
            if candidate[0] >= largest.get(int(number), (-1.0, ""))[0]:
                largest[int(number)] = candidate
    numbers = [int(number) for number in labels["number"]]
    homeless = [number for number in numbers if number not in largest]
    if homeless:
        raise ValueError(f"{path}/label.csv: the label {homeless[0]} is in no c_<category>.csv")
    primary = [largest[number][1] for number in numbers]
    return pd.DataFrame({"number": numbers, "name": labels["name"], "category": primary})
