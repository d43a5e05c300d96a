"""What is known of arrays by their names: checksums, forms and values that are not finite."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import Shaped

Arrays = Mapping[str, Shaped[np.ndarray, "..."]]


def by_name(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of nested dictionaries by their names, as ``"params/conv1/kernel"``."""
    return {str(name): leaf for name, leaf in flatten_dict(dict(tree), sep="/").items()}


def checksums(arrays: Arrays) -> dict[str, int]:
    """The CRC-32 of each array, of its type, its shape and its bytes. It finds damage, not a forger."""
    return {name: _checksum(array) for name, array in arrays.items()}


def checksum_of_json(value: Any) -> int:
    """The CRC-32 of what JSON can hold, whatever the order of its keys."""
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def misfit(held: Mapping[str, Any], expected: Mapping[str, Any], *, surplus: bool = False) -> str:
    """The first array that is missing, surplus or of another shape, in words; empty if there is none.

    Args:
      held: arrays, or their shapes.
      expected: those that are expected, likewise.
      surplus: whether there may be others beside them.
    """
    for name, leaf in expected.items():
        if name not in held:
            return f"{name} is not there; expected {tuple(leaf.shape)}"
        if tuple(held[name].shape) != tuple(leaf.shape):
            return f"{name} has the shape {tuple(held[name].shape)}; expected {tuple(leaf.shape)}"
    others = () if surplus else [name for name in held if name not in expected]
    return f"{others[0]} is there; expected no such array" if others else ""


def not_finite(arrays: Arrays) -> str:
    """Which arrays have numbers that are not finite, and how many, in words; empty if none has."""
    counts = {
        name: np.size(array) - np.count_nonzero(np.isfinite(array))
        for name, array in arrays.items()
        if jnp.issubdtype(array.dtype, jnp.floating)
    }
    return "; ".join(f"{name} has {count} numbers that are not finite" for name, count in counts.items() if count)


def _checksum(array: np.ndarray) -> int:
    kind = zlib.crc32(f"{array.dtype} {array.shape}".encode())
    content: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return zlib.crc32(content, kind)
