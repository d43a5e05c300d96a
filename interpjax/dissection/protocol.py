"""Protocols: the choices on which the published dissection codes differ, by name."""

import dataclasses
from typing import Any

TAPS = ("pre", "post")


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a dissection thresholds and counts.

    Attributes:
      name: of the protocol it is, or started from.
      top_quantile: share of activations above a unit's threshold T, P(a > T) = 0.005.
      tap: which activations the caller should hand over, ``"post"`` or ``"pre"`` the non-linearity.
      detector_iou: the IoU from which a unit counts as a detector of its best concept.

    The rest is the same for every protocol there is so far: thresholds are exact quantiles (two order statistics
    interpolated in float64), a mask is where the bilinearly upsampled map (half-pixel centres, edges repeated) is
    strictly above it, and a unit's area counts in the images that carry a label of the concept's category.

    Raises:
      ValueError: naming the field, its value and what is allowed.
    """

    name: str = "paper"
    top_quantile: float = 0.005
    tap: str = "post"
    detector_iou: float = 0.04

    def __post_init__(self) -> None:
        if not 0 < self.top_quantile < 1:
            raise ValueError(f"protocol.top_quantile = {self.top_quantile}: must lie between 0 and 1")
        if not 0 < self.detector_iou <= 1:
            raise ValueError(f"protocol.detector_iou = {self.detector_iou}: must be above 0 and at most 1")
        if self.tap not in TAPS:
            raise ValueError(f"protocol.tap = {self.tap!r}: choose one of {', '.join(TAPS)}")


PROTOCOLS = {"paper": Protocol()}


def get_protocol(name: str, **fields: Any) -> Protocol:
    """A protocol by name, with fields overridden.

    Args:
      name: ``"paper"``, the definition in Bau et al., *Network Dissection*, CVPR 2017.
      **fields: any field of :class:`Protocol`.

    Raises:
      ValueError: if there is no such protocol or field, or a field's value is not allowed.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"protocol = {name!r}: choose one of {', '.join(PROTOCOLS)}")
    known = [field.name for field in dataclasses.fields(Protocol)]
    for field in fields:
        if field not in known:
            raise ValueError(f"protocol.{field}: no such field; there are {', '.join(known)}")
    return dataclasses.replace(PROTOCOLS[name], **fields)
