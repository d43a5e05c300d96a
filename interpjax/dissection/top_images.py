"""Remembering the images that excite each unit most."""

import numpy as np
from jaxtyping import Float, Int


class TopImages:
    """The images on which each unit's maximum is largest, of a stream of them."""

    def __init__(self, keep: int, units: int):
        self._keep = keep
        self.numbers = np.zeros((units, 0), np.int64)
        self.values = np.zeros((units, 0))

    def update(self, numbers: Int[np.ndarray, " batch"], maxima: Float[np.ndarray, "batch units"]) -> None:
        """Takes a batch; of equals the earlier image stays in front."""
        values = np.concatenate([self.values, maxima.T.astype(np.float64)], axis=1)
        candidates = np.concatenate([self.numbers, np.broadcast_to(numbers, maxima.T.shape)], axis=1)
        order = np.argsort(-values, axis=1, kind="stable")[:, : self._keep]
        self.values = np.take_along_axis(values, order, axis=1)
        self.numbers = np.take_along_axis(candidates, order, axis=1)
