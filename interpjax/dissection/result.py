"""What dissection found in one layer, and the tables it makes."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from interpjax.dissection import npz, scoring, significance, stored, tally
from interpjax.dissection.chance import Chance, calibrated
from interpjax.dissection.correlation import Correlation
from interpjax.dissection.group_result import GroupResult
from interpjax.dissection.images import ImageCounts
from interpjax.dissection.netdissect_table import tally_table
from interpjax.dissection.protocol import Protocol
from interpjax.dissection.upsampling import FieldMap
from interpjax.errors import UserError

METRICS = ("iou", *scoring.OVERLAPS, "pearson", "cosine")


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
      images: counts of each image; None where they were not kept.
      groups: what the groups of units found, a group's mask being the union of theirs; None where there are none.
      correlation: of the maps themselves with the concepts; None where it was not computed.
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
    images: ImageCounts | None = None
    groups: GroupResult | None = None
    correlation: "Correlation | None" = None

    def __repr__(self) -> str:
        units, concepts = self.intersection.shape
        found = f"{units} units, {concepts} concepts, {self.unique_detectors()} unique detectors"
        return f"Dissection({found}; {self.protocol.describe()})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dissection):
            return NotImplemented
        return npz.equal(stored.arrays_of(self), stored.arrays_of(other))

    @functools.cached_property
    def iou(self) -> Float[np.ndarray, "units concepts"]:
        """[K, C] intersection over union."""
        return tally.iou(self.intersection, self.unit_area, self.label_area)

    def metric(self, name: str) -> Float[np.ndarray, "units concepts"]:
        """[K, C] how well each unit fits each concept, by a measure of this name.

        Args:
          name: ``"iou"``; ``"f1"``, ``"precision"`` or ``"recall"`` of the mask's pixels, see :func:`scoring.overlap`;
            ``"pearson"`` or ``"cosine"`` of the upsampled map itself, without a threshold.

        Raises:
          ValueError: if there is no such measure.
          UserError: if it takes the correlation, which was not computed.

        References:
          Oikarinen and Weng, *NeuronEval*, ICML 2025 (arXiv 2506.05774): IoU, F1, Pearson's correlation and cosine
          pass both of their sanity checks, recall does not, so that units should not be ranked by it.
        """
        if name not in METRICS:
            raise ValueError(f"metric = {name!r}: choose one of {', '.join(METRICS)}")
        if name == "iou":
            return self.iou
        if name in scoring.OVERLAPS:
            return scoring.overlap(name, self.intersection, self.unit_area, self.label_area)
        if self.correlation is None:
            raise UserError(
                f"metric = {name!r}: the correlation was not computed; expected dissect(…, correlation=True)"
            )
        return self.correlation.pearson() if name == "pearson" else self.correlation.cosine()

    @property
    def category_of(self) -> Int[np.ndarray, " concepts"]:
        """The primary category of each concept, as an index into ``categories``."""
        return np.array([self.categories.index(category) for category in self.concepts["category"]])

    def best(self) -> pd.DataFrame:
        """A row per unit: ``unit`` (0-based), ``concept``, ``category`` (both empty without overlap), ``iou``."""
        return scoring.best_table(self.iou, self.concepts)

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

    def calibrated_detectors(self, chance: Chance, *, unique: bool = False) -> int:
        """Number of units that fit their best concept better than chance would, see :func:`calibrated`.

        Args:
          chance: of this layer, from :func:`interpjax.dissection.chance`.
          unique: whether to count the distinct concepts of these units instead.
        """
        return calibrated(self, chance, unique=unique)

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
        if isinstance(thresholds, str) or not isinstance(thresholds, Iterable):
            raise ValueError(f"thresholds = {thresholds!r}: expected a sequence of cuts, as [0.04, 0.05]")
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

    def bootstrap(self, samples: int = 1000, seed: int = 0) -> pd.DataFrame:
        """95 % intervals of the counts and of each unit's IoU over images, see :func:`significance.bootstrap`."""
        return significance.bootstrap(self, samples, seed)

    def to_csv(self, path: str | Path) -> None:
        """Writes NetDissect's ``tally.csv``: a row per unit, numbered from 1, in falling order of score."""
        tally_table(self).to_csv(path, index=False)

    def save(self, path: str | Path) -> None:
        """Writes everything to a file of this very name, in NumPy's npz format, that :meth:`load` reads; no pickles."""
        npz.write(path, stored.arrays_of(self))

    @classmethod
    def load(cls, path: str | Path) -> "Dissection":
        """Reads what :meth:`save` wrote.

        Raises:
          OSError: if the file cannot be read.
          UserError: naming it, if it is damaged or something else.
        """
        return cls(**stored.read(path))
