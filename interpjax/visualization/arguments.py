"""The checks of what pictures are asked for: networks, classes, units and groups."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from interpjax.dissection.arguments import listed, shown
from interpjax.models import Outline, outline

UnitOrGroup = int | Sequence[int]  # the number of a unit, from 0, or those of a group


def checked_classes(
    name: str, model: nn.Module, variables: Any, images: Float[Array, "n h w 3"], classes: Int[Array | np.ndarray, " n"]
) -> Int[Array, " n"]:
    """The classes, one for each image. Raises ValueError if one is none of the network's, or images are not its."""
    check_images(images)
    found = np.asarray(classes)
    if found.shape != images.shape[:1] or found.dtype.kind not in "iu":
        raise ValueError(
            f"{name}: {found.dtype} of the shape {found.shape}; expected whole numbers, one for each of "
            f"{len(images)} images"
        )
    check_classes(name, model, variables, images.shape, found)
    return jnp.asarray(found)


def check_classes(name: str, model: nn.Module, variables: Any, images: tuple[int, ...], classes: Any) -> None:
    """Raises ValueError if the network cannot be compiled for, or one of the classes is none of its."""
    count = _outlined(model, variables, images).logits.shape[-1]
    for cls in np.ravel(classes).tolist():
        if not 0 <= cls < count:
            raise ValueError(f"{name} = {cls}: the network has no such class; expected 0 to {count - 1}")


def check_images(images: Any) -> None:
    """Raises ValueError unless these are normalized images, an array [n, height, width, 3]."""
    if not isinstance(images, jax.Array | np.ndarray):
        raise ValueError(f"images = {shown(images)}: expected an array [n, height, width, 3] of normalized images")
    if images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(
            f"images: of the shape {images.shape}; expected [n, height, width, 3], as images[None] of a single one"
        )
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"images: of dtype {images.dtype}; expected floating-point numbers: normalize with Preprocessing, as "
            "Preprocessing.imagenet()(images)"
        )


def check_key(key: Any) -> None:
    """Raises ValueError unless this is a single key of JAX, of the new kind or the old one."""
    dtype = getattr(key, "dtype", None)
    new = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key) and key.shape == ()
    if not new and not (dtype == jnp.uint32 and key.shape == (2,)):
        raise ValueError(f"key = {shown(key)}: expected a single key of JAX, as jax.random.key(0)")


def check_model(model: nn.Module) -> None:
    """Raises ValueError for a network that cannot stand for what was compiled for it."""
    try:
        hash(model)
    except TypeError as error:
        raise ValueError(
            f"model: a field of {type(model).__name__} cannot be hashed; expected tuples in place of lists"
        ) from error


def layer_shape(model: nn.Module, variables: Any, layer: str, images: tuple[int, ...]) -> tuple[int, int, int]:
    """(height, width, units) of a layer on images of this shape. Raises ValueError if there is no such layer."""
    shapes = {found.name: found.shape for found in _outlined(model, variables, images).layers}
    if layer not in shapes:
        raise ValueError(f"layer = {layer!r}: choose one of {', '.join(shapes) or 'none'}")
    return shapes[layer]


def membership(layer: str, channels: int, units_or_groups: Sequence[UnitOrGroup]) -> Float[np.ndarray, "sets channels"]:
    """1 where a channel is in a set, 0 elsewhere. Raises ValueError if a set is empty or names no unit of the layer."""
    if isinstance(units_or_groups, int | np.integer):
        raise ValueError(f"units_or_groups = {shown(units_or_groups)}: expected a sequence, as [{units_or_groups}]")
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


def _outlined(model: nn.Module, variables: Any, images: tuple[int, ...]) -> Outline:
    """The network's outline on images of this shape. Raises ValueError if these are no variables of such a network."""
    check_model(model)
    height, width = images[1:3]
    found = outline(model, (height, width))
    if not isinstance(variables, Mapping):
        raise ValueError(f"variables = {shown(variables)}: expected those of the network, as model.init gives them")
    missing = [name for name in found.variables if name not in variables]
    if missing:
        raise ValueError(
            f"variables: have {listed(list(variables)) or 'nothing'}, and no {missing[0]!r}; expected all that "
            "model.init gives, as {'params': …}"
        )
    return found
