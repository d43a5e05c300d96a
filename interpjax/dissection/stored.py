"""The file of a dissection: NumPy's npz, without pickles."""

import dataclasses
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interpjax.dissection.correlation import Correlation
from interpjax.dissection.group_result import GroupResult
from interpjax.dissection.images import ImageCounts
from interpjax.dissection.protocol import Protocol
from interpjax.errors import UserError

if TYPE_CHECKING:
    from interpjax.dissection.result import Dissection

ARRAYS = ("thresholds", "intersection", "unit_area", "label_area", "top_images", "top_values")
PARTS = ("images", "groups", "correlation")  # what only some dissections have
CONCEPT_COLUMNS = {"number": np.int64, "name": np.str_, "category": np.str_}


def arrays_of(dissection: "Dissection") -> dict[str, Any]:
    """All that is saved of a dissection, by name; what is in one of its ``PARTS`` by ``part/name``."""
    plain = (*ARRAYS, "iou", "pixels", "categories")
    arrays = {name: np.asarray(getattr(dissection, name)) for name in plain}
    concepts = dissection.concepts
    columns = {f"concept_{name}": concepts[name].to_numpy(CONCEPT_COLUMNS[name]) for name in CONCEPT_COLUMNS}
    descriptions = {
        "protocol": dataclasses.asdict(dissection.protocol),
        "fieldmap": dissection.fieldmap,
        "preprocessing": dict(dissection.preprocessing),
    }
    texts = {name: np.array(json.dumps(value, sort_keys=True)) for name, value in descriptions.items()}
    parts = {name: getattr(dissection, name) for name in PARTS}
    kept = {
        f"{name}/{key}": array
        for name, part in parts.items()
        if part is not None
        for key, array in part.arrays().items()
    }
    return arrays | columns | texts | kept


def equal(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    """Whether two mappings have the same names and the same numbers and words under each."""
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def write(dissection: "Dissection", path: str | Path) -> None:
    """Writes a file of this very name."""
    with Path(path).open("wb") as file:  # a file: to a bare name NumPy would append ``.npz``
        np.savez_compressed(file, **arrays_of(dissection))


def read(path: str | Path) -> dict[str, Any]:
    """The fields of the dissection that :func:`write` wrote.

    Raises:
      OSError: if the file cannot be read.
      UserError: naming it, if it is damaged or something else.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            concepts = pd.DataFrame({name: stored[f"concept_{name}"] for name in CONCEPT_COLUMNS})
            return {
                "concepts": concepts,
                "categories": tuple(stored["categories"].tolist()),
                "protocol": Protocol(**json.loads(str(stored["protocol"]))),
                "fieldmap": _tuples(json.loads(str(stored["fieldmap"]))),
                "preprocessing": json.loads(str(stored["preprocessing"])),
                "pixels": int(stored["pixels"]),
                **{name: stored[name] for name in ARRAYS},
                **_parts(stored, concepts),
            }
    except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: not a file that Dissection.save wrote, or a damaged one") from error


def _parts(stored: Mapping[str, np.ndarray], concepts: pd.DataFrame) -> dict[str, Any]:
    """The ``PARTS`` that there are."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for key in stored:
        part, slash, name = key.partition("/")
        if slash:
            found.setdefault(part, {})[name] = stored[key]
    parts: dict[str, Any] = {}
    if "images" in found:
        parts["images"] = ImageCounts.from_arrays(found["images"])
    if "groups" in found:
        parts["groups"] = GroupResult.from_arrays(found["groups"], concepts)
    if "correlation" in found:
        parts["correlation"] = Correlation.from_arrays(found["correlation"])
    return parts


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
