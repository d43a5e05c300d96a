"""The soft receptive fields of a network's convolutions, as a configuration says."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from ml_collections import ConfigDict

from interpjax import regularizers as reg

PyTree = Any
FIELD_PARAMS = "soft_receptive_field"  # P₁ and P₂ among the parameters, where they are learned


def field_params(config: ConfigDict) -> dict[str, PyTree]:
    """P₁ and P₂ of the soft receptive fields at their start, if they are learned."""
    settings = config.regularizer.soft_receptive_field
    if not settings.learned:
        return {}
    return {FIELD_PARAMS: {"scale": jnp.float32(settings.scale), "shift": jnp.float32(settings.shift)}}


def make_fields(config: ConfigDict, model: nn.Module, axis_name: str | None) -> Callable[[PyTree, Any], dict[str, Any]]:
    """A function of parameters and ``{layer: maps before the non-linearity}``: the field of each.

    It raises ValueError, naming the field and the layer, where the statistics are to be batch norm's and the maps are
    not what a batch norm gives.
    """
    settings = config.regularizer.soft_receptive_field
    by_batch_norm = settings.statistics == "batch_norm"

    def fields(params: PyTree, activations: Any) -> dict[str, Any]:
        learned = params.get(FIELD_PARAMS, {"scale": settings.scale, "shift": settings.shift})
        found = {}
        for layer, maps in activations.items():
            gamma = _scale(params, _norm_behind(config, model, layer)) if by_batch_norm else None
            found[layer] = reg.soft_receptive_field(
                maps, learned["scale"], learned["shift"], batch_norm_scale=gamma, axis_name=axis_name
            )
        return found

    return fields


def _norm_behind(config: ConfigDict, model: nn.Module, layer: str) -> str:
    """The batch norm whose output is what the layer's non-linearity sees."""
    wrong = f"config.regularizer.soft_receptive_field.statistics = 'batch_norm': {config.model.name}'s {layer}"
    if layer not in model.batch_norms:
        raise ValueError(f"{wrong} has none behind it; leave it out of the losses' layers, or use 'minibatch'")
    if layer in model.summed_layers:
        raise ValueError(
            f"{wrong} goes into a sum behind it, whose scale is not its batch norm's; leave it out of the losses' "
            "layers, or use 'minibatch'"
        )
    return model.batch_norms[layer]


def _scale(params: PyTree, norm: str) -> Any:
    for name in norm.split("/"):
        params = params[name]
    return params["scale"]
