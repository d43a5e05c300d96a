"""Protocols: the choices on which the published dissection codes differ, by name."""

import dataclasses
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from interpjax.dissection.upsampling import METHODS

TAPS = ("pre", "post")
UNIT_AREAS = ("category", "touched", "all")
THRESHOLD_DTYPES = ("float64", "float32")
# NetDissect reads its sketch of the quantiles at 1000 points from 0 to 1 and takes number 994 of them.
PUBLISHED_RANK = 1 - 994 / 999


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a dissection thresholds and counts.

    For every protocol, thresholds are exact quantiles of all activations (two order statistics, interpolated in
    float64 as ``np.quantile`` does) and a mask is where the upsampled map is strictly above its unit's.

    Attributes:
      name: of the protocol it is, or started from.
      top_quantile: share of activations above a unit's threshold T, P(a > T) = 0.005.
      threshold_dtype: what thresholds are rounded to, ``"float64"`` (not at all) or ``"float32"``.
      upsampling: from activation map to label map, a method of :func:`interpjax.dissection.upsampling.resampling`.
      tap: which activations the caller should hand over, ``"post"`` or ``"pre"`` the non-linearity.
      unit_area: the images whose mask pixels count in the union with a concept: ``"category"``, those annotated
        in its (primary) category; ``"touched"``, those where the mask itself touches a label of that category;
        ``"all"``.
      skip_below: whether a map that nowhere exceeds T has no mask, even if its upsampling overshoots T.
      categories: only these; None is all that the data have.
      detector_iou: the IoU from which a unit counts as a detector of its best concept.

    Raises:
      ValueError: naming the field, its value and what is allowed.
    """

    name: str = "paper"
    top_quantile: float = 0.005
    threshold_dtype: str = "float64"
    upsampling: str = "bilinear"
    tap: str = "post"
    unit_area: str = "category"
    skip_below: bool = False
    categories: Sequence[str] | None = None
    detector_iou: float = 0.04

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"protocol.name = {self.name!r}: expected a string")
        if not 0 < self._as_float("top_quantile") < 1:
            raise ValueError(f"protocol.top_quantile = {self.top_quantile}: expected a number between 0 and 1")
        if not 0 < self._as_float("detector_iou") <= 1:
            raise ValueError(f"protocol.detector_iou = {self.detector_iou}: expected a number above 0 and at most 1")
        for field, allowed in CHOICES.items():
            value = getattr(self, field)
            if not isinstance(value, str) or value not in allowed:
                raise ValueError(f"protocol.{field} = {value!r}: choose one of {', '.join(allowed)}")
        if not isinstance(self.skip_below, bool):
            raise ValueError(f"protocol.skip_below = {self.skip_below!r}: expected True or False")
        if self.categories is not None:  # a list, as JSON has it, will do
            object.__setattr__(self, "categories", _category_names(self.categories))

    def _as_float(self, field: str) -> float:
        value = getattr(self, field)
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise ValueError(f"protocol.{field} = {value!r}: expected a number")
        object.__setattr__(self, field, float(value))  # what JSON takes, and the same number is the same protocol
        return float(value)

    def rounded(self, thresholds: Float[np.ndarray, " units"]) -> Float[np.ndarray, " units"]:
        """Thresholds, or limits of them, as this protocol holds them: rounded to ``threshold_dtype``, in float64."""
        return thresholds.astype(self.threshold_dtype).astype(np.float64)

    def differences(self) -> dict[str, tuple[Any, Any]]:
        """The fields in which it differs from ``paper``: ``{field: (its value, the paper's)}``."""
        paper = PROTOCOLS["paper"]
        fields = [field.name for field in dataclasses.fields(self) if field.name != "name"]
        values = {field: (getattr(self, field), getattr(paper, field)) for field in fields}
        return {field: pair for field, pair in values.items() if pair[0] != pair[1]}

    def describe(self) -> str:
        """One line: its name, and each field that differs from ``paper``."""
        changed = [f"{field} = {own!r} (paper: {theirs!r})" for field, (own, theirs) in self.differences().items()]
        return f"{self.name}: " + ("; ".join(changed) or "the paper's definition")


def _category_names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(name, str) for name in value):
        known = value if isinstance(value, str) and value else "object"
        raise ValueError(
            f"protocol.categories = {value!r}: expected a sequence of names, as ({known!r},), or None for all"
        )
    if not value:
        raise ValueError("protocol.categories = (): expected one at least, or None for all")
    return tuple(value)


CHOICES = {
    "threshold_dtype": THRESHOLD_DTYPES,
    "upsampling": METHODS,
    "tap": TAPS,
    "unit_area": UNIT_AREAS,
}
_LITE: dict[str, Any] = {
    "top_quantile": PUBLISHED_RANK,
    "upsampling": "pil-bilinear",
    "unit_area": "touched",
    "skip_below": True,
}
PROTOCOLS = {
    "paper": Protocol(),
    "caffe": Protocol("caffe", PUBLISHED_RANK, threshold_dtype="float32", upsampling="fieldmap"),
    "lite": Protocol("lite", **_LITE, categories=("color", "object", "part", "scene", "texture")),
    "cgl": Protocol("cgl", **(_LITE | {"upsampling": "pil-bicubic"}), tap="pre"),
    "all-pixels": Protocol("all-pixels", unit_area="all"),
}


def get_protocol(name: str, **fields: Any) -> Protocol:
    """A protocol by name, with fields overridden.

    Args:
      name: ``"paper"``, the definition in Bau et al., *Network Dissection*, CVPR 2017; ``"caffe"``, their NetDissect;
        ``"lite"``, NetDissect-Lite; ``"cgl"``, the code of the concept group learning paper, which is built on it;
        ``"all-pixels"``, where every image counts for every concept (compexp, dissect).
      **fields: any field of :class:`Protocol`.

    Raises:
      ValueError: if there is no such protocol or field, or a field's value is not allowed.
    """
    if not isinstance(name, str) or name not in PROTOCOLS:
        raise ValueError(f"protocol = {name!r}: choose one of {', '.join(PROTOCOLS)}")
    known = [field.name for field in dataclasses.fields(Protocol)]
    for field in fields:
        if field not in known:
            raise ValueError(f"protocol.{field}: no such field; there are {', '.join(known)}")
    return dataclasses.replace(PROTOCOLS[name], **fields)
