"""What the arguments of a dissection must be: checked, and made alike, before anything is computed."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from interpjax.dissection.checks import check_layers, check_names, check_protocol, check_whole, listed, shown
from interpjax.dissection.protocol import PROTOCOLS, Protocol
from interpjax.dissection.upsampling import FieldMap

FIELDMAP = "(offset, size, stride), each (y, x) in whole input pixels, as ((0, 0), (16, 16), (16, 16))"
MAPS = "[images, h, w, units]"


class Run(NamedTuple):
    """The arguments of :func:`~interpjax.dissection.dissect_all` that are not data; fields as there."""

    layers: tuple[str, ...]
    protocols: tuple[Protocol, ...]
    fieldmaps: dict[str, FieldMap]
    batch_size: int
    image_size: int | None
    top_images: int
    shard_images: int


class Stored(NamedTuple):
    """Those of :func:`~interpjax.dissection.dissect_arrays`; ``thresholds`` are float64."""

    activations: dict[str, Any]
    images: tuple[str, ...]
    protocol: Protocol
    thresholds: dict[str, Float[np.ndarray, " units"]] | None
    fieldmaps: dict[str, FieldMap]
    top_images: int


def check_run(
    *,
    layers: Any,
    protocols: Any,
    fieldmaps: Any = None,
    batch_size: Any = 64,
    image_size: Any = None,
    top_images: Any = 5,
    shard_images: Any = 4096,
) -> Run:
    """The arguments of a network's dissection; raises ValueError, naming the one that is not as it must be."""
    names = check_layers(layers)
    return Run(
        names,
        _protocols(protocols),
        _fieldmaps(fieldmaps, names),
        check_whole("batch_size", batch_size, 1),
        None if image_size is None else check_whole("image_size", image_size, 1),
        check_whole("top_images", top_images, 0),
        check_whole("shard_images", shard_images, 1),
    )


def check_arrays(
    activations: Any,
    *,
    images: Any,
    protocol: Any = None,
    thresholds: Any = None,
    fieldmaps: Any = None,
    top_images: Any = 5,
) -> Stored:
    """The arguments of stored activations' dissection; raises ValueError as :func:`check_run`.

    Whether the data have the images is for who knows the data.
    """
    names = check_names("images", images, "a.jpg")
    maps = _activations(activations, len(names))
    units = {layer: stored.shape[3] for layer, stored in maps.items()}
    return Stored(
        maps,
        names,
        PROTOCOLS["paper"] if protocol is None else check_protocol(protocol),
        None if thresholds is None else _thresholds(thresholds, units),
        _fieldmaps(fieldmaps, tuple(maps)),
        check_whole("top_images", top_images, 0),
    )


def _protocols(protocols: Any) -> tuple[Protocol, ...]:
    if isinstance(protocols, str | Protocol) or not isinstance(protocols, Sequence):
        raise ValueError(f"protocols = {shown(protocols)}: needed is a sequence of Protocols, [get_protocol('paper')]")
    chosen = tuple(check_protocol(protocol, f"protocols[{i}]") for i, protocol in enumerate(protocols))
    if len({protocol.tap for protocol in chosen}) != 1:
        taps = ", ".join(f"{protocol.name} {protocol.tap}" for protocol in chosen) or "none"
        raise ValueError(
            "protocols: needed is one at least, and all of the same tap, since they share the activations; given: "
            f"{taps}"
        )
    return chosen


def _activations(activations: Any, rows: int) -> dict[str, Any]:
    if not isinstance(activations, Mapping) or not activations:
        raise ValueError(f"activations = {shown(activations)}: needed is {{layer: array {MAPS}}}")
    check_names("activations", list(activations), "conv5")
    for layer, maps in activations.items():
        name = f"activations[{layer!r}]"
        if not isinstance(getattr(maps, "dtype", None), np.dtype):
            raise ValueError(f"{name} = {shown(maps)}: needed is a NumPy array {MAPS}")
        _require_real(name, maps.dtype)
        if len(maps.shape) != 4 or 0 in maps.shape[1:]:
            raise ValueError(f"{name} has the shape {maps.shape}; needed is {MAPS}, none of h, w and units 0")
        if len(maps) != rows:
            raise ValueError(f"{name} has {len(maps)} rows, images has {rows} names")
    # JAX's arrays take no list of rows.
    return {layer: np.asarray(maps) if isinstance(maps, jax.Array) else maps for layer, maps in activations.items()}


def _thresholds(thresholds: Any, units: Mapping[str, int]) -> dict[str, np.ndarray]:
    _of_layers("thresholds", thresholds, tuple(units))
    found = {}
    for layer, count in units.items():
        if layer not in thresholds:
            raise ValueError(f"thresholds: the layer {layer!r} is missing; needed are {count} of every layer")
        values = np.asarray(thresholds[layer])
        _require_real(f"thresholds[{layer!r}]", values.dtype)
        if values.shape != (count,):
            raise ValueError(f"thresholds[{layer!r}] has the shape {values.shape}; needed are {count}, one a unit")
        found[layer] = values.astype(np.float64)
        if np.isnan(found[layer]).any():
            raise ValueError(f"thresholds[{layer!r}]: that of unit {np.isnan(found[layer]).argmax()} is NaN")
    return found


def _require_real(name: str, dtype: np.dtype) -> None:
    if not (jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)):  # JAX knows bfloat16
        raise ValueError(f"{name}: of dtype {dtype}; needed are real numbers")


def _fieldmaps(fieldmaps: Any, layers: tuple[str, ...]) -> dict[str, FieldMap]:
    if fieldmaps is None:
        return {}
    _of_layers("fieldmaps", fieldmaps, layers)
    return {layer: _fieldmap(layer, value) for layer, value in fieldmaps.items()}


def _fieldmap(layer: str, value: Any) -> FieldMap:
    try:
        whole = np.array(value)
    except ValueError:  # parts of different lengths
        whole = np.array(None)
    if whole.shape != (3, 2) or whole.dtype.kind not in "iu":
        raise ValueError(f"fieldmaps[{layer!r}] = {shown(value)}: needed is {FIELDMAP}")
    if (whole[1:] < 1).any():
        raise ValueError(f"fieldmaps[{layer!r}] = {shown(value)}: size and stride must be 1 or more")
    offset, size, stride = ((int(y), int(x)) for y, x in whole)
    return offset, size, stride


def _of_layers(name: str, value: Any, layers: tuple[str, ...]) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} = {shown(value)}: needed is a mapping by layer, {{{layers[0]!r}: …}}")
    for layer in value:
        if layer not in layers:
            raise ValueError(f"{name}[{layer!r}]: no such layer; the layers are {listed(layers)}")
