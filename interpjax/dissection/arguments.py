"""What single arguments are expected to be: checked, and made alike, before anything is computed.

Every error names the argument and its value.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from interpjax.dissection.protocol import PROTOCOLS, Protocol
from interpjax.dissection.upsampling import FieldMap
from interpjax.errors import UserError

LISTED = 20  # names in an error message
LONGEST = 80  # characters of a value in an error message
FIELDMAP = "(offset, size, stride), each (y, x) in whole input pixels, as ((0, 0), (16, 16), (16, 16))"
MAPS = "[images, h, w, units]"


def check_layers(layers: Any) -> tuple[str, ...]:
    """Names of layers; raises ValueError unless they are a sequence of strings, one at least, and none twice."""
    names = check_names("layers", layers, "conv5")
    if not names:
        raise ValueError("layers = (): expected one at least")
    if len(set(names)) < len(names):
        raise ValueError(f"layers: {next(name for name in names if names.count(name) > 1)!r} is twice in it")
    return names


def check_names(name: str, value: Any, example: str) -> tuple[str, ...]:
    """Names; raises ValueError unless they are a sequence of strings, which a string itself is not."""
    found = value.tolist() if getattr(value, "ndim", 0) == 1 and hasattr(value, "tolist") else value
    if isinstance(found, str | bytes) or not isinstance(found, Sequence):
        one = found if isinstance(found, str) and found else example
        raise ValueError(f"{name} = {shown(value)}: expected a sequence of names, as ({one!r},)")
    for number, item in enumerate(found):
        if not isinstance(item, str):
            raise ValueError(f"{name}[{number}] = {shown(item)}: expected a name, a string")
    return tuple(found)


def check_folder(name: str, value: Any) -> Path:
    """The path of a folder that is there or can be made; raises ValueError if it is empty, none, or a file's."""
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError(f"{name} = {shown(value)}: expected the path of a folder")
    if Path(value).exists() and not Path(value).is_dir():
        raise ValueError(f"{name} = {shown(str(value))}: is a file; expected the path of a folder")
    return Path(value)


def check_whole(name: str, value: Any, least: int) -> int:
    """An int; raises ValueError unless it is a whole number (True is none) of ``least`` or more."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} = {shown(value)}: expected a whole number of {least} or more")
    return int(value)


def check_protocol(protocol: Any, name: str = "protocol") -> Protocol:
    """A protocol; raises ValueError if it is none."""
    if not isinstance(protocol, Protocol):
        known = protocol if isinstance(protocol, str) and protocol in PROTOCOLS else "paper"
        raise ValueError(f"{name} = {shown(protocol)}: expected a Protocol, as get_protocol({known!r})")
    return protocol


def check_protocols(protocols: Any) -> tuple[Protocol, ...]:
    """Protocols; raises ValueError unless they are a sequence of them, one at least, and all of one tap."""
    if isinstance(protocols, str | Protocol) or not isinstance(protocols, Sequence):
        raise ValueError(f"protocols = {shown(protocols)}: expected a sequence of Protocols, [get_protocol('paper')]")
    chosen = tuple(check_protocol(protocol, f"protocols[{i}]") for i, protocol in enumerate(protocols))
    if len({protocol.tap for protocol in chosen}) != 1:
        taps = ", ".join(f"{protocol.name} {protocol.tap}" for protocol in chosen) or "none"
        raise ValueError(
            "protocols: expected one at least, and all of the same tap, since they share the activations; given: "
            f"{taps}"
        )
    return chosen


def check_activations(activations: Any, rows: int) -> dict[str, Any]:
    """Stored activations by layer; raises ValueError unless they are arrays of real numbers with so many rows."""
    if not isinstance(activations, Mapping) or not activations:
        raise ValueError(f"activations = {shown(activations)}: expected {{layer: array {MAPS}}}")
    check_names("activations", list(activations), "conv5")
    for layer, maps in activations.items():
        check_maps(layer, maps)
        if len(maps) != rows:
            raise ValueError(f"activations[{layer!r}] has {len(maps)} rows, images has {rows} names")
    # JAX's arrays take no list of rows.
    return {layer: np.asarray(maps) if isinstance(maps, jax.Array) else maps for layer, maps in activations.items()}


def check_maps(layer: str, maps: Any) -> None:
    """Raises UserError unless a layer's maps are an array [images, h, w, units] of real numbers, wherever from."""
    dtype = getattr(maps, "dtype", None)
    if not isinstance(dtype, np.dtype) or isinstance(maps, np.ma.MaskedArray):  # whose mask would be ignored
        raise UserError(f"layer {layer!r}: its maps are {shown(maps)}; expected an array {MAPS} of NumPy or JAX")
    if not _is_real(dtype):
        raise UserError(f"layer {layer!r}: its maps are of dtype {dtype}; expected real numbers, as float32")
    if dtype.itemsize > 8 or not dtype.isnative:
        raise UserError(f"layer {layer!r}: its maps are of dtype {dtype}; expected one that JAX has, as float32")
    if len(maps.shape) != 4 or 0 in maps.shape[1:]:
        raise UserError(
            f"layer {layer!r}: its maps have the shape {tuple(maps.shape)}; expected {MAPS}, none of h, w and units 0"
        )


def check_channels_last(layer: str, shape: tuple[int, ...], image_shapes: Collection[tuple[int, int]]) -> None:
    """Raises UserError if maps are plainly [images, units, h, w].

    A network that treats height and width alike makes square maps of square images; of others the longer side stays
    the longer one, and the sides differ by no more than those of the image. Maps are refused if that fails for h and
    w, but holds if width and units are the sides, for images of every size: else they may be right.

    Args:
      layer: its name.
      shape: of its maps.
      image_shapes: (height, width) of the images that they are of.
    """
    _, height, width, units = shape
    doubted = [
        image for image in image_shapes if not _are_sides(height, width, image) and _are_sides(width, units, image)
    ]
    if doubted and len(doubted) == len(image_shapes):
        raise UserError(
            f"layer {layer!r}: its maps have the shape {tuple(shape)}, which would be {units} units at {height} × "
            f"{width} positions, of images of {doubted[0][0]} × {doubted[0][1]} pixels; expected {MAPS}; if they are "
            "[images, units, h, w], as in PyTorch: maps.transpose(0, 2, 3, 1)"
        )


def check_thresholds(thresholds: Any, units: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Thresholds by layer as float64; raises ValueError unless there is one for each of the units."""
    _of_layers("thresholds", thresholds, tuple(units))
    found = {}
    for layer, count in units.items():
        if layer not in thresholds:
            raise ValueError(f"thresholds: the layer {layer!r} is missing; expected {count} of every layer")
        values = np.asarray(thresholds[layer])
        if not _is_real(values.dtype):
            raise ValueError(f"thresholds[{layer!r}]: of dtype {values.dtype}; expected real numbers")
        if values.shape != (count,):
            raise ValueError(f"thresholds[{layer!r}] has the shape {values.shape}; expected {count}, one a unit")
        found[layer] = values.astype(np.float64)
        if np.isnan(found[layer]).any():
            raise ValueError(f"thresholds[{layer!r}]: that of unit {np.isnan(found[layer]).argmax()} is NaN")
    return found


def check_fieldmaps(fieldmaps: Any, layers: tuple[str, ...]) -> dict[str, FieldMap]:
    """Receptive fields by layer, none for None; raises ValueError unless they are whole numbers, of known layers."""
    if fieldmaps is None:
        return {}
    _of_layers("fieldmaps", fieldmaps, layers)
    return {layer: _fieldmap(layer, value) for layer, value in fieldmaps.items()}


def check_groups(groups: Any, layers: tuple[str, ...]) -> dict[str, Any]:
    """Groups of units by layer, none for None; raises ValueError unless they are of known layers."""
    if groups is None:
        return {}
    _of_layers("groups", groups, layers)
    return dict(groups)


def listed(names: Sequence[str]) -> str:
    """The first of the names, and how many there are."""
    more = f", … ({len(names)} in all)" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def described(groups: Any) -> str:
    """All that a grouping says, whole, for telling it from others."""
    whole = [np.asarray(members).tolist() for members in groups] if isinstance(groups, list | tuple) else groups
    return repr(groups.tolist() if isinstance(groups, np.ndarray) else whole)


def shown(value: Any) -> str:
    """A value in an error message: an array by its shape, anything else by its ``repr``, cut short."""
    if hasattr(value, "shape") and np.ndim(value):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _is_real(dtype: np.dtype) -> bool:
    return jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)  # JAX knows bfloat16


def _are_sides(height: int, width: int, image: tuple[int, int]) -> bool:
    """Whether maps of an image may have this height and width, as :func:`check_channels_last` says."""
    taller, image_taller = height - width, image[0] - image[1]
    return taller * image_taller >= 0 and abs(taller) <= abs(image_taller)


def _fieldmap(layer: str, value: Any) -> FieldMap:
    try:
        whole = np.array(value)
    except ValueError:  # parts of different lengths
        whole = np.array(None)
    if whole.shape != (3, 2) or whole.dtype.kind not in "iu":
        raise ValueError(f"fieldmaps[{layer!r}] = {shown(value)}: expected {FIELDMAP}")
    if (whole[1:] < 1).any():
        raise ValueError(f"fieldmaps[{layer!r}] = {shown(value)}: expected size and stride of 1 or more")
    offset, size, stride = ((int(y), int(x)) for y, x in whole)
    return offset, size, stride


def _of_layers(name: str, value: Any, layers: tuple[str, ...]) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} = {shown(value)}: expected a mapping by layer, {{{layers[0]!r}: …}}")
    for layer in value:
        if layer not in layers:
            raise ValueError(f"{name}[{layer!r}]: no such layer; the layers are {listed(layers)}")
