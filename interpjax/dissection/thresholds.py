"""The first pass: exact quantiles of a stream, one per unit, without keeping the stream, and its top images."""

import math
import threading
from collections.abc import Mapping

import numpy as np
from jaxtyping import Array, Float, Int

from interpjax.dissection.passes import State, Work
from interpjax.dissection.protocol import Protocol
from interpjax.errors import UserError

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
        return _interpolate(low, high, position - below)

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


def _interpolate(low: np.ndarray, high: np.ndarray, weight: float) -> np.ndarray:
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
        values = np.concatenate([self.values, state["values"]], axis=1)
        numbers = np.concatenate([self.numbers, state["numbers"]], axis=1)
        order = np.lexsort((numbers, -values), axis=1)[:, : self._keep]
        self.values = np.take_along_axis(values, order, axis=1)
        self.numbers = np.take_along_axis(numbers, order, axis=1)


class Thresholds:
    """First pass: the largest activations of every unit, and the images that have them."""

    def __init__(self, top_quantile: float, images: int, top_images: int):
        """Starts empty.

        Args:
          top_quantile: the largest share above a threshold that will be asked for.
          images: at most so many come.
          top_images: how many to remember for each unit.
        """
        self._settings = top_quantile, images, top_images
        self._lock = threading.Lock()
        self._shapes: dict[str, tuple[int, ...]] = {}
        self.quantiles: dict[str, TopQuantile] = {}
        self.top: dict[str, TopImages] = {}

    def add(self, work: Work, maps: Mapping[str, Array]) -> None:
        """Takes a batch.

        Raises:
          UserError: if an activation is not finite, or a layer's maps are not all of one size.
        """
        for layer, values in maps.items():
            own = np.asarray(values)[: len(work.numbers)]
            own = own if own.dtype == np.float64 else own.astype(np.float32, copy=False)
            finite = np.isfinite(own)
            if not finite.all():
                image, y, x, unit = np.argwhere(~finite)[0]
                raise UserError(
                    f"layer {layer!r}: the activation of unit {unit} on image {work.names[image]!r} is not finite "
                    f"({own[image, y, x, unit]})"
                )
            maxima = own.max(axis=(1, 2))
            with self._lock:
                shape = self._shapes.setdefault(layer, own.shape[1:])
                if shape != own.shape[1:]:
                    raise UserError(
                        f"layer {layer!r}: its maps are {own.shape[1:]} on image {work.names[0]!r} and {shape} before "
                        "[h, w, units]; expected one size, as of images of one size (image_size=)"
                    )
                quantile, top = self._of(layer, shape[0] * shape[1], shape[2], own.dtype)
                quantile.update(own.reshape(-1, own.shape[-1]))
                top.update(work.numbers, maxima)

    def state(self) -> State:
        """What has come so far."""
        quantiles = {
            f"{layer}|quantile|{name}": value
            for layer, own in self.quantiles.items()
            for name, value in own.state().items()
        }
        sizes = {f"{layer}|quantile|most_rows": np.array(own.most_rows) for layer, own in self.quantiles.items()}
        top = {f"{layer}|top|{name}": value for layer, own in self.top.items() for name, value in own.state().items()}
        return quantiles | sizes | top

    def merge(self, state: State) -> None:
        """Takes what another one has seen."""
        for layer in dict.fromkeys(name.rsplit("|", 2)[0] for name in state):
            part = {
                name.removeprefix(f"{layer}|"): value for name, value in state.items() if name.startswith(f"{layer}|")
            }
            kept = part["quantile|negated"]
            positions = int(part["quantile|most_rows"]) // self._settings[1]
            quantile, top = self._of(layer, positions, len(kept), kept.dtype)
            quantile.merge({"rows": part["quantile|rows"], "negated": kept})
            top.merge({"numbers": part["top|numbers"], "values": part["top|values"]})

    def thresholds(
        self, protocol: Protocol, given: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, Float[np.ndarray, " units"]]:
        """Of every layer, by a protocol; or those that are given of every layer, rounded as the protocol wants."""
        found = {layer: quantile.result(protocol.top_quantile) for layer, quantile in self.quantiles.items()}
        for layer, values in found.items():
            found[layer] = values if given is None else given[layer]
            if protocol.threshold_dtype == "float32":
                found[layer] = found[layer].astype(np.float32).astype(np.float64)
        return found

    def _of(self, layer: str, positions: int, units: int, dtype: np.dtype) -> tuple[TopQuantile, TopImages]:
        top_quantile, images, top_images = self._settings
        if layer not in self.quantiles:
            self.quantiles[layer] = TopQuantile(top_quantile, positions * images, units, dtype)
            self.top[layer] = TopImages(top_images, units)
        return self.quantiles[layer], self.top[layer]
