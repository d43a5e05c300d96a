"""From low-resolution activation maps to the resolution of the labels."""

import functools

import numpy as np
from jaxtyping import Float


@functools.lru_cache(maxsize=64)
def _bilinear_taps(source: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each target pixel: its lower and upper source cell and the weight of the upper one."""
    centres = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    lower = np.floor(centres).astype(np.intp)
    return lower, np.minimum(lower + 1, source - 1), centres - lower


def upsample_bilinear(
    maps: Float[np.ndarray, "units h w"], height: int, width: int
) -> Float[np.ndarray, "units height width"]:
    """Bilinear interpolation with half-pixel centres and repeated edges, in float64.

    Written as a + t·(b − a), so that a plateau keeps its exact value and no result exceeds the larger of the two.

    Args:
      maps: activation maps.
      height: rows of the result.
      width: columns of the result.
    """
    maps = maps.astype(np.float64, copy=False)
    if maps.shape[1:] == (height, width):
        return maps
    lower, upper, weight = _bilinear_taps(maps.shape[1], height)
    rows = maps[:, lower] + weight[:, None] * (maps[:, upper] - maps[:, lower])
    lower, upper, weight = _bilinear_taps(maps.shape[2], width)
    left = rows[:, :, lower]
    return left + weight * (rows[:, :, upper] - left)
