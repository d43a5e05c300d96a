"""A sample of the first images' maps, by which the brackets of the thresholds are set."""

import threading

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

SAMPLED = 256  # positions of an image's map that are looked at, at most
SAMPLES = 320 * 2**20  # bytes of all that is looked at; of many units fewer positions are, and the brackets are wider


class Sample:
    """Some positions of one layer's maps, chosen at random.

    They are written into a single array: many small ones, each made between two batches of large maps, would keep the
    memory of those maps from being given back.
    """

    def __init__(self, images: int, positions: int, units: int, dtype: np.dtype):
        """Makes room.

        Args:
          images: of so many.
          positions: of each image.
          units: of the layer.
          dtype: of its values.
        """
        self._values = np.empty((images, positions, units), dtype)
        self._batch = np.zeros(images, np.int64)  # of each image
        self._filled = 0
        self._lock = threading.Lock()

    def add(self, batch: int, maps: Float[Array, "images h w units"]) -> None:
        """Takes a batch, as far as there is room.

        Args:
          batch: its number, which decides the positions.
          maps: of its images.
        """
        with self._lock:
            begin = self._filled
            self._filled = min(begin + len(maps), len(self._values))
            end = self._filled
        if begin == end:
            return
        own = maps[: end - begin].reshape(end - begin, -1, maps.shape[-1])
        # Of each image others: units may be active in certain rows and columns.
        places = np.random.default_rng(batch).random(own.shape[:2]).argsort(axis=1)[:, : self._values.shape[1]]
        self._values[begin:end] = jnp.take_along_axis(own, places[:, :, None], axis=1)
        self._batch[begin:end] = batch

    def values(self) -> Float[np.ndarray, "images positions units"]:
        """All that came, in the order of the batches."""
        return self._values[np.argsort(self._batch[: self._filled], kind="stable")]


def sample_of(images: int, value_bytes: int, maps: Float[Array, "batch h w units"]) -> Sample:
    """Room for a sample of one layer's maps.

    Args:
      images: that are looked at.
      value_bytes: bytes of the values at one position, of all layers that are looked at.
      maps: some of the layer's.
    """
    _, height, width, units = maps.shape
    positions = max(1, min(SAMPLED, SAMPLES // (images * value_bytes)))
    return Sample(images, min(positions, height * width), units, maps.dtype)
