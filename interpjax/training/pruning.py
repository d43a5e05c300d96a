"""Gradual magnitude pruning: the smallest weights of convolutions become exactly zero while a network is trained."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from interpjax.regularizers.kernels import layer_name, matches, path_names, select_kernels

PyTree = Any
Kernels = Mapping[str, Float[Array, "..."]]


class PruningState(NamedTuple):
    """The number of steps that were taken."""

    step: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class Pruning:
    r"""How many of the weights of convolutions are zero at each step of a training.

    .. math:: s_t = s \left(1 - \left(1 - \frac{t - t_0}{t_1 - t_0}\right)^3\right)

    between t₀ and t₁, 0 before and s after. Biases, batch norms and dense layers are not pruned.

    Attributes:
      sparsity: s, the share of zeros in the end among all weights that are pruned, those of all layers together.
      start: t₀, as a share of the training.
      stop: t₁, as a share of the training.
      layers: name patterns of the layers that are pruned; all convolutions if it is empty.
      frozen: name patterns of layers that are not trained, which are not pruned either.

    References:
      Zhu and Gupta, *To prune, or not to prune*, 2017, Eq. 1; with weights of all layers ranked together, as in Frankle
      and Bau, *Dissecting Pruned Neural Networks*, 2019, who prune after training and train again.
    """

    sparsity: float
    start: float
    stop: float
    layers: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()

    def kernels(self, params: PyTree) -> dict[str, Float[Array, "..."]]:
        """The kernels that are pruned, by the name of their layer.

        Raises:
          ValueError: if there is none, or a pattern matches none.
        """
        chosen = select_kernels(params, layers=self.layers)
        found = {name: kernel for name, kernel in chosen.items() if not (self.frozen and matches(name, self.frozen))}
        if not found:
            raise ValueError(f"all of {', '.join(chosen)} are frozen; expected one that is trained")
        return found

    def share(self, step: Int[Array, ""] | int, total: int) -> Float[Array, ""]:
        """The share of zeros after a step, counted from 1, of a training of ``total`` steps."""
        first, last = self.start * total, self.stop * total
        progress = jnp.clip((jnp.asarray(step, jnp.float32) - first) / (last - first), 0, 1)
        return self.sparsity * (1 - (1 - progress) ** 3)


def prune(pruning: Pruning, total: int) -> optax.GradientTransformation:
    """Makes the smallest weights zero after each step of an optimizer. A weight that is exactly zero stays so.

    It comes last in an ``optax.chain``: it expects the whole step, with the learning rate in it.

    Args:
      pruning: how many weights are pruned, and when.
      total: number of steps of the training.

    Raises:
      ValueError: on ``init``, if there is no kernel to prune.
    """

    def init(params: PyTree) -> PruningState:
        pruning.kernels(params)
        return PruningState(jnp.zeros((), jnp.int32))

    def update(updates: PyTree, state: PruningState, params: PyTree = None) -> tuple[PyTree, PruningState]:
        if params is None:
            raise ValueError("params = None: expected the parameters; call update(updates, state, params)")
        steps = pruning.kernels(updates)
        moved = {
            name: jnp.where(kernel == 0, 0, kernel + steps[name]) for name, kernel in pruning.kernels(params).items()
        }
        cut = _largest_pruned(moved, pruning.share(state.step + 1, total))

        def last(path: tuple, step: Array, param: Array) -> Array:
            name = layer_name(path)
            if name not in moved or path_names(path)[-1] != "kernel":
                return step
            return jnp.where(jnp.abs(moved[name]) <= cut, 0, moved[name]) - param  # w + (0 − w) is an exact 0

        return jax.tree_util.tree_map_with_path(last, updates, params), PruningState(state.step + 1)

    return optax.GradientTransformation(init, update)


def _largest_pruned(kernels: Kernels, share: Float[Array, ""]) -> Float[Array, ""]:
    """The magnitude of the largest weight that goes where this share goes, of all kernels; below 0 if none does."""
    magnitudes = jnp.concatenate([jnp.abs(kernel).ravel() for kernel in kernels.values()])
    number = jnp.round(share * float(len(magnitudes))).astype(jnp.int32)
    ranked = jax.lax.cond(number > 0, jnp.sort, lambda each: each, magnitudes)  # before the start nothing is ranked
    return jnp.where(number > 0, ranked[number - 1], -1)
