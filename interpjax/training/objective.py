"""The loss that training minimizes: cross-entropy and weighted terms, each reported under its own name."""

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
    """The inputs of a term.

    Attributes:
      params: all that is trained, in the form of the network's ``variables["params"]``.
      maps: activation maps before the non-linearity, by layer, of the layers that some term asks for.
      fields: the soft receptive fields of these maps, by layer.
      key: the key of this step's random numbers, the same on all devices.
      axis_name: name of the axis of devices that share the minibatch, inside a step; None outside.
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
      name: the name of the term. Its metric ``penalty/NAME`` is the strength times the function.
      strength: the strength at each step.
      function: the function that the strength is multiplied by.
      layers: the layers whose maps and fields the function uses.
      by_gradient: whether the term is minimized by its gradient. False if the optimizer's proximal step minimizes it:
        its value is then reported, but it has no gradient.
      own: whether the function is a user's own, whose errors are passed on as they are.
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
      scale: P₁; its value at the start if it is learned.
      shift: P₂; its value at the start if it is learned.
      learned: whether P₁ and P₂ are trained.
      norms: the name of the batch norm behind each layer, whose scale is then S. None if S is the standard deviation
        over the minibatch.
    """

    scale: float = 1.0
    shift: float = 0.0
    learned: bool = False
    norms: Mapping[str, str] | None = None

    def params(self) -> dict[str, PyTree]:
        """The parameters to be trained besides the network: P₁ and P₂ at their start if they are learned, else none."""
        if not self.learned:
            return {}
        return {FIELD_PARAMS: {"scale": jnp.float32(self.scale), "shift": jnp.float32(self.shift)}}

    def __call__(self, params: PyTree, maps: Maps, axis_name: str | None) -> dict[str, Float[Array, "n _ _ _"]]:
        """The soft receptive fields of the maps of some layers."""
        own = params.get(FIELD_PARAMS, {"scale": self.scale, "shift": self.shift})
        found = {}
        for layer, values in maps.items():
            if self.norms is not None and layer not in self.norms:
                continue  # only a user's own term asks for this layer
            gamma = None if self.norms is None else _scale_of(params, self.norms[layer])
            found[layer] = reg.soft_receptive_field(
                values, own["scale"], own["shift"], batch_norm_scale=gamma, axis_name=axis_name
            )
        return found


@dataclasses.dataclass(frozen=True)
class Objective:
    """The loss of a network.

    Attributes:
      terms: the terms besides cross-entropy.
      soft_fields: makes the soft receptive fields that the terms use.
      label_smoothing: the share of each target that is spread evenly over all classes.
    """

    terms: tuple[Term, ...] = ()
    soft_fields: SoftFields = SoftFields()
    label_smoothing: float = 0.0

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose activation maps some term uses, each once."""
        return tuple(dict.fromkeys(layer for term in self.terms for layer in term.layers))

    def data_loss(self, logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
        """The mean cross-entropy, with smoothed labels if there is a share to smooth them by."""
        exact, share = jnp.mean(cross_entropy(logits, labels)), self.label_smoothing
        if not share:
            return exact
        even = -jnp.mean(jax.nn.log_softmax(logits.astype(jnp.float32)))  # the target is the same for all classes
        return (1 - share) * exact + share * even

    def inputs(self, params: PyTree, maps: Maps, *, key: jax.Array, axis_name: str | None) -> TermInputs:
        """The inputs of the terms."""
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
