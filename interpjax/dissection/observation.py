"""What a batch's maps show of every unit: its extremes, and its values above a limit."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


class Observation(NamedTuple):
    """Extremes of a batch's maps.

    Attributes:
      maxima: of each unit on each image.
      least: of all images.
      finite: whether all values are. The extremes do not tell: those of XLA on CPUs pass NaN over.
    """

    maxima: Float[np.ndarray, "n units"]
    least: Float[np.ndarray, " units"]
    finite: Bool[np.ndarray, ""]


def observe(maps: Float[Array, "n h w units"]) -> Observation:
    """The extremes of maps, on the device where they are."""
    return Observation(*jax.device_get(_extremes(maps)))


def above(
    maps: Float[Array, "n h w units"], limits: Float[np.ndarray, " units"]
) -> tuple[Int[np.ndarray, " values"], Float[np.ndarray, " values"]]:
    """Where, in the flattened maps, each unit is above its limit, and its values there; only these are copied.

    On an accelerator they are brought together there. On CPUs the maps are in the host's memory anyhow, and NumPy is
    much faster at that than XLA.
    """
    greater = _greater(maps, limits)
    if next(iter(maps.devices())).platform == "cpu":
        place = np.flatnonzero(np.asarray(greater))
        return place, np.asarray(maps).reshape(-1)[place]
    return compacted(maps, greater)


def compacted(
    maps: Float[Array, "n h w units"], greater: Array
) -> tuple[Int[np.ndarray, " values"], Float[np.ndarray, " values"]]:
    """The places that are chosen, and the values there, brought together on the device."""
    count = int(_count(greater))
    place, value = jax.device_get(_compact(maps, greater, room_for(count)))
    return place[:count], value[:count]


def room_for(count: int) -> int:
    """A power of two that is no smaller: arrays that are filled up to it have few sizes, each of which is compiled."""
    return 1 << max(count - 1, 0).bit_length()


@jax.jit
def _extremes(maps: Array) -> tuple[Array, Array, Array]:
    return maps.max(axis=(1, 2)), maps.min(axis=(0, 1, 2)), jnp.isfinite(maps).all()


@jax.jit
def _greater(maps: Array, limits: Array) -> Array:
    return maps > jnp.asarray(limits).reshape(1, 1, 1, -1)


@jax.jit
def _count(chosen: Array) -> Array:
    return chosen.sum(dtype=jnp.int32)


@functools.partial(jax.jit, static_argnames="room")
def _compact(maps: Array, chosen: Array, room: int) -> tuple[Array, Array]:
    place = jnp.flatnonzero(chosen, size=room, fill_value=0)
    return place, maps.reshape(-1)[place]
