"""The largest values of each unit of a stream, of which only some are kept, by their rank."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Ranked(NamedTuple):
    """So many above an upper limit, those at it, those kept between the limits, those at the lower one.

    Attributes:
      above: how many are above the upper limit.
      at_upper: how many equal it.
      at_lower: how many equal the lower one, where that is not the upper one too.
      lower: that limit.
      upper: that limit.
      start: where each unit's values start in ``value``; one more, where the last stop.
      value: those between the limits, falling, unit by unit.
    """

    above: Int[np.ndarray, " units"]
    at_upper: Int[np.ndarray, " units"]
    at_lower: Int[np.ndarray, " units"]
    lower: Float[np.ndarray, " units"]
    upper: Float[np.ndarray, " units"]
    start: Int[np.ndarray, " units_and_one"]
    value: Float[np.ndarray, " kept"]

    def number(self) -> Int[np.ndarray, " units"]:
        """How many there are."""
        return self.above + self.at_upper + np.diff(self.start) + self.at_lower

    def at(
        self, rank: Int[np.ndarray, " units"], otherwise: Float[np.ndarray, " units"]
    ) -> Float[np.ndarray, " units"]:
        """The value at a rank from the top, from 0; ``otherwise`` where it is not known."""
        first = self.above + self.at_upper  # rank of the first that is kept
        place = np.clip(self.start[:-1] + rank - first, 0, max(len(self.value) - 1, 0))
        found = self.value[place] if len(self.value) else otherwise
        found = np.where(rank < first, self.upper, found)
        found = np.where(rank >= first + np.diff(self.start), self.lower, found)
        return np.where((rank < self.above) | (rank >= self.number()), otherwise, found)
