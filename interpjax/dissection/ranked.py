"""The largest values of each unit of a stream, of which only some are kept, by their rank."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class ByUnit(NamedTuple):
    """Values of units, in the order of the units, and rising within each: so none needs to name its unit.

    Attributes:
      start: where each unit's values start in ``value``; one more, where the last stop.
      value: themselves.
    """

    start: Int[np.ndarray, " units_and_one"]
    value: Float[np.ndarray, " kept"]

    @classmethod
    def nothing(cls, units: int, dtype: np.dtype) -> "ByUnit":
        """No values of so many units."""
        return cls(np.zeros(units + 1, np.int64), np.zeros(0, dtype))

    @property
    def nbytes(self) -> int:
        """Bytes of the values and of where they start."""
        return self.start.nbytes + self.value.nbytes

    def of(self, unit: int) -> Float[np.ndarray, " values"]:
        """The values of one unit."""
        return self.value[self.start[unit] : self.start[unit + 1]]

    def merged(self, unit: Int[np.ndarray, " new"], value: Float[np.ndarray, " new"]) -> "ByUnit":
        """With further values, each of the unit that is given beside it."""
        order = np.argsort(unit, kind="stable")
        value, units = value[order], len(self.start) - 1
        further = np.searchsorted(unit[order], np.arange(units + 1))
        start, found = self.start + further, np.empty(len(self.value) + len(value), self.value.dtype)
        for one in range(units):
            part = found[start[one] : start[one + 1]]
            kept = self.of(one)
            part[: len(kept)] = kept
            part[len(kept) :] = np.sort(value[further[one] : further[one + 1]])
            part.sort(kind="stable")  # which merges two parts that are sorted
        return ByUnit(start, found)

    def cut(self, first: Sequence[int], stop: Sequence[int]) -> "ByUnit":
        """Of each unit only its values from one place to another."""
        parts = [self.of(unit)[slice(*ends)] for unit, ends in enumerate(zip(first, stop, strict=True))]
        return ByUnit(np.cumsum([0, *map(len, parts)]), np.concatenate(parts))


class Ranked(NamedTuple):
    """So many above an upper limit, those at it, those kept between the limits, those at the lower one.

    Attributes:
      above: how many are above the upper limit.
      at_upper: how many equal it.
      at_lower: how many equal the lower one, where that is not the upper one too.
      lower: that limit.
      upper: that limit.
      between: the values between the limits.
    """

    above: Int[np.ndarray, " units"]
    at_upper: Int[np.ndarray, " units"]
    at_lower: Int[np.ndarray, " units"]
    lower: Float[np.ndarray, " units"]
    upper: Float[np.ndarray, " units"]
    between: ByUnit

    def number(self) -> Int[np.ndarray, " units"]:
        """How many there are."""
        return self.above + self.at_upper + np.diff(self.between.start) + self.at_lower

    def at(
        self, rank: Int[np.ndarray, " units"], otherwise: Float[np.ndarray, " units"]
    ) -> Float[np.ndarray, " units"]:
        """The value at a rank from the top, from 0; ``otherwise`` where it is not known."""
        start, value = self.between
        first = self.above + self.at_upper  # rank of the largest that is kept
        place = np.clip(start[1:] - 1 - (rank - first), 0, max(len(value) - 1, 0))
        found = value[place] if len(value) else otherwise
        found = np.where(rank < first, self.upper, found)
        found = np.where(rank >= first + np.diff(start), self.lower, found)
        return np.where((rank < self.above) | (rank >= self.number()), otherwise, found)
