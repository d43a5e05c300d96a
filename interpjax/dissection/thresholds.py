"""Exact quantiles of a stream, one per unit, without keeping the stream."""

import math

import numpy as np
from jaxtyping import Float


class TopQuantile:
    """The exact (1 − top_quantile) quantile of every column of a stream of values.

    Only the largest values can matter, so only they are kept: about ``top_quantile`` of the stream, in its own
    dtype. The result equals ``np.quantile(all_values, 1 - top_quantile, axis=0)`` (method ``linear``, in float64)
    bit for bit.
    """

    def __init__(self, top_quantile: float, most_rows: int, units: int):
        """Starts with no values.

        Args:
          top_quantile: share of values above the quantile, in (0, 1).
          most_rows: the stream is not longer than this.
          units: number of columns.
        """
        self._quantile = 1 - top_quantile
        self._most_rows = most_rows
        self._keep = most_rows - math.floor(self._quantile * (most_rows - 1))
        self._top = np.empty((0, units), np.float32)
        self._pending: list[np.ndarray] = []
        self._pending_rows = 0
        self.rows = 0

    def update(self, values: Float[np.ndarray, "rows units"]) -> None:
        """Takes a part of the stream.

        Raises:
          ValueError: if there are more rows than announced.
        """
        self.rows += len(values)
        if self.rows > self._most_rows:
            raise ValueError(f"{self.rows} rows came, at most {self._most_rows} were announced")
        self._pending.append(values)
        self._pending_rows += len(values)
        if self._pending_rows > max(self._keep, 4096):
            self._merge()

    def result(self) -> Float[np.ndarray, " units"]:
        """The quantiles of what has come so far, in float64.

        Raises:
          ValueError: if nothing has come.
        """
        if not self.rows:
            raise ValueError("no activations came: a threshold needs at least one image")
        self._merge()
        position = self._quantile * (self.rows - 1)
        below = math.floor(position)
        ascending = np.sort(self._top.astype(np.float64), axis=0)
        dropped = self.rows - len(ascending)
        low = ascending[below - dropped]
        high = ascending[min(below + 1, self.rows - 1) - dropped]
        return _interpolate(low, high, position - below)

    def _merge(self) -> None:
        values = np.concatenate([self._top, *self._pending]) if self.rows else self._top
        if len(values) > self._keep:
            values = np.partition(values, len(values) - self._keep, axis=0)[-self._keep :]
        self._top, self._pending, self._pending_rows = values, [], 0


def _interpolate(low: np.ndarray, high: np.ndarray, weight: float) -> np.ndarray:
    """Between two order statistics from the nearer end, as numpy's quantile does, so that the result is the same."""
    difference = high - low
    return np.where(weight >= 0.5, high - difference * (1 - weight), low + difference * weight)
