"""Activations of a network by layer name, at any stage from the convolution to behind the non-linearity."""

import contextlib
import contextvars
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from interpjax.models import layers as outline

TAPS = "taps"  # the collection that activations are offered in
STAGES = ("conv", "norm", "pre", "post")

_wanted: contextvars.ContextVar[tuple[str, ...] | None] = contextvars.ContextVar("wanted", default=None)


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
      stage: ``"conv"``, the convolution's own output; ``"norm"``, behind its batch norm (where there is none, as
        ``conv``); ``"pre"``, what the next non-linearity sees, so behind batch norm and, at the end of a residual
        block, behind the sum; ``"post"``, behind that non-linearity. Blocks have the last two.

    Returns:
      The logits and ``{layer: maps}`` (NHWC, each layer of its own size). What is not asked for is not kept.

    Raises:
      ValueError: if there is no such stage, or the model no such layer, or the layer not that stage.
    """
    _check(model, layers, stage)
    with _wanting(layers, stage):
        logits, offered = model.apply(variables, images, mutable=[TAPS])
    return logits, _read(offered, layers, stage)


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
    _check(model, layers, "pre")
    with _wanting(layers, "pre"):
        logits, changed = model.apply(
            variables, images, train=True, mutable=["batch_stats", TAPS], rngs={"dropout": dropout_key}
        )
    return logits, _read(changed, layers, "pre"), changed.get("batch_stats", {})


def offer(module: nn.Module, layer: str, stages: Mapping[str, Float[Array, "n h w c"]]) -> None:
    """Keeps a layer's maps in the collection of taps, if they are wanted or nobody says what is."""
    if module.is_initializing():  # a network's variables hold no activations
        return
    wanted = _wanted.get()
    for stage, maps in stages.items():
        name = f"{layer}/{stage}"
        if wanted is None or name in wanted:
            module.sow(TAPS, name, maps, init_fn=lambda: None, reduce_fn=lambda _, new: new)


@contextlib.contextmanager
def _wanting(layers: Sequence[str], stage: str) -> Iterator[None]:
    token = _wanted.set(tuple(f"{layer}/{stage}" for layer in layers))
    try:
        yield
    finally:
        _wanted.reset(token)


def _check(model: nn.Module, layers: Sequence[str], stage: str) -> None:
    if stage not in STAGES:
        raise ValueError(f"stage = {stage!r}: choose one of {', '.join(STAGES)}")
    known = {layer.name: layer.stages for layer in outline.of(model)}
    for layer in layers:
        if layer not in known:
            raise ValueError(f"layer {layer!r}: {type(model).__name__} has the layers {', '.join(known)}")
        if stage not in known[layer]:
            raise ValueError(f"stage = {stage!r}: the layer {layer!r} has {', '.join(known[layer])}")


def _read(collections: Mapping[str, Any], layers: Sequence[str], stage: str) -> dict[str, Array]:
    taps = collections.get(TAPS, {})
    return {layer: taps[f"{layer}/{stage}"] for layer in layers}
