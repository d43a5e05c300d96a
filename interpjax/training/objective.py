"""What training minimizes: cross-entropy and weighted terms, each reported under its own name."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

PyTree = Any
Maps = Mapping[str, Float[Array, "n _ _ _"]]


@dataclasses.dataclass(frozen=True)
class TermInputs:
    """What a term is a function of.

    Attributes:
      params: what is trained.
      fields: soft receptive fields of the layers that some term needs.
      key: random numbers of this step, the same on all devices.
    """

    params: PyTree
    fields: Maps
    key: jax.Array


@dataclasses.dataclass(frozen=True)
class Term:
    """A part of the loss: a strength times a function.

    Attributes:
      name: its metric is ``penalty/NAME``, reported with the strength in it.
      strength: the factor at each step.
      function: the rest.
      layers: whose soft receptive fields it needs.
      by_gradient: False where the optimizer's proximal step minimizes it; it is then reported, but not derived.
    """

    name: str
    strength: optax.Schedule
    function: Callable[[TermInputs], Float[Array, ""]]
    layers: tuple[str, ...] = ()
    by_gradient: bool = True


@dataclasses.dataclass(frozen=True)
class Objective:
    """The loss of a network.

    Attributes:
      terms: besides cross-entropy.
      fields_fn: parameters and activation maps (before the non-linearity) → soft receptive fields.
    """

    terms: tuple[Term, ...]
    fields_fn: Callable[[PyTree, Maps], Maps]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose activation maps are needed, each once."""
        return tuple(dict.fromkeys(layer for term in self.terms for layer in term.layers))

    def __call__(
        self,
        data_loss: Float[Array, ""],
        params: PyTree,
        activations: Maps,
        *,
        step: int | Int[Array, ""],
        key: jax.Array,
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """The loss and its terms: ``loss``, ``cross_entropy`` and ``penalty/NAME`` for each term."""
        inputs = TermInputs(params, self.fields_fn(params, activations), key)
        values = {}
        for term in self.terms:
            value = jnp.asarray(term.strength(step), jnp.float32) * term.function(inputs)
            values[f"penalty/{term.name}"] = value if term.by_gradient else jax.lax.stop_gradient(value)
        loss = data_loss + sum(values.values())
        return loss, {"loss": loss, "cross_entropy": data_loss, **values}


def cross_entropy(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, " batch"]:
    """Cross-entropy of each example, in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), labels)
