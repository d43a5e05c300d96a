"""Exact quantiles of a stream that keep only what is undecided: the values between two limits that close in.

Half a percent of all activations is much. But a few hundred images, in random order, already tell a quantile roughly,
so that only the values near it can be it: those above are counted, those below are dropped. The nearer the end, the
narrower the bracket.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from interpjax.dissection.passes import State
from interpjax.dissection.ranked import ByUnit, Ranked
from interpjax.dissection.thresholds import interpolate

Z = 4.0  # standard errors on each side of the estimate: on real maps no unit of 544 left its bracket
GROWTH = 1.25  # the bracket is narrowed each time that the images have grown by this
DEEPEST = 6  # times the quantile's share: the lowest rank to which the opening images are sorted


class Found(NamedTuple):
    """Quantiles, and which of them are not known since they left their bracket."""

    values: Float[np.ndarray, " units"]
    outside: Bool[np.ndarray, " units"]


class Bracket:
    """The (1 − top_quantile) quantile of every unit of a layer, between two limits.

    Plateaus are counted: of values that equal a limit only the number is kept.

    Attributes:
      lower: of each unit; values below it are dropped. −∞ at first.
      upper: of each unit; values above it are counted.
      over: values above these are wanted: from the lower limit on. But where it was the least value so far, equal ones
        are not needed, since all that is not above it then equals it; a unit that is hardly ever active has many.
    """

    def __init__(self, top_quantile: float, images: int, positions: int, units: int, dtype: np.dtype):
        """Starts wide open.

        Args:
          top_quantile: share of values above the quantile, in (0, 1).
          images: so many will come at most, of all processes.
          positions: of each image's map.
          units: how many there are.
          dtype: of the values.
        """
        self._share, self._images, self._positions = top_quantile, images, positions
        self.lower, self.upper = np.full(units, -np.inf, dtype), np.full(units, np.inf, dtype)
        self.over = self.lower
        self._middle = self.upper  # what the quantile is taken for at present
        self._seen, self._narrow_at = 0, 0.0
        self._above, self._at_upper, self._at_lower = (np.zeros(units, np.int64) for _ in range(3))
        self._least = np.full(units, np.inf, dtype)
        # Sums over images of the share of positions above the middle, and of its square.
        self._shares, self._squares = np.zeros(units), np.zeros(units)
        self._between = ByUnit.nothing(units, dtype)
        # Values that came since the bracket was narrowed, and their units.
        self._unit, self._value = [np.zeros(0, np.int32)], [np.zeros(0, dtype)]

    @property
    def nbytes(self) -> int:
        """Bytes of the values kept at present."""
        return self._between.nbytes + sum(part.nbytes for part in [*self._unit, *self._value])

    def open(self, sample: Float[np.ndarray, "images some_positions units"]) -> None:
        """Sets the limits by the first images.

        Args:
          sample: their maps, or evenly spread positions of them.
        """
        images, positions, units = sample.shape
        rows = images * positions
        deepest = min(rows, math.ceil(DEEPEST * self._share * rows) + 2)
        top = np.partition(sample.reshape(rows, units).T, rows - deepest, axis=1)[:, rows - deepest :]
        top = np.sort(top, axis=1)[:, ::-1]  # falling
        self._middle = top[:, min(int(self._share * rows), deepest - 1)]
        shares = np.count_nonzero(sample > self._middle, axis=1) / positions
        drawn = rows / (self._images * self._positions)
        first, last = self._ranks(shares.std(axis=0, ddof=min(1, images - 1)), images, rows, drawn)
        unit = np.arange(units)
        self.upper = np.where(first < 0, np.inf, top[unit, np.clip(first, 0, deepest - 1)]).astype(top.dtype)
        lower = np.where(last >= rows, -np.inf, top[unit, np.clip(last, 0, deepest - 1)]).astype(top.dtype)
        self.lower = np.minimum(lower, self.upper)
        self.over = np.where(self.lower > sample.min(axis=(0, 1)), _just_below(self.lower), self.lower)
        self._narrow_at = GROWTH * images

    def _ranks(
        self, spread: Float[np.ndarray, " units"], images: int, rows: int, drawn: float
    ) -> tuple[Int[np.ndarray, " units"], Int[np.ndarray, " units"]]:
        """Ranks from the top, from 0, that hold the quantile's between them.

        The error of the share above a value is that of a mean over images, which come in random order; as they are
        drawn without replacement, it vanishes at the last one.
        """
        error = Z * spread / math.sqrt(images) * math.sqrt(max(0.0, 1 - drawn))
        first = np.floor((self._share - error) * rows) - 2
        return first.astype(np.int64), (np.ceil((self._share + error) * rows) + 2).astype(np.int64)

    def add(
        self,
        images: int,
        least: Float[np.ndarray, " units"],
        image: Int[np.ndarray, " values"],
        unit: Int[np.ndarray, " values"],
        value: Float[np.ndarray, " values"],
    ) -> None:
        """Takes the values of some images that are above ``over``.

        Args:
          images: how many there are.
          least: the least of all their values, of each unit.
          image: of each value, from 0.
          unit: of each value.
          value: themselves.
        """
        units = len(self.lower)
        self._seen += images
        self._least = np.minimum(self._least, least)
        own = value > self._middle[unit]
        counts = np.bincount(image[own] * units + unit[own], minlength=images * units).reshape(images, units)
        shares = counts / self._positions
        self._shares += shares.sum(axis=0)
        self._squares += np.square(shares).sum(axis=0)
        self._keep(unit, value)

    def _keep(self, unit: np.ndarray, value: np.ndarray) -> None:
        lower, upper, units = self.lower[unit], self.upper[unit], len(self.lower)
        self._above += np.bincount(unit[value > upper], minlength=units)
        self._at_upper += np.bincount(unit[value == upper], minlength=units)
        self._at_lower += np.bincount(unit[(value == lower) & (value < upper)], minlength=units)
        own = (value < upper) & (value > lower)
        self._unit.append(unit[own].astype(np.int32))
        self._value.append(value[own])

    def narrow(self) -> None:
        """Closes in, if enough images have come since the last time."""
        if self._seen < self._narrow_at or not self._seen:
            return
        self._narrow_at = GROWTH * self._seen
        rows = self._seen * self._positions
        mean = self._shares / self._seen
        spread = np.sqrt(np.maximum(self._squares / self._seen - mean**2, 0) * self._seen / max(self._seen - 1, 1))
        first, last = self._ranks(spread, self._seen, rows, self._seen / self._images)
        ranked = self._ranked()
        upper, lower = ranked.at(first, self.upper), ranked.at(last, self.lower)
        self._middle = ranked.at(np.full(len(first), int(self._share * rows)), self._middle)
        self._limit(np.minimum(lower, upper), upper)

    def _limit(self, lower: np.ndarray, upper: np.ndarray) -> None:
        """Sets limits within the present ones, when all that is between those is sorted."""
        self._above += np.where(upper < self.upper, self._at_upper, 0)
        self._at_upper = np.where(upper < self.upper, 0, self._at_upper)
        self._at_lower = np.where(lower > self.lower, 0, self._at_lower)
        self.over = np.where(lower > self.lower, _just_below(lower), self.over)
        self.lower, self.upper = lower, upper
        places = np.zeros((4, len(lower)), np.int64)  # of each unit's first value at each limit, and beyond it
        for unit in range(len(lower)):
            limits, values = np.array([lower[unit], upper[unit]], lower.dtype), self._between.of(unit)
            places[:2, unit], places[2:, unit] = (np.searchsorted(values, limits, side) for side in ("left", "right"))
        at_lower, at_upper, over_lower, over_upper = places
        self._above += np.diff(self._between.start) - over_upper
        self._at_upper += over_upper - at_upper
        self._at_lower += np.where(lower < upper, over_lower - at_lower, 0)
        self._between = self._between.cut(over_lower.tolist(), at_upper.tolist())

    def _ranked(self) -> Ranked:
        """All that is known of the ranks; what came of late is sorted in."""
        if len(self._unit) > 1 or len(self._unit[0]):
            self._between = self._between.merged(np.concatenate(self._unit), np.concatenate(self._value))
            self._unit, self._value = [self._unit[0][:0]], [self._value[0][:0]]
        return Ranked(self._above, self._at_upper, self._at_lower, self.lower, self.upper, self._between)

    def found(self) -> Found:
        """The quantiles of all that came, as ``np.quantile`` has them of a full sort (float64, method ``linear``).

        Raises:
          ValueError: if nothing came.
        """
        if not self._seen:
            raise ValueError("no activations came: expected at least one image")
        rows, ranked = self._seen * self._positions, self._ranked()
        position = (1 - self._share) * (rows - 1)
        below = math.floor(position)
        ends, outside = [], self.lower > self.upper
        for rank in (below, min(below + 1, rows - 1)):
            from_top = np.full(len(self.lower), rows - 1 - rank)
            # Beyond those that are known all are the least one, where that is the lower limit.
            least = (from_top >= ranked.number()) & (self._least >= self.lower)
            value = np.where(least, self._least, ranked.at(from_top, np.full_like(self.lower, np.nan)))
            outside = outside | np.isnan(value)
            ends.append(value.astype(np.float64) + 0.0)  # no zero is negative
        return Found(interpolate(ends[0], ends[1], position - below), outside)

    def state(self) -> State:
        """All that came, for :meth:`restore` and :meth:`joined`."""
        arrays = {name: getattr(self, name) for name in ("lower", "upper", "over")}
        arrays |= {name: getattr(self, f"_{name}") for name in _SUMS}
        numbers = {"seen": np.array(self._seen), "narrow_at": np.array(self._narrow_at)}
        numbers |= {"stream": np.array([self._share, self._images, self._positions])}
        between = self._ranked().between
        return arrays | numbers | {"start": between.start, "between": between.value}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes the place of another one, by its state."""
        self.lower, self.upper, self.over = state["lower"], state["upper"], state["over"]
        for name in _SUMS:
            setattr(self, f"_{name}", state[name])
        self._seen, self._narrow_at = int(state["seen"]), float(state["narrow_at"])
        self._between = ByUnit(state["start"], state["between"])

    @classmethod
    def joined(cls, states: Sequence[Mapping[str, np.ndarray]]) -> "Bracket":
        """That of all processes, for :meth:`found`: between the highest lower and the lowest upper limit."""
        lower = np.max([state["lower"] for state in states], axis=0)
        upper = np.min([state["upper"] for state in states], axis=0)
        share, images, positions = states[0]["stream"].tolist()
        whole = cls(share, int(images), int(positions), len(lower), lower.dtype)
        whole.lower, whole.upper = lower, upper
        for state in states:
            whole._seen += int(state["seen"])
            whole._least = np.minimum(whole._least, state["least"])
            whole._above += state["above"] + np.where(state["upper"] > upper, state["at_upper"], 0)
            whole._at_upper += np.where(state["upper"] > upper, 0, state["at_upper"])
            whole._at_lower += np.where(state["lower"] < lower, 0, state["at_lower"])
            units = np.arange(len(lower), dtype=np.int32)
            whole._keep(np.repeat(units, np.diff(state["start"])), state["between"])
        return whole


def _just_below(values: np.ndarray) -> np.ndarray:
    """The next smaller numbers that are not denormal, since XLA takes those for 0."""
    kind = values.dtype.type
    below = np.nextafter(values, kind(-np.inf))
    tiny = np.finfo(kind).tiny
    return np.where((below < 0) & (below > -tiny), -tiny, below)


_SUMS = ("middle", "above", "at_upper", "at_lower", "least", "shares", "squares")
