"""What a dissection and chance must have in common to be compared."""

import dataclasses
from typing import NamedTuple, runtime_checkable
from typing import Protocol as Interface

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from interpjax.dissection.protocol import Protocol


@runtime_checkable
class Scored(Interface):
    """What is asked here of a :class:`~interpjax.dissection.Dissection`, which has all of it."""

    @property
    def concepts(self) -> pd.DataFrame:
        """A row per concept."""

    @property
    def protocol(self) -> Protocol:
        """By which was counted."""

    @property
    def iou(self) -> Float[np.ndarray, "units concepts"]:
        """Intersection over union."""

    @property
    def label_area(self) -> Int[np.ndarray, " concepts"]:
        """Pixels of each concept."""

    def unique_detectors(self) -> int:
        """Number of distinct concepts that have a detector."""


class Counted(NamedTuple):
    """What must be the same where detectors are compared with those of chance."""

    concepts: pd.DataFrame
    protocol: Protocol
    units: int
    label_area: Int[np.ndarray, " concepts"]

    @classmethod
    def of(cls, result: Scored) -> "Counted":
        """That of a dissection."""
        return cls(result.concepts, result.protocol, len(result.iou), result.label_area)


def check_alike(name: str, expected: Counted, given: Counted) -> None:
    """Refuses what was counted otherwise.

    Args:
      name: of what is given, for the error.
      expected: of the layer.
      given: what is to be compared with it.

    Raises:
      ValueError: if they differ in concepts, protocol, units or images.
    """
    if not np.array_equal(expected.concepts["number"], given.concepts["number"]):
        raise ValueError(
            f"{name}: it has {len(given.concepts)} concepts; expected the same {len(expected.concepts)}, with the same "
            "numbers"
        )
    ours, theirs = (dataclasses.replace(one.protocol, name="") for one in (expected, given))
    if ours != theirs:
        raise ValueError(f"{name}: counted by {given.protocol.describe()}; expected {expected.protocol.describe()}")
    if expected.units != given.units:
        raise ValueError(
            f"{name}: of a layer with {given.units} units; expected {expected.units}, as of the same layer"
        )
    if not np.array_equal(expected.label_area, given.label_area):
        place = int(np.flatnonzero(np.asarray(expected.label_area) != given.label_area)[0])
        raise ValueError(
            f"{name}: concept {expected.concepts['name'].iloc[place]!r} has {given.label_area[place]} pixels; expected "
            f"{expected.label_area[place]}, as on the same images"
        )
