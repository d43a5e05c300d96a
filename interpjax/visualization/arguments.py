"""The checks of what pictures are asked for: networks, classes, units and groups."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from interpjax.models import outline

UnitOrGroup = int | Sequence[int]  # the number of a unit, from 0, or those of a group


def checked_classes(
    model: nn.Module, images: Float[Array, "n h w 3"], classes: Int[Array | np.ndarray, " n"]
) -> Int[Array, " n"]:
    """The classes, one for each image. Raises ValueError if one is none of the network's."""
    found = np.asarray(classes)
    if found.shape != images.shape[:1] or found.dtype.kind not in "iu":
        raise ValueError(
            f"classes: {found.dtype} of the shape {found.shape}; expected whole numbers, one for each of "
            f"{len(images)} images"
        )
    check_classes("classes", model, images.shape, found)
    return jnp.asarray(found)


def check_classes(name: str, model: nn.Module, images: tuple[int, ...], classes: Any) -> None:
    """Raises ValueError if the network cannot be compiled for, or one of the classes is none of its."""
    check_model(model)
    height, width = images[1:3]
    count = outline(model, (height, width)).logits.shape[-1]
    for cls in np.ravel(classes).tolist():
        if not 0 <= cls < count:
            raise ValueError(f"{name} = {cls}: the network has no such class; expected 0 to {count - 1}")


def check_model(model: nn.Module) -> None:
    """Raises ValueError for a network that cannot stand for what was compiled for it."""
    try:
        hash(model)
    except TypeError as error:
        raise ValueError(
            f"model: a field of {type(model).__name__} cannot be hashed; expected tuples in place of lists"
        ) from error


def layer_shape(model: nn.Module, layer: str, images: tuple[int, ...]) -> tuple[int, int, int]:
    """(height, width, units) of a layer on images of this shape. Raises ValueError if there is no such layer."""
    check_model(model)
    height, width = images[1:3]
    shapes = {found.name: found.shape for found in outline(model, (height, width)).layers}
    if layer not in shapes:
        raise ValueError(f"layer = {layer!r}: choose one of {', '.join(shapes) or 'none'}")
    return shapes[layer]


def membership(layer: str, channels: int, units_or_groups: Sequence[UnitOrGroup]) -> Float[np.ndarray, "sets channels"]:
    """1 where a channel is in a set, 0 elsewhere. Raises ValueError if a set is empty or names no unit of the layer."""
    if not len(units_or_groups):
        raise ValueError("units_or_groups: none is given; expected one or more")
    members = np.zeros((len(units_or_groups), channels), np.float32)
    for row, own in zip(members, units_or_groups, strict=True):
        units = np.atleast_1d(np.asarray(own))
        within = units.ndim == 1 and units.size and units.dtype.kind in "iu"
        if not within or units.min() < 0 or units.max() >= channels:
            raise ValueError(f"{own}: is no unit or group of {layer!r}; expected numbers from 0 to {channels - 1}")
        row[units] = 1
    return members
