"""Exact quantiles of a stream by its largest values, one a unit, and the images on which each unit is most active."""

import math
import threading
from collections.abc import Mapping

import numpy as np
from jaxtyping import Array, Float, Int

from interpjax.dissection.denormals import flush_denormals
from interpjax.dissection.passes import Held, State, Work

SPARE = 0.25  # of the values that can matter: room for new ones, so that the least of them are seldom searched for
LEAST_SPARE = 1024


class TopQuantile:
    """The exact (1 − top_quantile) quantiles of every column of a stream of values.

    Only the largest values can matter, so only they are kept, in their own dtype: ``top_quantile`` of the stream and
    a quarter of that to spare. The result equals ``np.quantile(all_values, 1 - top_quantile, axis=0)`` (method
    ``linear``, in float64) bit for bit, in whatever order and parts the values come.
    """

    def __init__(self, top_quantile: float, most_rows: int, units: int, dtype: np.dtype | type = np.float32):
        """Starts with no values.

        Args:
          top_quantile: share of values above the quantile, in (0, 1).
          most_rows: the stream is not longer than this.
          units: number of columns.
          dtype: of the values.
        """
        self.top_quantile, self.most_rows, self.rows = top_quantile, most_rows, 0
        self._keep, self._spare = _rows_that_matter(top_quantile, most_rows)
        # Negated, so that a partition puts the largest values first; what is not filled is infinite.
        self._negated = np.full((units, kept_rows(top_quantile, most_rows)), np.inf, dtype)
        self._filled = np.zeros(units, np.int64)
        self._cutoff = np.full(units, -np.inf, dtype)  # values up to it cannot matter any more

    @property
    def nbytes(self) -> int:
        """Bytes of the values kept: fixed from the start."""
        return self._negated.nbytes

    def update(self, values: Float[np.ndarray, "rows units"]) -> None:
        """Takes a part of the stream.

        Raises:
          ValueError: if there are more rows than announced.
        """
        self._announce(len(values))
        for start in range(0, len(values), self._spare):
            self._take(values[start : start + self._spare])

    def state(self) -> dict[str, np.ndarray]:
        """What has come so far, for :meth:`merge`."""
        return {"rows": np.array(self.rows), "negated": self._negated}

    def merge(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes what another one of the same stream has seen.

        Raises:
          ValueError: if there are more rows than announced.
        """
        self._announce(int(state["rows"]))
        values = state["negated"]
        for start in range(0, values.shape[1], self._spare):
            self._take(-values[:, start : start + self._spare].T)

    def result(self, top_quantile: float | None = None) -> Float[np.ndarray, " units"]:
        """The quantiles of what has come so far, in float64.

        Args:
          top_quantile: by default that of the stream; or a smaller one.

        Raises:
          ValueError: if nothing has come, or the values that matter to this ``top_quantile`` were not kept.
        """
        if not self.rows:
            raise ValueError("no activations came: expected at least one image")
        share = self.top_quantile if top_quantile is None else top_quantile
        if share > self.top_quantile:
            raise ValueError(f"top_quantile = {share}: expected at most the stream's, {self.top_quantile}")
        position = (1 - share) * (self.rows - 1)
        below = math.floor(position)
        self._negated.sort(axis=1)
        low, high = (
            -self._negated[:, self.rows - 1 - rank].astype(np.float64) + 0.0  # no zero is negative
            for rank in (below, min(below + 1, self.rows - 1))
        )
        return interpolate(low, high, position - below)

    def _announce(self, rows: int) -> None:
        self.rows += rows
        if self.rows > self.most_rows:
            raise ValueError(f"{self.rows} rows came, at most {self.most_rows} were announced")

    def _take(self, values: np.ndarray) -> None:
        above = values > self._cutoff
        count = np.count_nonzero(above, axis=0)
        if (self._filled + count).max() > self._negated.shape[1]:
            self._drop_the_least()
            above = values > self._cutoff
            count = np.count_nonzero(above, axis=0)
        row, unit = np.nonzero(above)
        order = np.argsort(unit, kind="stable")
        row, unit = row[order], unit[order]
        place = np.arange(len(unit)) + np.repeat(self._filled - (np.cumsum(count) - count), count)
        self._negated[unit, place] = -values[row, unit]
        self._filled += count

    def _drop_the_least(self) -> None:
        self._negated.partition(self._keep - 1, axis=1)
        self._negated[:, self._keep :] = np.inf
        self._cutoff = -self._negated[:, self._keep - 1]
        self._filled = np.minimum(self._filled, self._keep)


def kept_rows(top_quantile: float, most_rows: int) -> int:
    """How many values of a column a :class:`TopQuantile` of these arguments keeps."""
    return min(sum(_rows_that_matter(top_quantile, most_rows)), most_rows)


def _rows_that_matter(top_quantile: float, most_rows: int) -> tuple[int, int]:
    """How many of the largest values can matter, and for how many more there is room."""
    keep = most_rows - math.floor((1 - top_quantile) * (most_rows - 1))
    return keep, max(math.ceil(SPARE * keep), LEAST_SPARE)


def interpolate(low: np.ndarray, high: np.ndarray, weight: float) -> np.ndarray:
    """Between two order statistics from the nearer end, as numpy's quantile does, so that the result is the same."""
    difference = high - low
    return np.where(weight >= 0.5, high - difference * (1 - weight), low + difference * weight)


class TopImages:
    """The images on which each unit's maximum is largest, of a stream of them; of equals those of lower number."""

    def __init__(self, keep: int, units: int):
        self._keep = keep
        self.numbers = np.zeros((units, 0), np.int64)
        self.values = np.zeros((units, 0))

    def update(self, numbers: Int[np.ndarray, " batch"], maxima: Float[np.ndarray, "batch units"]) -> None:
        """Takes a batch."""
        self.merge({"numbers": np.broadcast_to(numbers, maxima.T.shape), "values": maxima.T.astype(np.float64)})

    def state(self) -> dict[str, np.ndarray]:
        """What has come so far, for :meth:`merge`."""
        return {"numbers": self.numbers, "values": self.values}

    def merge(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes what another one has seen."""
        if not self._keep:
            return
        values, numbers = state["values"], state["numbers"]
        units = np.arange(len(self.values))
        if self.values.shape[1] == self._keep:  # most batches change few units
            units = np.flatnonzero((values >= self.values[:, -1:]).any(axis=1))
        values = np.concatenate([self.values[units], values[units]], axis=1)
        numbers = np.concatenate([self.numbers[units], numbers[units]], axis=1)
        order = np.lexsort((numbers, -values), axis=1)[:, : self._keep]
        values, numbers = (np.take_along_axis(own, order, axis=1) for own in (values, numbers))
        if len(units) == len(self.values):
            self.values, self.numbers = values, numbers
        else:
            self.values[units], self.numbers[units] = values, numbers


class Thresholds:
    """Exact thresholds of some units, by all of their activations."""

    def __init__(self, units: Mapping[tuple[float, str], Int[np.ndarray, " chosen"]], images: int):
        """Starts empty.

        Args:
          units: numbers of the units, by quantile and layer.
          images: at most so many come.
        """
        self._units, self._images = units, images
        self._lock = threading.Lock()
        self.quantiles: dict[tuple[float, str], TopQuantile] = {}

    ready = True

    def add(self, work: Work, maps: Mapping[str, Array]) -> None:
        """Takes a batch."""
        for (quantile, layer), units in self._units.items():
            own = np.asarray(flush_denormals(maps[layer]))[: len(work.numbers)][..., units]
            with self._lock:
                self._of(quantile, layer, own.shape[1] * own.shape[2], own.dtype).update(own.reshape(-1, len(units)))

    def settle(self, last: bool) -> list[Held]:
        """Nothing is to be added again."""
        return []

    def state(self) -> State:
        """What has come so far."""
        found: State = {}
        for (quantile, layer), own in self.quantiles.items():
            found[f"most_rows|{quantile!r}|{layer}"] = np.array(own.most_rows)
            found[f"units|{quantile!r}|{layer}"] = self._units[quantile, layer]
            found |= {f"{name}|{quantile!r}|{layer}": value for name, value in own.state().items()}
        return found

    def merge(self, state: State) -> None:
        """Takes what another one has seen."""
        for key in state:
            name, quantile, layer = key.split("|", 2)
            if name == "units" and not np.array_equal(state[key], self._units.get((float(quantile), layer), [])):
                raise ValueError(f"thresholds of other units of layer {layer!r}")
            if name == "most_rows":
                kept = state[f"negated|{quantile}|{layer}"]
                positions = int(state[key]) // self._images
                own = self._of(float(quantile), layer, positions, kept.dtype)
                own.merge({"rows": state[f"rows|{quantile}|{layer}"], "negated": kept})

    def restore(self, state: State, done: int) -> None:
        """Takes the place of one that was cut off."""
        self.merge(state)

    def _of(self, quantile: float, layer: str, positions: int, dtype: np.dtype) -> TopQuantile:
        if (quantile, layer) not in self.quantiles:
            units = len(self._units[quantile, layer])
            self.quantiles[quantile, layer] = TopQuantile(quantile, positions * self._images, units, dtype)
        return self.quantiles[quantile, layer]
