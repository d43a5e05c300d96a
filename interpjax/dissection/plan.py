"""What a pass over the images is to count."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from interpjax.dissection.counting import Counting
from interpjax.dissection.labels import ConceptColumns
from interpjax.dissection.protocol import Protocol
from interpjax.dissection.upsampling import FieldMap


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What is counted, and how.

    Attributes:
      layers: that are counted.
      labellings: the ways of labelling.
      protocols: how to count, each with the number of its way of labelling.
      images: at most so many come, of all processes.
      top_images: how many to remember for each unit.
      fieldmaps: by layer, of those that have one.
      thresholds: by protocol and layer, where they are known; else by what comes.
      keep_masks: layers of which the masks are wanted afterwards too.
      correlation: whether upsampled maps are correlated with concepts too.
      groups: by layer, groups of its units that will be dissected; only checked here.
    """

    layers: Sequence[str]
    labellings: Sequence[ConceptColumns]
    protocols: Sequence[tuple[Protocol, int]]
    images: int
    top_images: int
    fieldmaps: Mapping[str, FieldMap]
    thresholds: Mapping[tuple[int, str], Float[np.ndarray, " units"]] | None = None
    keep_masks: Collection[str] = ()
    correlation: bool = False
    groups: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def counting(self, number: int, layer: str, units: int) -> Counting:
        """How a protocol counts a layer."""
        protocol, way = self.protocols[number]
        return Counting(units, self.labellings[way], protocol, self.fieldmaps.get(layer))

    def numbers(self, layer: str) -> list[int]:
        """Of the protocols that count a layer."""
        numbers = range(len(self.protocols))
        return [number for number in numbers if self.thresholds is None or (number, layer) in self.thresholds]

    def quantiles(self) -> list[float]:
        """Those that are to be found."""
        found = dict.fromkeys(protocol.top_quantile for protocol, _ in self.protocols)
        return list(found) if self.thresholds is None else []
