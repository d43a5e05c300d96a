"""From low-resolution activation maps to the resolution of the labels: the published interpolations, exactly.

Every method is separable, so it is two tables of taps: for each pixel of an axis, the source cells it reads and
their weights. :func:`upsample` is the definition, dense; :mod:`interpjax.dissection.tiles` gives the same masks
without making the upsampled maps.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

METHODS = ("bilinear", "fieldmap", "pil-bilinear", "pil-bicubic")
FieldMap = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]  # (y, x) of offset, size and stride, input pixels


@dataclasses.dataclass(frozen=True, eq=False)
class Taps:
    """Interpolation along one axis.

    Attributes:
      index: source cells that each pixel reads: the first and those that follow it, where need be the last of all
        again.
      weight: of each of them; a pixel's sum to 1.
    """

    index: Int[np.ndarray, "pixels taps"]
    weight: Float[np.ndarray, "pixels taps"]

    def overshoot(self) -> tuple[float, float]:
        """The largest sums of a pixel's positive and of its negative weights, (1, 0) where none is negative."""
        return np.maximum(self.weight, 0).sum(1).max(), np.maximum(-self.weight, 0).sum(1).max()


@dataclasses.dataclass(frozen=True, eq=False)
class Resampling:
    """How maps of one shape become maps of another.

    Attributes:
      rows: along the height.
      columns: along the width; applied first.
      rounded: values are held as float32, at first and after each axis, as the published codes do; else they stay
        float64.
    """

    rows: Taps
    columns: Taps
    rounded: bool

    def overshoot(self) -> float:
        """By how much of (largest − smallest tap) a value can exceed its largest tap; 0 for bilinear."""
        (up_y, down_y), (up_x, down_x) = self.rows.overshoot(), self.columns.overshoot()
        return float(up_y * down_x + down_y * up_x)


def simple_fieldmap(map_shape: tuple[int, int], image_shape: tuple[int, int]) -> FieldMap:
    """Offset 0, size and stride image // map: what NetDissect's wrapper for PyTorch makes up for any layer."""
    stride = (image_shape[0] // map_shape[0], image_shape[1] // map_shape[1])
    return (0, 0), stride, stride


@functools.cache  # what was compiled for a table is found by the table itself
def resampling(
    method: str,
    map_shape: tuple[int, int],
    label_shape: tuple[int, int],
    image_shape: tuple[int, int],
    fieldmap: FieldMap | None = None,
) -> Resampling:
    """The tables of a method.

    Args:
      method: ``"bilinear"``, half-pixel centres and repeated edges in float64 (the paper); ``"fieldmap"``, linear
        between the centres of the receptive fields, constant outside of them (NetDissect); ``"pil-bilinear"`` and
        ``"pil-bicubic"``, those of the Pillow library (NetDissect-Lite, CGL), which widen their filters where they
        shrink a map.
      map_shape: (height, width) of the activation maps.
      label_shape: of the label maps.
      image_shape: of the network's input; only ``"fieldmap"`` needs it.
      fieldmap: of the layer, only for ``"fieldmap"``; by default :func:`simple_fieldmap`.

    Raises:
      ValueError: if there is no such method, or receptive fields are closer than a pixel of the labels.
    """
    if method not in METHODS:
        raise ValueError(f"upsampling = {method!r}: choose one of {', '.join(METHODS)}")
    if method == "fieldmap":
        field = fieldmap or simple_fieldmap(map_shape, image_shape)
        taps = [
            _between_centres(map_shape[i], label_shape[i], image_shape[i], *(part[i] for part in field)) for i in (0, 1)
        ]
    elif method == "bilinear":
        taps = [_half_pixel(map_shape[i], label_shape[i]) for i in (0, 1)]
    else:
        support, kernel = _PIL_FILTERS[method]
        taps = [_filtered(map_shape[i], label_shape[i], support, kernel) for i in (0, 1)]
    return Resampling(taps[0], taps[1], rounded=method != "bilinear")


def upsample(maps: Float[np.ndarray, "units h w"], how: Resampling) -> Float[np.ndarray, "units height width"]:
    """Interpolates maps, first along the width, then along the height, in float64.

    Args:
      maps: activation maps.
      how: the tables for their shape.

    Returns:
      The upsampled maps, float64 (of float32's precision where ``how.rounded``).
    """
    maps = maps.astype(np.float32) if how.rounded else maps
    across = _along(maps.astype(np.float64), how.columns, how.rounded)
    return _along(across.swapaxes(1, 2), how.rows, how.rounded).swapaxes(1, 2)


def weighted_sum(values: Sequence[Any], weights: Sequence[Any], rounded: bool) -> Any:
    """Σ wₖ·xₖ of one pixel's taps, for numpy and for JAX.

    What is not rounded afterwards is summed as x₀ + Σₖ wₖ·(xₖ − x₀): so a plateau keeps its exact value, which
    decides whether it is above a threshold that equals it.
    """
    if rounded:
        return sum(weight * value for weight, value in zip(weights, values, strict=True))
    rest = zip(weights[1:], values[1:], strict=True)
    return values[0] + sum(weight * (value - values[0]) for weight, value in rest)


def _along(maps: np.ndarray, taps: Taps, rounded: bool) -> np.ndarray:
    total = weighted_sum([maps[..., index] for index in taps.index.T], list(taps.weight.T), rounded)
    return total.astype(np.float32).astype(np.float64) if rounded else total


def _two_taps(position: np.ndarray, source: int) -> Taps:
    """Linear interpolation at fractional source cells, constant beyond the first and the last."""
    position = np.clip(position, 0, source - 1)
    lower = np.floor(position).astype(np.intp)
    upper, weight = np.minimum(lower + 1, source - 1), position - lower
    return Taps(np.stack([lower, upper], axis=1), np.stack([1 - weight, weight], axis=1))


def _half_pixel(source: int, target: int) -> Taps:
    return _two_taps((np.arange(target) + 0.5) * source / target - 0.5, source)


def _between_centres(source: int, target: int, image: int, offset: int, size: int, stride: int) -> Taps:
    """As NetDissect does: cell i sits at label pixel (size // 2 + offset) // r + i·(stride // r)."""
    reduction = round(image / target)
    if reduction < 1:
        raise ValueError(
            f"upsampling = 'fieldmap': label maps of {target} pixels for images of {image}; as NetDissect defines it, "
            "they cannot be larger than the images"
        )
    step = stride // reduction
    if step < 1:
        raise ValueError(
            f"fieldmap: its stride of {stride} input pixels is less than a label pixel ({reduction} of them); "
            "choose another upsampling for this layer"
        )
    return _two_taps((np.arange(target) - (size // 2 + offset) // reduction) / step, source)


def _filtered(source: int, target: int, support: float, kernel: Callable) -> Taps:
    """Pillow's resampling: the filter around each half-pixel centre, normalized over the cells that exist."""
    scale = source / target
    widened = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale
    start = np.maximum((centres - support * widened + 0.5).astype(np.intp), 0)
    stop = np.minimum((centres + support * widened + 0.5).astype(np.intp), source)
    index = start[:, None] + np.arange((stop - start).max())
    weight = kernel((index - centres[:, None] + 0.5) * (1 / widened)) * (index < stop[:, None])
    return Taps(np.minimum(index, source - 1), weight / weight.sum(axis=1, keepdims=True))


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution."""
    x, a = np.abs(x), -0.5
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    outer = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, inner, np.where(x < 2, outer, 0.0))


_PIL_FILTERS = {"pil-bilinear": (1.0, _triangle), "pil-bicubic": (2.0, _cubic)}
