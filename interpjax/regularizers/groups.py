"""Which channels of a layer belong together."""

import dataclasses
import math
import operator
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

REMAINDERS = ("free", "last", "error")
ORDERS = ("contiguous", "strided")
AXES = ("filters", "inputs")
WEIGHTS = ("none", "sqrt_size")


@dataclasses.dataclass(frozen=True)
class Grouping:
    """Splits the channels of a layer into groups: by their number, by their size, or by explicit indices.

    With C channels and G groups every group has ⌊C/G⌋; what happens to those that are left over, or that
    ``indices`` does not name, is the choice of ``remainder``.

    Attributes:
      num_groups: G, at least 1; 5 if none of the three is given.
      remainder: ``"free"`` leaves the left-over channels out of every group (as the published code does),
        ``"last"`` adds them to the last group, ``"error"`` refuses a layer that has any.
      group_size: channels of a group, in place of ``num_groups``.
      indices: the channels of each group, counted from 0, in place of ``num_groups``; no channel twice.
      order: ``"contiguous"``, or ``"strided"``: group g has the channels g, g + G, g + 2G, ….
      axis: ``"filters"`` groups output channels (the last axis), ``"inputs"`` input channels (the one before).
      weights: of the groups in the block norm: ``"none"`` (as published), or ``"sqrt_size"``, the square root of
        the number of weights in the group, the usual choice where groups differ in size.
      feature_group_count: of the convolution, as in Flax; matters to ``axis="inputs"`` alone, where a kernel's
        axis of inputs holds those of one feature group only (in a depthwise convolution, one).

    Raises:
      ValueError: naming the field, its value and what is allowed.

    References:
      Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021, Sec. 3 (contiguous, remainder
      free, no weights); Yuan and Lin, *Model selection and estimation in regression with grouped variables*, 2006
      (√size).
    """

    num_groups: int | None = None
    remainder: str = "free"
    group_size: int | None = None
    indices: Sequence[Sequence[int]] | None = None
    order: str = "contiguous"
    axis: str = "filters"
    weights: str = "none"
    feature_group_count: int = 1

    def __post_init__(self) -> None:
        given = [name for name in ("num_groups", "group_size", "indices") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: expected only one of them, which gives the grouping")
        if not given:
            object.__setattr__(self, "num_groups", 5)
        for name in ("num_groups", "group_size", "feature_group_count"):
            _check_count(name, getattr(self, name))
        for name, allowed in (("remainder", REMAINDERS), ("order", ORDERS), ("axis", AXES), ("weights", WEIGHTS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} = {getattr(self, name)!r}: choose one of {', '.join(allowed)}")
        if self.indices is not None:
            object.__setattr__(self, "indices", _as_indices(self.indices))  # tuples, so that it can be hashed
            if self.order != "contiguous":
                raise ValueError(
                    f"order = {self.order!r}: expected 'contiguous', for indices give the order themselves"
                )

    def members(self, channels: int) -> list[Int[np.ndarray, " members"]]:
        """The channels of each group, as index arrays; channels that are free are in none.

        Raises:
          ValueError: if the layer has too few channels, or some are left over under ``"error"``.
        """
        groups = self._named(channels) if self.indices is not None else self._counted(channels)
        left = np.setdiff1d(np.arange(channels), np.concatenate(groups))
        if len(left) and self.remainder == "error":
            raise ValueError(
                f"{self._given}: {channels} {self.axis} leave {len(left)} over; "
                'choose a divisor, or remainder "free" or "last"'
            )
        if self.remainder == "last":
            groups[-1] = np.concatenate([groups[-1], left])
        return groups

    def sizes(self, channels: int) -> tuple[int, ...]:
        """Number of channels in each group of a layer of so many.

        Raises:
          ValueError: as :meth:`members`.
        """
        return tuple(len(group) for group in self.members(channels))

    def split(self, kernel: Float[Array, "*window channels"]) -> Float[Array, "*rest groups members"]:
        """The kernel with its grouped axis last and split in (group, member).

        Groups smaller than the largest are filled up with zeros, which change no norm.

        Raises:
          ValueError: as :meth:`members`.
        """
        kernel = self._grouped_axis_last(kernel)
        groups = self.members(kernel.shape[-1])
        count, largest = len(groups), max(len(group) for group in groups)
        if self.indices is None and all(len(group) == largest for group in groups):
            used = kernel[..., : count * largest]
            if self.order == "contiguous":
                return used.reshape(*kernel.shape[:-1], count, largest)
            return jnp.swapaxes(used.reshape(*kernel.shape[:-1], largest, count), -1, -2)
        padded = np.stack([np.pad(group, (0, largest - len(group)), constant_values=-1) for group in groups])
        taken = jnp.take(kernel, padded.ravel(), axis=-1).reshape(*kernel.shape[:-1], count, largest)
        real = np.broadcast_to(padded >= 0, taken.shape)
        return jnp.where(real, taken, jnp.zeros_like(taken))

    def merge(
        self, groups: Float[Array, "*rest groups members"], kernel: Float[Array, "*window channels"]
    ) -> Float[Array, "*window channels"]:
        """The inverse of :meth:`split`: the kernel with its groups replaced, and what is free as it was."""
        last = self._grouped_axis_last(kernel)
        channels, size = last.shape[-1], groups.shape[-1]
        source = np.arange(channels) + groups.shape[-2] * size  # of free channels: themselves, behind all the groups
        for number, group in enumerate(self.members(channels)):
            source[group] = number * size + np.arange(len(group))
        both = jnp.concatenate([groups.reshape(*last.shape[:-1], -1), last], axis=-1)
        return self._grouped_axis_back(jnp.take(both, source, axis=-1), kernel.shape)

    def factors(self, kernel: Float[Array, "*window channels"]) -> Float[np.ndarray, " groups"]:
        """The weight of each group of a kernel in its block norm."""
        channels = kernel.shape[-1] if self.axis == "filters" else kernel.shape[-2] * self.feature_group_count
        sizes = np.array(self.sizes(channels)) * (math.prod(kernel.shape) // channels)
        return np.sqrt(sizes) if self.weights == "sqrt_size" else np.ones(len(sizes))

    @property
    def _given(self) -> str:
        name = next(name for name in ("num_groups", "group_size", "indices") if getattr(self, name) is not None)
        return f"{name} = {getattr(self, name)}"

    def _counted(self, channels: int) -> list[np.ndarray]:
        count = self.num_groups or channels // (self.group_size or 1)
        size = self.group_size or channels // count
        if not count or not size:
            raise ValueError(f"{self._given}: the layer has only {channels} {self.axis}; expected at most {channels}")
        used = np.arange(count * size)
        return list(used.reshape(count, size) if self.order == "contiguous" else used.reshape(size, count).T)

    def _named(self, channels: int) -> list[np.ndarray]:
        groups = [np.array(group) for group in self.indices or ()]
        highest = max(int(group.max()) for group in groups)
        if highest >= channels:
            raise ValueError(
                f"indices: there is no channel {highest}, for the layer has {channels} {self.axis}; expected 0 to "
                f"{channels - 1}"
            )
        return groups

    def _grouped_axis_last(self, kernel: Array) -> Array:
        if self.axis == "filters":
            return kernel
        parts = self.feature_group_count
        if kernel.ndim < 2 or kernel.shape[-1] % parts:
            raise ValueError(
                f"feature_group_count = {parts}: expected a divisor of the filters of a kernel of shape {kernel.shape}"
            )
        *window, inputs, filters = kernel.shape
        split = kernel.reshape(*window, inputs, parts, filters // parts)
        return jnp.moveaxis(split, -3, -1).swapaxes(-3, -2).reshape(*window, filters // parts, parts * inputs)

    def _grouped_axis_back(self, array: Array, shape: tuple[int, ...]) -> Array:
        if self.axis == "filters":
            return array
        *window, inputs, filters = shape
        parts = self.feature_group_count
        split = array.reshape(*window, filters // parts, parts, inputs).swapaxes(-3, -2)
        return jnp.moveaxis(split, -1, -3).reshape(shape)


def _check_count(name: str, value: int | None) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"{name} = {value!r}: expected a whole number of at least 1")


def _as_indices(indices: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    groups = tuple(tuple(operator.index(channel) for channel in group) for group in indices)
    flat = [channel for group in groups for channel in group]
    if not groups or not all(groups) or min(flat) < 0 or len(set(flat)) < len(flat):
        raise ValueError(
            f"indices = {indices!r}: expected one group or more, none of them empty, of channels from 0, "
            "no channel twice"
        )
    return groups
