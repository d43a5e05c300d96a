"""Pooling as PyTorch and Caffe do it, and the local response norm."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def max_pool(
    x: Float[Array, "n h w c"], window: int, stride: int, *, padding: int = 0, ceil: bool = False
) -> Float[Array, "n h2 w2 c"]:
    """Maxima of square windows; padding is never the maximum.

    Args:
      x: maps.
      window: cells a side.
      stride: from window to window.
      padding: cells on every side.
      ceil: whether cells at the end that do not fill a window get one too; otherwise they are dropped.
    """
    ends = [padding + (_missing(cells, window, stride, padding) if ceil else 0) for cells in x.shape[1:3]]
    return nn.max_pool(x, (window, window), (stride, stride), [(padding, end) for end in ends])


def _missing(cells: int, window: int, stride: int, padding: int) -> int:
    """Cells that fill the last window, which has to begin inside of the map or its first padding."""
    windows = -(-(cells + 2 * padding - window) // stride) + 1
    if (windows - 1) * stride >= cells + padding:
        windows -= 1
    return max(0, (windows - 1) * stride + window - cells - 2 * padding)


def average_pool(x: Float[Array, "n h w c"], window: int) -> Float[Array, "n h2 w2 c"]:
    """Means of adjacent square windows; what does not fill one at the end is dropped."""
    sums = nn.pooling.pool(x, 0.0, jax.lax.add, (window, window), (window, window), "VALID")
    return sums / window**2


def adaptive_average_pool(x: Float[Array, "n h w c"], size: int) -> Float[Array, "n size size c"]:
    """Averages over ``size``² windows that cover the map, whatever its size, as PyTorch's layer of this name.

    Window i of n cells goes from ⌊i·n/size⌋ to ⌈(i+1)·n/size⌉; a map of fewer cells than windows is repeated.
    """
    if x.shape[1:3] == (size, size):
        return x
    rows, columns = _averages(x.shape[1], size), _averages(x.shape[2], size)
    return jnp.einsum("ih,jw,nhwc->nijc", rows.astype(x.dtype), columns.astype(x.dtype), x)


def _averages(cells: int, windows: int) -> np.ndarray:
    matrix = np.zeros((windows, cells))
    for i in range(windows):
        start, stop = i * cells // windows, -(-(i + 1) * cells // windows)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix


def local_response_norm(
    x: Float[Array, "n h w c"], *, size: int = 5, alpha: float = 1e-4, beta: float = 0.75
) -> Float[Array, "n h w c"]:
    """X / (1 + α/size · Σ x²)^β over the ``size`` channels around each one, as in Caffe.

    References:
      Krizhevsky et al., *ImageNet Classification with Deep Convolutional Neural Networks*, NIPS 2012, §3.3; the
      constants and the division by ``size`` are Caffe's.
    """
    reach = size // 2
    squares = jnp.pad(jnp.square(x), ((0, 0), (0, 0), (0, 0), (reach, reach)))
    total = sum(squares[..., first : first + x.shape[-1]] for first in range(size))
    return x * (1 + alpha / size * total) ** -beta
