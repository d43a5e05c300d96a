"""Remembering the images that excite each unit most."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int


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
