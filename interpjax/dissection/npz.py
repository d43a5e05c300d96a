"""NumPy's npz files without pickles: written under their very name, read whole, and compared."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from interpjax.errors import naming

# What reading a damaged file, or one that holds something else, may raise.
DAMAGED = (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
CONCEPT_COLUMNS = {"number": np.int64, "name": np.str_, "category": np.str_}


def write(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """Writes a file of this very name."""
    with naming(Path(path)), Path(path).open("wb") as file:  # a file: to a bare name NumPy would append ``.npz``
        np.savez_compressed(file, **arrays)


def read(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of a file.

    Raises:
      OSError: if it cannot be read.
      Exception: one of ``DAMAGED``, if it is damaged or no npz file.
    """
    with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def equal(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    """Whether two mappings have the same names and the same numbers and words under each."""
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def of_concepts(concepts: pd.DataFrame) -> dict[str, np.ndarray]:
    """The table of concepts as arrays, for :func:`concepts_of`."""
    return {f"concept_{name}": concepts[name].to_numpy(kind) for name, kind in CONCEPT_COLUMNS.items()}


def concepts_of(arrays: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The table that :func:`of_concepts` was given; raises KeyError if a column is missing."""
    return pd.DataFrame({name: arrays[f"concept_{name}"] for name in CONCEPT_COLUMNS})
