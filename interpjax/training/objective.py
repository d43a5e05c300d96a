"""What training minimizes: cross-entropy and weighted penalties, each reported under its own name."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from interpjax import regularizers

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Penalty:
    """A term of the objective: ``strength`` times a function of the parameters.

    Attributes:
      name: its metric is ``penalty/NAME``, reported with the strength in it.
      strength: the factor.
      function: parameters → scalar.
    """

    name: str
    strength: float
    function: Callable[[PyTree], Float[Array, ""]]


def make_penalties(config: ConfigDict) -> tuple[Penalty, ...]:
    """The penalties that a configuration turns on, by a strength above 0.

    Where the block norm is on, it replaces weight decay on the convolution kernels; weight decay then covers
    what is left, so that no array is penalized twice.
    """
    penalties = []
    block = config.regularizer.block_norm
    if block.strength > 0:
        grouping = regularizers.Grouping(num_groups=block.num_groups, remainder=block.remainder)
        p, q = block.p, block.q
        penalties.append(
            Penalty(
                "block_norm",
                block.strength,
                lambda params: regularizers.block_norm_penalty(params, grouping, p=p, q=q)[0],
            )
        )
    decay = config.regularizer.weight_decay.strength
    if decay > 0:
        include = _all_but_kernels if block.strength > 0 else _all
        penalties.append(
            Penalty(
                "weight_decay",
                decay,
                lambda params: regularizers.weight_decay_penalty(params, include=include),
            )
        )
    return tuple(penalties)


def check_penalty(config: ConfigDict, penalty: Penalty, params: PyTree) -> None:
    """Raises ValueError, naming the field, where a penalty does not fit a network (as more groups than filters).

    Args:
      config: the experiment.
      penalty: one of :func:`make_penalties`.
      params: the network's parameters, or their shapes.
    """
    try:
        jax.eval_shape(penalty.function, params)
    except ValueError as error:
        raise ValueError(f"config.regularizer.{penalty.name}: {error}") from error


def cross_entropy(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, " batch"]:
    """Cross-entropy of each example, in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), labels)


def objective(
    data_loss: Float[Array, ""], penalties: tuple[Penalty, ...], params: PyTree
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The loss and its terms: ``loss``, ``cross_entropy`` and ``penalty/NAME`` for each penalty."""
    terms = {f"penalty/{penalty.name}": penalty.strength * penalty.function(params) for penalty in penalties}
    loss = data_loss + sum(terms.values())
    return loss, {"loss": loss, "cross_entropy": data_loss, **terms}


def _all(path: tuple, leaf: Any) -> bool:
    del path, leaf
    return True


def _all_but_kernels(path: tuple, leaf: Any) -> bool:
    return not regularizers.is_convolution_kernel(path, leaf)
