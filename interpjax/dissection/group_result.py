"""What dissection found in the groups of a layer, beside random groups of the same sizes."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.special import entr

from interpjax.dissection import npz, scoring, tally

ARRAYS = ("detects", "group_of", "intersection", "unit_area", "label_area", "random_of", "random_iou")
BOUNDS = (0.025, 0.975)
MEASURES = ("purity", "entropy", "iou")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class GroupResult:
    """G groups of a layer's K units against C concepts. Two are equal if all that is saved of them is.

    The mask of a group is the union of its units' masks; IoU and detected concepts of a group are of that. Purity and
    entropy are of the detectors among its units. All three hang on a group's size, so they are given beside those of
    random groups of that size: units that have changed their places at random.

    Attributes:
      concepts: as of the layer's :class:`Dissection`.
      detector_iou: the IoU from which a group, as a unit, is a detector.
      detects: [K] the concept that each unit is a detector of, as a row of ``concepts``; −1 if it is none.
      group_of: [K] the group of each unit; −1 if it is in none.
      intersection: [G, C] pixels in a group's mask and the concept, over all images.
      unit_area: [G, C] pixels of a group's mask in the images that count for the concept.
      label_area: [C] pixels of the concept.
      random_of: [draws, K] as ``group_of``, of random groupings.
      random_iou: [draws, G] the best IoU of each random group's mask.
      relevance: [G] of the groups to the network, as it was given; None if it was not.
    """

    concepts: pd.DataFrame
    detector_iou: float
    detects: Int[np.ndarray, " units"]
    group_of: Int[np.ndarray, " units"]
    intersection: Int[np.ndarray, "groups concepts"]
    unit_area: Int[np.ndarray, "groups concepts"]
    label_area: Int[np.ndarray, " concepts"]
    random_of: Int[np.ndarray, "draws units"]
    random_iou: Float[np.ndarray, "draws groups"]
    relevance: Float[np.ndarray, " groups"] | None = None

    def __repr__(self) -> str:
        purity, drawn = (_shown(_mean(values)) for values in (self.purity, self._random("purity")))
        return (
            f"GroupResult({len(self.sizes)} groups, {self.unique_detectors()} unique detectors; "
            f"mean purity {purity}, of random groups {drawn})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GroupResult):
            return NotImplemented
        return npz.equal(self.arrays(), other.arrays()) and list(self.concepts["name"]) == list(other.concepts["name"])

    @property
    def sizes(self) -> Int[np.ndarray, " groups"]:
        """[G] how many units each group has."""
        return np.bincount(self.group_of[self.group_of >= 0], minlength=len(self.intersection))

    @functools.cached_property
    def iou(self) -> Float[np.ndarray, "groups concepts"]:
        """[G, C] intersection over union of the groups' masks."""
        return tally.iou(self.intersection, self.unit_area, self.label_area)

    def best(self) -> pd.DataFrame:
        """A row per group: ``group`` (0-based), ``concept``, ``category`` (both empty without overlap), ``iou``."""
        return scoring.best_table(self.iou, self.concepts, "group")

    def detected(self) -> pd.DataFrame:
        """The rows of ``concepts`` that a group detects: its best one, at IoU ≥ ``detector_iou``."""
        best, score = scoring.best_concepts(self.iou)
        return self.concepts.iloc[np.unique(best[(score >= self.detector_iou) & (best >= 0)])]

    def unique_detectors(self) -> int:
        """Number of distinct concepts that groups detect."""
        return len(self.detected())

    @property
    def detectors(self) -> Int[np.ndarray, " groups"]:
        """[G] how many of each group's units are detectors."""
        return self._counts.sum(axis=1)

    @property
    def purity(self) -> Float[np.ndarray, " groups"]:
        """[G] the share of a group's detectors that have its most frequent concept; NaN without detectors."""
        return _purity(self._counts)

    @property
    def entropy(self) -> Float[np.ndarray, " groups"]:
        """[G] entropy of the concepts of a group's detectors, in bits: 0 if all have one; NaN without detectors."""
        return _entropy(self._counts)

    def random(self, measure: str) -> Float[np.ndarray, "3 groups"]:
        """What a measure is by chance: its mean, 2.5 and 97.5 percentile over random groups of each group's size.

        Groups without detectors are left out; NaN where there is none else.

        Args:
          measure: ``"purity"``, ``"entropy"``, or ``"iou"``, the best of the group's mask.

        Raises:
          ValueError: if there is no such measure.
        """
        values, sizes = self._random(measure), self.sizes
        found = np.empty((3, len(sizes)))
        for size in np.unique(sizes):
            found[:, sizes == size] = np.array(_spread(values[:, sizes == size]))[:, None]
        return found

    def table(self) -> pd.DataFrame:
        """A row per group, for people, with random groups of its size beside it.

        Columns: ``group``; ``units``, how many it has, and ``detectors`` among them; ``purity``, ``entropy`` and
        ``iou`` (the best of its mask), each followed by that of random groups, as ``purity_random`` (the mean),
        ``purity_low`` and ``purity_high`` (95 % of them); ``concept`` and ``category``, the best of its mask;
        ``main_concept``, the most frequent of its detectors; and ``relevance``, if it was given.
        """
        best, names = self.best(), self.concepts["name"].to_numpy()
        main = np.where(self.detectors > 0, names[self._counts.argmax(axis=1)], "")
        table = pd.DataFrame({"group": best["group"], "units": self.sizes, "detectors": self.detectors})
        for measure in MEASURES:
            table[measure] = best["iou"] if measure == "iou" else getattr(self, measure)
            for name, values in zip(("random", "low", "high"), self.random(measure), strict=True):
                table[f"{measure}_{name}"] = values
        table["concept"], table["category"], table["main_concept"] = best["concept"], best["category"], main
        return table if self.relevance is None else table.assign(relevance=self.relevance)

    def summary(self) -> dict[str, Any]:
        """For JSON: the means over groups beside those of random groupings, and the rows of :meth:`table`.

        ``low`` and ``high`` hold 95 % of the random groupings. None stands for what has no value: purity and entropy
        where there are no detectors. Groups are numbered from 1, as in all files.
        """
        own = {"purity": self.purity, "entropy": self.entropy, "iou": self.iou.max(axis=1)}
        means = {}
        for measure in MEASURES:
            drawn = np.array([_mean(draw) for draw in self._random(measure)])
            spread = dict(zip(("random", "low", "high"), map(_json, _spread(drawn)), strict=True))
            means[measure] = {"mean": _json(_mean(own[measure])), **spread}
        table = self.table()
        table["group"] += 1
        rows = [{name: _json(value) for name, value in row.items()} for row in table.to_dict("records")]
        return {
            "groups": len(self.sizes),
            "unique_detectors": self.unique_detectors(),
            "draws": len(self.random_of),
            "means": means,
            "by_group": rows,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """All that it holds but the concepts, by name, for :meth:`from_arrays`."""
        arrays = {name: getattr(self, name) for name in ARRAYS} | {"detector_iou": np.array(self.detector_iou)}
        return arrays if self.relevance is None else arrays | {"relevance": self.relevance}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], concepts: pd.DataFrame) -> "GroupResult":
        """What :meth:`arrays` gave.

        Raises:
          KeyError: if one is missing.
        """
        own = {name: arrays[name] for name in ARRAYS}
        return cls(concepts, float(arrays["detector_iou"]), **own, relevance=arrays.get("relevance"))

    @functools.cached_property
    def _counts(self) -> Int[np.ndarray, "groups concepts"]:
        """How many detectors of each concept each group has."""
        return _concepts(self.group_of, self.detects, *self.iou.shape)

    def _random(self, measure: str) -> Float[np.ndarray, "draws groups"]:
        if measure not in MEASURES:
            raise ValueError(f"measure = {measure!r}: choose one of {', '.join(MEASURES)}")
        if measure == "iou":
            return self.random_iou
        of = _purity if measure == "purity" else _entropy
        return np.stack([of(_concepts(own, self.detects, *self.iou.shape)) for own in self.random_of])


def _concepts(
    group_of: Int[np.ndarray, " units"], detects: Int[np.ndarray, " units"], groups: int, concepts: int
) -> Int[np.ndarray, "groups concepts"]:
    """How many detectors of each concept each group has."""
    counts = np.zeros((groups, concepts), np.int64)
    chosen = (group_of >= 0) & (detects >= 0)
    np.add.at(counts, (group_of[chosen], detects[chosen]), 1)
    return counts


def _purity(counts: Int[np.ndarray, "groups concepts"]) -> Float[np.ndarray, " groups"]:
    detectors = counts.sum(axis=1)
    return np.divide(counts.max(axis=1), detectors, out=np.full(len(counts), np.nan), where=detectors > 0)


def _entropy(counts: Int[np.ndarray, "groups concepts"]) -> Float[np.ndarray, " groups"]:
    detectors = counts.sum(axis=1)
    bits = entr(counts / np.maximum(detectors, 1)[:, None]).sum(axis=1) / math.log(2)
    return np.where(detectors > 0, bits, np.nan)


def _mean(values: np.ndarray) -> float:
    """Of those that are no NaN; NaN if all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _spread(values: np.ndarray) -> tuple[float, float, float]:
    """Mean, 2.5 and 97.5 percentile of those that are no NaN; NaN if all are."""
    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan, math.nan, math.nan
    low, high = np.quantile(known, BOUNDS).tolist()
    return float(known.mean()), low, high


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _shown(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.2f}"
