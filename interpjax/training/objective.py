"""What training minimizes: cross-entropy and weighted terms, each reported under its own name."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from interpjax import regularizers as reg

PyTree = Any
Maps = Mapping[str, Float[Array, "n _ _ _"]]
FIELD_PARAMS = "soft_receptive_field"  # P₁ and P₂ among the parameters, where they are learned


@dataclasses.dataclass(frozen=True)
class TermInputs:
    """What a term is a function of.

    Attributes:
      params: what is trained, as the network's ``variables["params"]``.
      maps: activation maps before the non-linearity, by layer, of the layers that some term asks for.
      fields: the soft receptive fields of these maps.
      key: random numbers of this step, the same on all devices.
      axis_name: of the devices that share the minibatch, inside a step; None outside.
    """

    params: PyTree
    maps: Maps
    fields: Maps
    key: jax.Array
    axis_name: str | None


@dataclasses.dataclass(frozen=True)
class Term:
    """A part of the loss: a strength times a function.

    Attributes:
      name: its metric is ``penalty/NAME``, reported with the strength in it.
      strength: the factor at each step.
      function: the rest.
      layers: whose maps and fields it asks for.
      by_gradient: False where the optimizer's proximal step minimizes it; it is then reported, but not derived.
      own: whether it is a user's own, whose errors are told as they are.
    """

    name: str
    strength: optax.Schedule
    function: Callable[[TermInputs], Float[Array, ""]]
    layers: tuple[str, ...] = ()
    by_gradient: bool = True
    own: bool = False


@dataclasses.dataclass(frozen=True)
class SoftFields:
    """The soft receptive fields of a network's layers, ψ = σ(P₁·a/S + P₂).

    Attributes:
      scale: P₁, or where it starts.
      shift: P₂, or where it starts.
      learned: whether both are trained.
      norms: the batch norm behind each layer, whose scale is then S; None where S is the standard deviation over the
        minibatch.
    """

    scale: float = 1.0
    shift: float = 0.0
    learned: bool = False
    norms: Mapping[str, str] | None = None

    def params(self) -> dict[str, PyTree]:
        """What is trained besides the network: P₁ and P₂ at their start, if they are learned."""
        if not self.learned:
            return {}
        return {FIELD_PARAMS: {"scale": jnp.float32(self.scale), "shift": jnp.float32(self.shift)}}

    def __call__(self, params: PyTree, maps: Maps, axis_name: str | None) -> dict[str, Float[Array, "n _ _ _"]]:
        """The fields of some layers' maps."""
        own = params.get(FIELD_PARAMS, {"scale": self.scale, "shift": self.shift})
        found = {}
        for layer, values in maps.items():
            if self.norms is not None and layer not in self.norms:
                continue  # no term that interpjax knows asks for it
            gamma = None if self.norms is None else _scale_of(params, self.norms[layer])
            found[layer] = reg.soft_receptive_field(
                values, own["scale"], own["shift"], batch_norm_scale=gamma, axis_name=axis_name
            )
        return found


@dataclasses.dataclass(frozen=True)
class Objective:
    """The loss of a network.

    Attributes:
      terms: besides cross-entropy.
      soft_fields: makes the soft receptive fields that terms ask for.
    """

    terms: tuple[Term, ...] = ()
    soft_fields: SoftFields = SoftFields()

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose activation maps are asked for, each once."""
        return tuple(dict.fromkeys(layer for term in self.terms for layer in term.layers))

    def inputs(self, params: PyTree, maps: Maps, *, key: jax.Array, axis_name: str | None) -> TermInputs:
        """What the terms are functions of."""
        return TermInputs(params, maps, self.soft_fields(params, maps, axis_name), key, axis_name)

    def __call__(
        self,
        data_loss: Float[Array, ""],
        params: PyTree,
        maps: Maps,
        *,
        step: int | Int[Array, ""],
        key: jax.Array,
        axis_name: str | None = None,
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """The loss and its terms: ``loss``, ``cross_entropy`` and ``penalty/NAME`` for each term."""
        inputs = self.inputs(params, maps, key=key, axis_name=axis_name)
        values = {}
        for term in self.terms:
            value = jnp.asarray(term.strength(step), jnp.float32) * jnp.asarray(term.function(inputs), jnp.float32)
            values[f"penalty/{term.name}"] = value if term.by_gradient else jax.lax.stop_gradient(value)
        loss = data_loss + sum(values.values())
        return loss, {"loss": loss, "cross_entropy": data_loss, **values}


def cross_entropy(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, " batch"]:
    """Cross-entropy of each example, in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), labels)


def _scale_of(params: PyTree, norm: str) -> Any:
    for name in norm.split("/"):
        params = params[name]
    return params["scale"]
