"""All that changes while a network trains."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax

PyTree = Any


class TrainState(flax.struct.PyTreeNode):
    """Parameters, batch statistics, the optimizer's memory, and how many steps they have seen.

    Random numbers need no place here: they follow from the configured seed and ``step``.
    """

    step: Any  # an int32 scalar: an array of jax or numpy, or its shape
    params: PyTree
    batch_stats: PyTree
    opt_state: PyTree

    @property
    def variables(self) -> dict[str, PyTree]:
        """What ``model.apply`` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats} if self.batch_stats else {"params": self.params}


def create_train_state(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    *,
    image_size: int,
    seed: int,
    further_params: Mapping[str, PyTree] | None = None,
) -> TrainState:
    """A freshly initialized network.

    Args:
      model: the network.
      optimizer: makes its memory.
      image_size: side of the images that the network will see.
      seed: of the initialization.
      further_params: what is trained besides the network, by a name that no layer has.
    """

    def init(key):
        variables = model.init(key, jnp.zeros((1, image_size, image_size, 3)), train=False)
        params = variables["params"] | dict(further_params or {})
        batch_stats = variables.get("batch_stats", {})
        return TrainState(jnp.int32(0), params, batch_stats, optimizer.init(params))

    return jax.jit(init)(jax.random.key(seed))
