"""Which filters of a layer belong together."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

REMAINDERS = ("free", "last", "error")


@dataclasses.dataclass(frozen=True)
class Grouping:
    """Splits the filters of a layer into contiguous groups of equal size.

    With C filters and G groups every group has ⌊C/G⌋ filters; what happens to the C − G·⌊C/G⌋ filters that
    are left over is the choice of ``remainder``.

    Attributes:
      num_groups: G, at least 1.
      remainder: ``"free"`` leaves the left-over filters out of every group (as the published code does),
        ``"last"`` adds them to the last group, ``"error"`` refuses a layer that has any.

    Raises:
      ValueError: if ``num_groups`` is below 1 or ``remainder`` is none of the three.

    References:
      Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021, Sec. 3.
    """

    num_groups: int = 5
    remainder: str = "free"

    def __post_init__(self) -> None:
        if isinstance(self.num_groups, bool) or not isinstance(self.num_groups, int) or self.num_groups < 1:
            raise ValueError(f"num_groups = {self.num_groups!r}: a grouping needs a whole number of at least 1")
        if self.remainder not in REMAINDERS:
            raise ValueError(f"remainder = {self.remainder!r}: choose one of {', '.join(REMAINDERS)}")

    def sizes(self, filters: int) -> tuple[int, ...]:
        """Number of filters in each group of a layer of ``filters`` filters.

        Raises:
          ValueError: if there are more groups than filters, or filters are left over under ``"error"``.
        """
        if self.num_groups > filters:
            raise ValueError(f"num_groups = {self.num_groups}: the layer has only {filters} filters")
        size, left = divmod(filters, self.num_groups)
        if left and self.remainder == "error":
            raise ValueError(
                f"num_groups = {self.num_groups}: {filters} filters leave {left} over; "
                'choose a divisor, or remainder "free" or "last"'
            )
        last = size + left if self.remainder == "last" else size
        return (size,) * (self.num_groups - 1) + (last,)

    def members(self, filters: int) -> list[Int[np.ndarray, " members"]]:
        """The filters of each group, as index arrays; filters that are free are in none."""
        sizes = self.sizes(filters)
        return np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])

    def split(self, kernel: Float[Array, "*window filters"]) -> Float[Array, "*window groups members"]:
        """The kernel with its filter axis split in (group, member).

        Groups smaller than the largest are filled up with zeros, which change no norm.
        """
        sizes = self.sizes(kernel.shape[-1])
        window, small, last = kernel.shape[:-1], sizes[0], sizes[-1]
        if small == last:
            return kernel[..., : sum(sizes)].reshape(*window, self.num_groups, small)
        head = kernel[..., : sum(sizes[:-1])].reshape(*window, self.num_groups - 1, small)
        head = jnp.pad(head, [(0, 0)] * (head.ndim - 1) + [(0, last - small)])
        tail = kernel[..., sum(sizes[:-1]) :]
        return jnp.concatenate([head, tail[..., None, :]], axis=-2)
