"""The layers of a network, as it names them itself when it runs: nothing is written down twice."""

import contextlib
import contextvars
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

IMAGE = 224  # pixels a side of the images that networks are outlined with


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution, or a block of them.

    Attributes:
      name: of its parameters and taps.
      shape: [height, width, channels] of its output.
      stages: that it can be tapped at.
      kernel: [height, width, inputs, filters] of a convolution; empty for a block.
      norm: the batch norm behind it.
      same_as: the convolution before it that has the same maps before and after the non-linearity, as the last one of
        a residual block and the one on its shortcut.
      summed: whether something is added between its batch norm and the non-linearity, as at a residual block's end.
      parameters: how many, those of its batch norm included; of a block, of all layers in it.
    """

    name: str
    shape: tuple[int, int, int]
    stages: tuple[str, ...]
    kernel: tuple[int, ...] = ()
    norm: str | None = None
    same_as: str | None = None
    summed: bool = False
    parameters: int = 0


_notes: contextvars.ContextVar[dict[str, tuple[str | None, dict[str, Any]]] | None] = contextvars.ContextVar(
    "notes", default=None
)


def note(layer: str, behind: str | None, stages: Mapping[str, Any]) -> None:
    """Notes a layer, if somebody outlines the network."""
    notes = _notes.get()
    if notes is not None:
        notes[layer] = behind, dict(stages)


def of(model: nn.Module, image_shape: tuple[int, int] = (IMAGE, IMAGE)) -> tuple[Layer, ...]:
    """The layers of a network on images of some (height, width), in order of execution."""
    return _outlined(model.clone(axis_name=None, parent=None), image_shape)


@functools.cache
def _outlined(model: nn.Module, image_shape: tuple[int, int]) -> tuple[Layer, ...]:
    images = jax.ShapeDtypeStruct((1, *image_shape, 3), jnp.float32)
    with _noted() as notes:
        params = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(own)) for name, own in params.items()}
    layers: list[Layer] = []
    of_maps: dict[int, str] = {}  # the first convolution that gives them
    for name, (norm, stages) in notes.items():
        own = params.get(name, {}).get("kernel")
        parts = [part for part in params if part in (name, norm) or part.startswith((f"{name}.", f"{name}_"))]
        shape = next(iter(stages.values())).shape[1:]
        kernel = () if own is None else own.shape
        first = of_maps.setdefault(id(stages["post"]), name) if kernel else name
        same_as = None if first == name else first
        summed = norm is not None and stages["norm"] is not stages["pre"]
        parameters = sum(sizes[part] for part in parts)
        layers.append(Layer(name, shape, tuple(stages), kernel, norm, same_as, summed, parameters))
    return tuple(layers)


@contextlib.contextmanager
def _noted() -> Iterator[dict[str, tuple[str | None, dict[str, Any]]]]:
    notes: dict[str, tuple[str | None, dict[str, Any]]] = {}
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)
