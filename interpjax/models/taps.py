"""Activations of a network by layer name, at any stage from the convolution to behind the non-linearity."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from interpjax.models.layers import outline
from interpjax.models.offers import TAPS, collection, maps_of


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
      model: of this package, or any flax module that offers layers (:func:`~interpjax.models.offer`) and is called as
        ``model(images, train=False)``.
      variables: its variables.
      images: normalized images.
      layers: names out of ``models.outline(model).names``, ``("conv5",)``: convolutions, or blocks of them.
      stage: ``"conv"``, the convolution's own output; ``"norm"``, behind its batch norm (where there is none, as
        ``conv``); ``"pre"``, what the next non-linearity sees, so behind batch norm and, at the end of a residual
        block, behind the sum; ``"post"``, behind that non-linearity. Blocks have the last two.

    Returns:
      The logits and ``{layer: maps}`` (NHWC, each layer of its own size). What is not asked for is not kept.

    Raises:
      ValueError: if there is no such stage, or the model no such layer, or the layer not that stage.
    """
    _check(model, images, layers, stage)
    logits, sown = model.apply(variables, images, train=False, mutable=_collections(layers, stage))
    return logits, maps_of(sown, layers, stage)


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
    _check(model, images, layers, "pre")
    mutable = ["batch_stats", *_collections(layers, "pre")]
    logits, changed = model.apply(variables, images, train=True, mutable=mutable, rngs={"dropout": dropout_key})
    return logits, maps_of(changed, layers, "pre"), changed.get("batch_stats", {})


def _collections(layers: Sequence[str], stage: str) -> list[str]:
    return [collection(layer, stage) for layer in layers]


def _check(model: nn.Module, images: Float[Array, "n h w 3"], layers: Sequence[str], stage: str) -> None:
    if stage not in TAPS:
        raise ValueError(f"stage = {stage!r}: choose one of {', '.join(TAPS)}")
    if not layers:
        return
    height, width = images.shape[1:3]
    known = {layer.name: layer.taps for layer in outline(model, (height, width)).layers}
    for layer in layers:
        if layer not in known:
            names = f"the layers {', '.join(known)}" if known else "no layers: it offers none (models.offer)"
            raise ValueError(f"layer {layer!r}: {type(model).__name__} has {names}")
        if stage not in known[layer]:
            raise ValueError(f"stage = {stage!r}: the layer {layer!r} has {', '.join(known[layer])}")
