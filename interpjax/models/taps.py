"""The activation maps of a network's layers by name, at any stage from the convolution to the non-linearity."""

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
    """The logits of a network, and the activation maps of some of its layers.

    Args:
      model: a network of this package, or any flax module that offers layers (:func:`~interpjax.models.offer`) and is
        called as ``model(images, train=False)``.
      variables: the variables of the network.
      images: normalized images.
      layers: names out of ``models.outline(model).names``, as ``("conv5",)``, of convolutions or of blocks of them.
      stage: where the maps are taken. ``"conv"`` is the convolution's own output. ``"norm"`` is behind its batch norm,
        or the same as ``"conv"`` where there is none. ``"pre"`` is what the next non-linearity sees: behind batch norm
        and, at the end of a residual block, behind the sum. ``"post"`` is behind that non-linearity. Blocks have only
        the last two.

    Returns:
      The logits and ``{layer: maps}`` (NHWC, each layer of its own size). Maps that are not asked for are not kept.

    Raises:
      ValueError: if there is no such stage, the model has no such layer, or the layer has no maps at that stage.
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
    """Like :func:`apply_with_taps` at the stage ``"pre"``, but with dropout and the statistics of the minibatch.

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
            offered = (
                f"no such layer; choose one of {', '.join(known)}"
                if known
                else "no layers; expected a call of interpjax.models.offer in its __call__"
            )
            raise ValueError(f"layer {layer!r}: {type(model).__name__} offers {offered}")
        if stage not in known[layer]:
            raise ValueError(
                f"stage = {stage!r}: the layer {layer!r} has no such maps; choose one of {', '.join(known[layer])}"
            )
