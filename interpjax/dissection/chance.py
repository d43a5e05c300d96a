"""What a layer's dissection would find by chance, and how many detectors are left above it."""

import dataclasses
import json
import math
import numbers
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from interpjax.dissection import npz, scoring
from interpjax.dissection.alike import Counted, Scored, check_alike
from interpjax.dissection.protocol import Protocol
from interpjax.errors import UserError

KINDS = ("labels", "rotation", "untrained")
STORED = ("kind", "units", "label_area", "unique_detectors", "best_iou", "share")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Chance:
    """What chance gave in each draw for a layer. Two are equal if all that is saved of them is.

    Attributes:
      kind: ``"labels"``, labels shuffled between images; ``"rotation"``, maps rotated at random; ``"untrained"``,
        networks that were never trained.
      concepts: as of the :class:`~interpjax.dissection.Dissection`; its rows are the columns below.
      protocol: by which was counted.
      units: how many the layer has.
      label_area: [C] pixels of each concept, by which the images are known again.
      unique_detectors: in each draw, by the best label of each unit at the protocol's cut.
      best_iou: [draws, C] the largest IoU that any unit has with each concept.
      share: of the draws that may exceed a concept's cut, see :meth:`cuts`.

    Raises:
      ValueError: if there is no such kind, no draw, or the share is none.
    """

    kind: str
    concepts: pd.DataFrame
    protocol: Protocol
    units: int
    label_area: Int[np.ndarray, " concepts"]
    unique_detectors: Int[np.ndarray, " draws"]
    best_iou: Float[np.ndarray, "draws concepts"]
    share: float = 0.05

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind = {self.kind!r}: expected one of {', '.join(KINDS)}")
        if not len(self.unique_detectors):
            raise ValueError("unique_detectors: there is no draw; expected one at least")
        _check_share(self.share)

    @classmethod
    def from_dissections(cls, results: Sequence[Scored], *, kind: str = "untrained") -> "Chance":
        """Takes dissections of one layer as draws of chance, such as those of networks that were never trained.

        Args:
          results: of the layer, a draw each; by one protocol, against the same concepts.
          kind: of chance.

        Raises:
          ValueError: if there is none, one is no Dissection, or they differ in protocol, concepts, units or images.
        """
        if not isinstance(results, Sequence):
            raise ValueError(f"results: a {type(results).__name__}; expected a list with a Dissection for each draw")
        if not results:
            raise ValueError("results: there is none; expected a Dissection for each draw")
        first = results[0]
        for number, result in enumerate(results):
            if not isinstance(result, Scored):
                raise ValueError(f"results[{number}]: a {type(result).__name__}; expected a Dissection of the layer")
            check_alike(f"results[{number}]", Counted.of(first), Counted.of(result))
        return cls(
            kind=kind,
            concepts=first.concepts,
            protocol=first.protocol,
            units=len(first.iou),
            label_area=first.label_area,
            unique_detectors=np.array([result.unique_detectors() for result in results]),
            best_iou=np.stack([result.iou.max(axis=0) for result in results]),
        )

    def __repr__(self) -> str:
        low, high = self.interval()
        found = f"{self.mean:.1f} unique detectors in the mean of {self.draws} draws, {low} to {high} in most"
        return f"Chance({self.kind}: {found}; {self.protocol.describe()})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Chance):
            return NotImplemented
        return npz.equal(self._stored(), other._stored())

    @property
    def draws(self) -> int:
        """How many there are."""
        return len(self.unique_detectors)

    @property
    def mean(self) -> float:
        """Unique detectors in the mean of the draws."""
        return float(self.unique_detectors.mean())

    def interval(self, share: float = 0.05) -> tuple[int, int]:
        """Unique detectors of most draws, see :func:`interval`."""
        return interval(self.unique_detectors, share)

    def cuts(self, share: float | None = None) -> Float[np.ndarray, " concepts"]:
        """For each concept, the IoU that chance exceeds with its best unit in no more than a share of the draws.

        It is the smallest of the draws' own values for which this holds, where share · draws is rounded down; so it is
        the largest of them all where there are few, at 5 % fewer than 20.

        Args:
          share: by default this object's, 0.05.

        Raises:
          ValueError: if the share is not from 0 to below 1.
        """
        share = self.share if share is None else share
        return np.sort(self.best_iou, axis=0)[self.draws - 1 - _whole_part(share, self.draws)]

    def save(self, path: str | Path) -> None:
        """Writes everything to a file of this very name, in NumPy's npz format, that :meth:`load` reads; no pickles."""
        npz.write(path, self._stored())

    @classmethod
    def load(cls, path: str | Path) -> "Chance":
        """Reads what :meth:`save` wrote.

        Raises:
          OSError: if the file cannot be read.
          UserError: naming it, if it is damaged or something else.
        """
        try:
            stored = npz.read(path)
            return cls(
                kind=str(stored["kind"]),
                concepts=npz.concepts_of(stored),
                protocol=Protocol(**json.loads(str(stored["protocol"]))),
                units=int(stored["units"]),
                label_area=stored["label_area"],
                unique_detectors=stored["unique_detectors"],
                best_iou=stored["best_iou"],
                share=float(stored["share"]),
            )
        except npz.DAMAGED as error:
            raise UserError(f"{path}: not a file that Chance.save wrote, or a damaged one") from error

    def _stored(self) -> dict[str, Any]:
        arrays = {name: np.asarray(getattr(self, name)) for name in STORED}
        protocol = np.array(json.dumps(dataclasses.asdict(self.protocol), sort_keys=True))
        return arrays | npz.of_concepts(self.concepts) | {"protocol": protocol}


def interval(counts: Int[np.ndarray, " draws"], share: float = 0.05) -> tuple[int, int]:
    """The smallest and the largest number in all draws but for a share of them.

    Half of these are left out on either side, rounded down: none of fewer than 40 draws at 5 %.

    Raises:
      ValueError: if the share is not from 0 to below 1.
    """
    ordered, out = np.sort(counts), _whole_part(share / 2, len(counts))
    return int(ordered[out]), int(ordered[len(ordered) - 1 - out])


def calibrated(dissection: Scored, chance: Chance, *, unique: bool = False) -> int:
    """Units whose IoU with their best concept is above the cut that chance gives this concept, and above 0.

    A cut holds for the best of all units, so however many units there are, a concept has one above it by chance in no
    more than 5 % of cases; of 100 concepts, five may.

    Args:
      dissection: of the layer.
      chance: of the same layer, data and protocol.
      unique: whether to count the distinct concepts of these units instead.

    Raises:
      ValueError: if it is no Chance, or was drawn for other concepts, by another protocol, or of a layer with another
        number of units or on images with other labels.
    """
    if not isinstance(chance, Chance):
        raise ValueError(f"chance: a {type(chance).__name__}; expected the Chance of this layer, as chance['conv5']")
    drawn = Counted(chance.concepts, chance.protocol, chance.units, chance.label_area)
    check_alike("chance", Counted.of(dissection), drawn)
    column, score = scoring.best_concepts(dissection.iou)
    above = (score > 0) & (score > chance.cuts()[column])
    return len(np.unique(column[above])) if unique else int(above.sum())


def _whole_part(share: float, draws: int) -> int:
    """So many draws are the share, rounded down; what the product itself is rounded by does not count."""
    return math.floor(_check_share(share) * draws + 1e-9)


def _check_share(share: float) -> float:
    if isinstance(share, bool) or not isinstance(share, numbers.Real) or not 0 <= share < 1:
        raise ValueError(f"share = {share!r}: expected a number of 0 or more and below 1")
    return float(share)
