"""Activations of a network by layer name, before or after the non-linearity."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from interpjax.models.layers import TAPS

STAGES = ("pre", "post")


def apply_with_taps(
    model: nn.Module,
    variables: Mapping[str, Any],
    images: Float[Array, "n h w 3"],
    *,
    layers: Sequence[str],
    stage: str = "post",
) -> tuple[Float[Array, "n classes"], dict[str, Float[Array, "n _ _ _"]]]:
    """Logits, and the activation maps of some layers.

    Args:
      model: of this package.
      variables: its variables.
      images: normalized images.
      layers: names out of the model's ``tap_layers``, ``("conv5",)``: convolutions, or blocks of them.
      stage: ``"pre"`` or ``"post"`` the non-linearity (both behind batch norm, where there is one).

    Returns:
      The logits and ``{layer: maps}`` (NHWC, each layer of its own size). Inside jit, what is not asked for is
      not kept.

    Raises:
      ValueError: if there is no such stage, or the model no such layer.
    """
    if stage not in STAGES:
        raise ValueError(f"stage = {stage!r}: choose one of {', '.join(STAGES)}")
    logits, offered = model.apply(variables, images, mutable=[TAPS])
    return logits, _read(model, offered, layers, stage)


def apply_in_training(
    model: nn.Module,
    variables: Mapping[str, Any],
    images: Float[Array, "n h w 3"],
    *,
    layers: Sequence[str],
    dropout_key: jax.Array,
) -> tuple[Float[Array, "n classes"], dict[str, Float[Array, "n _ _ _"]], Any]:
    """As :func:`apply_with_taps` before the non-linearity, with dropout and the minibatch's statistics.

    Returns:
      The logits, ``{layer: maps}``, and the new running statistics of batch norm.

    Raises:
      ValueError: if the model has no such layer.
    """
    logits, changed = model.apply(
        variables, images, train=True, mutable=["batch_stats", TAPS], rngs={"dropout": dropout_key}
    )
    return logits, _read(model, changed, layers, "pre"), changed.get("batch_stats", {})


def _read(model: nn.Module, collections: Mapping[str, Any], layers: Sequence[str], stage: str) -> dict[str, Array]:
    taps = collections.get(TAPS, {})
    for layer in layers:
        if f"{layer}/{stage}" not in taps:
            known = ", ".join(name.removesuffix(f"/{stage}") for name in taps if name.endswith(f"/{stage}"))
            raise ValueError(f"layer {layer!r}: {type(model).__name__} has the layers {known}")
    return {layer: taps[f"{layer}/{stage}"] for layer in layers}
