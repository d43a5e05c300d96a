"""What a layer's dissection would find by chance, and how many detectors are left above it."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, runtime_checkable
from typing import Protocol as Interface

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from interpjax.dissection import npz, scoring
from interpjax.dissection.protocol import Protocol
from interpjax.errors import UserError

KINDS = ("labels", "rotation", "untrained")


@runtime_checkable
class Scored(Interface):
    """What is asked here of a :class:`~interpjax.dissection.Dissection`, which has all of it."""

    @property
    def concepts(self) -> pd.DataFrame:
        """A row per concept."""

    @property
    def protocol(self) -> Protocol:
        """By which was counted."""

    @property
    def iou(self) -> Float[np.ndarray, "units concepts"]:
        """Intersection over union."""

    def unique_detectors(self) -> int:
        """Number of distinct concepts that have a detector."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Chance:
    """What chance gave in each draw for a layer. Two are equal if all that is saved of them is.

    Attributes:
      kind: ``"labels"``, labels shuffled between images; ``"rotation"``, maps rotated at random; ``"untrained"``,
        networks that were never trained.
      concepts: as of the :class:`~interpjax.dissection.Dissection`; its rows are the columns below.
      protocol: by which was counted.
      unique_detectors: in each draw, by the best label of each unit at the protocol's cut.
      best_iou: [draws, C] the largest IoU that any unit has with each concept.
      share: of the draws that may exceed a concept's cut, see :meth:`cuts`.

    Raises:
      ValueError: if there is no such kind, no draw, or the share is none.
    """

    kind: str
    concepts: pd.DataFrame
    protocol: Protocol
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
          ValueError: if there is none, or they differ in protocol or concepts.
        """
        if not results:
            raise ValueError("results: there is none; expected a Dissection for each draw")
        first = results[0]
        for number, result in enumerate(results):
            _check_alike(f"results[{number}]", first, result)
        return cls(
            kind=kind,
            concepts=first.concepts,
            protocol=first.protocol,
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
                unique_detectors=stored["unique_detectors"],
                best_iou=stored["best_iou"],
                share=float(stored["share"]),
            )
        except npz.DAMAGED as error:
            raise UserError(f"{path}: not a file that Chance.save wrote, or a damaged one") from error

    def _stored(self) -> dict[str, Any]:
        arrays = {name: np.asarray(getattr(self, name)) for name in ("kind", "unique_detectors", "best_iou", "share")}
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
      ValueError: if chance was drawn for other concepts or by another protocol.
    """
    _check_alike("chance", dissection, chance)
    column, score = scoring.best_concepts(dissection.iou)
    above = (score > 0) & (score > chance.cuts()[column])
    return len(np.unique(column[above])) if unique else int(above.sum())


def _check_alike(name: str, expected: Scored | Chance, given: Scored | Chance) -> None:
    if not np.array_equal(expected.concepts["number"], given.concepts["number"]):
        raise ValueError(
            f"{name}: it has {len(given.concepts)} concepts; expected the same {len(expected.concepts)}, with the same "
            "numbers"
        )
    ours, theirs = (dataclasses.replace(one.protocol, name="") for one in (expected, given))
    if ours != theirs:
        raise ValueError(f"{name}: counted by {given.protocol.describe()}; expected {expected.protocol.describe()}")


def _whole_part(share: float, draws: int) -> int:
    """So many draws are the share, rounded down; what the product itself is rounded by does not count."""
    return math.floor(_check_share(share) * draws + 1e-9)


def _check_share(share: float) -> float:
    if not 0 <= share < 1:
        raise ValueError(f"share = {share}: expected a number of 0 or more and below 1")
    return share
