"""What dissection found in one layer, and the tables it makes."""

import dataclasses
import functools
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from interpjax.dissection import scoring, tally
from interpjax.dissection.protocol import Protocol
from interpjax.dissection.upsampling import FieldMap
from interpjax.errors import UserError

ARRAYS = ("thresholds", "intersection", "unit_area", "label_area", "top_images", "top_values")
CONCEPT_COLUMNS = {"number": np.int64, "name": np.str_, "category": np.str_}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dissection:
    """What dissection found in one layer: K units against C concepts. Two are equal if all that is saved of them is.

    Attributes:
      concepts: ``number`` (as in label.csv), ``name``, ``category`` (primary); its rows are the columns below.
      categories: in the data's order.
      protocol: by which it was made.
      fieldmap: offset, size and stride (y, x) of the receptive fields, as they were given; None where they were not,
        and upsampling ``fieldmap`` made them up of the map's size. Other upsamplings do not use them.
      preprocessing: what the network did to images first, as it states it itself; empty if it does not.
      thresholds: [K] of the units, float64.
      intersection: [K, C] pixels in a unit's mask and the concept, over all images.
      unit_area: [K, C] pixels of a unit's mask in the images that count for the concept.
      label_area: [C] pixels of the concept.
      pixels: label pixels of all images.
      top_images: [K, n] numbers of the images (records of the data) on which the unit's maximum is largest.
      top_values: [K, n] those maxima, falling.
    """

    concepts: pd.DataFrame
    categories: tuple[str, ...]
    protocol: Protocol
    thresholds: Float[np.ndarray, " units"]
    intersection: Int[np.ndarray, "units concepts"]
    unit_area: Int[np.ndarray, "units concepts"]
    label_area: Int[np.ndarray, " concepts"]
    pixels: int
    top_images: Int[np.ndarray, "units top"]
    top_values: Float[np.ndarray, "units top"]
    fieldmap: FieldMap | None = None
    preprocessing: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        units, concepts = self.intersection.shape
        found = f"{units} units, {concepts} concepts, {self.unique_detectors()} unique detectors"
        return f"Dissection({found}; {self.protocol.describe()})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dissection):
            return NotImplemented
        mine, theirs = self._stored(), other._stored()
        return all(np.array_equal(mine[name], theirs[name]) for name in mine)

    @functools.cached_property
    def iou(self) -> Float[np.ndarray, "units concepts"]:
        """[K, C] intersection over union."""
        return tally.iou(self.intersection, self.unit_area, self.label_area)

    @property
    def category_of(self) -> Int[np.ndarray, " concepts"]:
        """The primary category of each concept, as an index into ``categories``."""
        return np.array([self.categories.index(category) for category in self.concepts["category"]])

    def best(self) -> pd.DataFrame:
        """A row per unit: ``unit`` (0-based), ``concept``, ``category`` (both empty without overlap), ``iou``."""
        column, score = scoring.best_concepts(self.iou)
        names, categories = self.concepts["name"].to_numpy(), self.concepts["category"].to_numpy()
        return pd.DataFrame(
            {
                "unit": np.arange(len(column)),
                "concept": np.where(column >= 0, names[column], ""),
                "category": np.where(column >= 0, categories[column], ""),
                "iou": score,
            }
        )

    def detected(self, threshold: float | None = None, convention: str = "best-label") -> pd.DataFrame:
        """The rows of ``concepts`` that have a detector; arguments as :meth:`unique_detectors`."""
        cut = self.protocol.detector_iou if threshold is None else threshold
        return self.concepts.iloc[
            scoring.detected_concepts(self.iou, self.category_of, threshold=cut, convention=convention)
        ]

    def unique_detectors(self, threshold: float | None = None, convention: str = "best-label") -> int:
        """Number of distinct concepts that have a detector, by a ``convention`` of :func:`scoring.detected_concepts`.

        The IoU cut ``threshold`` is by default the protocol's, 0.04.
        """
        return len(self.detected(threshold, convention))

    def by_category(self, threshold: float | None = None, convention: str = "best-label") -> dict[str, int]:
        """Unique detectors of each category; arguments as :meth:`unique_detectors`."""
        found = self.detected(threshold, convention)["category"].value_counts()
        return {category: int(found.get(category, 0)) for category in self.categories}

    @property
    def rud(self) -> float:
        """Ratio of unique detectors to units."""
        return self.unique_detectors() / len(self.thresholds)

    def sweep(self, thresholds: Sequence[float]) -> pd.DataFrame:
        """Scores at several IoU cuts: ``threshold``, ``detectors``, ``unique_detectors`` and that ``per_category``.

        Raises:
          ValueError: if the cuts are no sequence.
        """
        if isinstance(thresholds, float | int):
            raise ValueError(f"thresholds = {thresholds}: expected a sequence of cuts, as [{thresholds}]")
        score = self.best()["iou"].to_numpy()
        rows = [
            {
                "threshold": cut,
                "detectors": int(((score >= cut) & (score > 0)).sum()),
                "unique_detectors": self.unique_detectors(cut),
                "per_category": self.unique_detectors(cut, "per-category"),
            }
            for cut in thresholds
        ]
        return pd.DataFrame(rows)

    def silent_units(self) -> Int[np.ndarray, " silent"]:
        """Units whose threshold is 0: rectified ones that are active on fewer positions than the top quantile.

        Anything positive exceeds it, so a mask is as large as what the upsampling makes of such positions.
        """
        return np.flatnonzero(self.thresholds == 0)

    def unreachable(self, threshold: float | None = None) -> pd.DataFrame:
        """The concepts whose ``ceiling`` is below the cut: too large or too small for any mask, or in no image."""
        cut = self.protocol.detector_iou if threshold is None else threshold
        table = self.concepts.assign(ceiling=self.ceilings())
        return table[table["ceiling"] < cut].sort_values("ceiling", ascending=False, kind="stable")

    def ceilings(self) -> Float[np.ndarray, " concepts"]:
        """The largest IoU on each concept that the sizes of the masks allow, see :func:`scoring.ceilings`."""
        return scoring.ceilings(self.unit_area, self.label_area)

    def to_csv(self, path: str | Path) -> None:
        """Writes NetDissect's ``tally.csv``: a row per unit, numbered from 1, in falling order of score."""
        order = np.argsort(-self.best()["iou"].to_numpy(), kind="stable")
        self._tally_table().iloc[order].to_csv(path, index=False)

    def save(self, path: str | Path) -> None:
        """Writes everything to a file of this very name, in NumPy's npz format, that :meth:`load` reads; no pickles."""
        with Path(path).open("wb") as file:  # a file: to a bare name NumPy would append ``.npz``
            self.write(file)

    def write(self, file: IO[bytes]) -> None:
        """Writes everything to an open file, as :meth:`save`."""
        np.savez_compressed(file, **self._stored())

    @classmethod
    def load(cls, path: str | Path) -> "Dissection":
        """Reads what :meth:`save` wrote.

        Raises:
          OSError: if the file cannot be read.
          UserError: naming it, if it is damaged or something else.
        """
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return cls(
                    concepts=pd.DataFrame({name: stored[f"concept_{name}"] for name in CONCEPT_COLUMNS}),
                    categories=tuple(stored["categories"].tolist()),
                    protocol=Protocol(**json.loads(str(stored["protocol"]))),
                    fieldmap=_tuples(json.loads(str(stored["fieldmap"]))),
                    preprocessing=json.loads(str(stored["preprocessing"])),
                    pixels=int(stored["pixels"]),
                    **{name: stored[name] for name in ARRAYS},
                )
        except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"{path}: not a file that Dissection.save wrote, or a damaged one") from error

    def _stored(self) -> dict[str, Any]:
        arrays = {name: np.asarray(getattr(self, name)) for name in (*ARRAYS, "iou", "pixels", "categories")}
        columns = {f"concept_{name}": self.concepts[name].to_numpy(CONCEPT_COLUMNS[name]) for name in CONCEPT_COLUMNS}
        descriptions = {
            "protocol": dataclasses.asdict(self.protocol),
            "fieldmap": self.fieldmap,
            "preprocessing": dict(self.preprocessing),
        }
        texts = {name: np.array(json.dumps(value, sort_keys=True)) for name, value in descriptions.items()}
        return arrays | columns | texts

    def _tally_table(self) -> pd.DataFrame:
        """Where a unit overlaps nothing the published codes name no label, and the last category; so here."""
        best, last = self.best(), len(self.categories) - 1
        named = np.where(best["concept"] == "", self.categories[last], best["category"])
        table = pd.DataFrame({"unit": best["unit"] + 1, "category": named})
        table["label"], table["score"] = best["concept"], best["iou"]
        # NetDissect-Lite and what is built on it give the unit's area in the last category then, NetDissect 0.
        lite = self.protocol.unit_area == "touched" and last in self.category_of
        elsewhere = self.unit_area[:, np.argmax(self.category_of == last)] if lite else 0
        units, names = np.arange(len(best)), self.concepts["name"].to_numpy()
        for number, category in enumerate(self.categories):
            column, score = scoring.best_in_category(self.iou, self.category_of, number)
            found = column >= 0
            table[f"{category}-label"] = np.where(found, names[column], "")
            table[f"{category}-truth"] = np.where(found, self.label_area[column], 0)
            table[f"{category}-activation"] = np.where(found, self.unit_area[units, column], elsewhere)
            table[f"{category}-intersect"] = np.where(found, self.intersection[units, column], 0)
            table[f"{category}-iou"] = score
        return table


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
