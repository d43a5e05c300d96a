"""Gradual magnitude pruning: the smallest weights of convolutions become exactly zero while a network is trained."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
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
    r"""Which weights of convolutions are made zero, and how many at each step of a training.

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
    """Makes the smallest weights zero after each step of an optimizer. From the first of them on, zeros stay so.

    Weights are ranked only while the share rises, so that steps before and after cost nothing more. The step of a
    pruned weight w is −w, by which it becomes an exact 0.

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
        kernels, steps = pruning.kernels(params), pruning.kernels(updates)
        before, now = (pruning.share(step, total) for step in (state.step, state.step + 1))
        moved = {
            name: jnp.where((kernel == 0) & (now > 0), 0, kernel + steps[name]) for name, kernel in kernels.items()
        }
        left = jax.lax.cond(now > before, lambda: _without_smallest(moved, now), lambda: moved)

        def last(path: tuple, step: Array, param: Array) -> Array:
            name = layer_name(path)
            return left[name] - param if name in left and path_names(path)[-1] == "kernel" else step

        return jax.tree_util.tree_map_with_path(last, updates, params), PruningState(state.step + 1)

    return optax.GradientTransformation(init, update)


def _without_smallest(kernels: Kernels, share: Float[Array, ""]) -> dict[str, Float[Array, "..."]]:
    """The kernels with this share of their weights 0, the smallest ones of all together; of equal ones the first."""
    order = jnp.argsort(jnp.concatenate([jnp.abs(kernel).ravel() for kernel in kernels.values()]))
    number = jnp.round(share * float(len(order))).astype(jnp.int32)
    kept = jnp.zeros(len(order), bool).at[order].set(jnp.arange(len(order)) >= number)
    parts = jnp.split(kept, np.cumsum([kernel.size for kernel in kernels.values()])[:-1])
    return {
        name: jnp.where(part.reshape(kernel.shape), kernel, 0)
        for (name, kernel), part in zip(kernels.items(), parts, strict=True)
    }
