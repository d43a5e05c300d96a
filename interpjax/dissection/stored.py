"""What is in the file of a dissection."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interpjax.dissection import npz
from interpjax.dissection.correlation import Correlation
from interpjax.dissection.group_result import GroupResult
from interpjax.dissection.images import ImageCounts
from interpjax.dissection.protocol import Protocol
from interpjax.errors import UserError

if TYPE_CHECKING:
    from interpjax.dissection.result import Dissection

ARRAYS = ("thresholds", "intersection", "unit_area", "label_area", "top_images", "top_values")
PARTS = ("images", "groups", "correlation")  # what only some dissections have


def arrays_of(dissection: "Dissection") -> dict[str, Any]:
    """All that is saved of a dissection, by name; what is in one of its ``PARTS`` by ``part/name``."""
    plain = (*ARRAYS, "iou", "pixels", "categories")
    arrays = {name: np.asarray(getattr(dissection, name)) for name in plain}
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
    return arrays | npz.of_concepts(dissection.concepts) | texts | kept


def read(path: str | Path) -> dict[str, Any]:
    """The fields of the dissection whose arrays are in a file.

    Raises:
      OSError: if the file cannot be read.
      UserError: naming it, if it is damaged or something else.
    """
    try:
        stored = npz.read(path)
        concepts = npz.concepts_of(stored)
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
    except npz.DAMAGED as error:
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
