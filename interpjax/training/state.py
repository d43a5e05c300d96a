"""The state of training: all that changes from step to step."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

PyTree = Any


class TrainState(flax.struct.PyTreeNode):
    """The parameters, the batch statistics, the optimizer's memory, and the number of steps taken.

    ``average`` is that of the variables over the steps, where training keeps one; None where it does not.

    It holds no key of random numbers, for they follow from the configured seed and ``step``.
    """

    step: Any  # an int32 scalar, as an array of JAX or NumPy, or only its shape
    params: PyTree
    batch_stats: PyTree
    opt_state: PyTree
    average: PyTree = None

    @property
    def variables(self) -> dict[str, PyTree]:
        """The network's variables, as ``model.apply`` takes them."""
        return {"params": self.params, "batch_stats": self.batch_stats} if self.batch_stats else {"params": self.params}

    @property
    def result(self) -> dict[str, PyTree]:
        """The variables that training results in: their average where there is one, else those of the latest step."""
        return self.variables if self.average is None else self.average

    def averaged(self, earlier: PyTree, decay: float) -> "TrainState":
        """This state with an average that goes on from that of the earlier steps.

        It is the plain mean over all steps until these are so many that the exponential moving average of this decay
        weighs the latest one more. So the network at the start of training, which is random, is no part of it.
        """
        taken = jnp.asarray(self.step, jnp.float32)
        kept = jnp.minimum(decay, 1 - 1 / taken)

        def mixed(old: Any, new: Any) -> Any:
            return (old + (1 - kept) * (new - old)).astype(new.dtype)  # of equal ones exactly these

        return self.replace(average=jax.tree.map(mixed, earlier, self.variables))


def initial_variables(model: nn.Module, *, image_size: int, seed: int) -> dict[str, PyTree]:
    """The variables of a network that has not been trained, with which a training of this seed begins.

    Args:
      model: the network.
      image_size: side in pixels of the images that it will see.
      seed: the seed of the initialization.
    """
    return jax.jit(lambda key: _initialize(model, image_size, key))(jax.random.key(seed))


def create_train_state(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    *,
    image_size: int,
    seed: int,
    further_params: Mapping[str, PyTree] | None = None,
    averaging: bool = False,
    start: Mapping[str, PyTree] | None = None,
) -> TrainState:
    """The state at the start of training, with a network that is initialized, but for what ``start`` brings.

    Args:
      model: the network.
      optimizer: the optimizer, which initializes its memory.
      image_size: side in pixels of the images that the network will see.
      seed: the seed of the initialization.
      further_params: parameters to be trained besides the network, by names that no layer has.
      averaging: whether an average of the variables is kept.
      start: variables of the network that take the place of the initialized ones; all, or those of some layers.
    """

    def init(key, start):
        variables = _initialize(model, image_size, key)
        if start is not None:
            variables = unflatten_dict(flatten_dict(variables) | flatten_dict(start))
        params = variables["params"] | dict(further_params or {})
        batch_stats = variables.get("batch_stats", {})
        state = TrainState(jnp.int32(0), params, batch_stats, optimizer.init(params))
        return state.replace(average=jax.tree.map(jnp.zeros_like, state.variables)) if averaging else state

    return jax.jit(init)(jax.random.key(seed), start)


def _initialize(model: nn.Module, image_size: int, key: jax.Array) -> dict[str, PyTree]:
    return dict(model.init(key, jnp.zeros((1, image_size, image_size, 3)), train=False))
