"""Maps rotated at random: what is left of interpretability if directions are exchanged for random mixtures of them."""

import dataclasses
import functools
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from interpjax.dissection.networks import Maps, Network, fingerprint_of, select


def random_rotation(units: int, seed: Sequence[int]) -> Float[np.ndarray, "units units"]:
    """An orthogonal matrix, uniform over all of them (by Haar's measure).

    The Q of a QR decomposition of independent normal numbers, its columns multiplied by the signs of R's diagonal;
    without the signs it is not uniform.

    Args:
      units: rows and columns.
      seed: whole numbers of 0 or more.

    References:
      Mezzadri, *How to Generate Random Matrices from the Classical Compact Groups*, Notices of the AMS 54 (5), 2007.
    """
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((units, units)))
    return q * np.sign(np.diagonal(r))


def rotated_layer(layer: str, draw: int) -> str:
    """The name of a layer's maps after a rotation, ``conv5#0``."""
    return f"{layer}#{draw}"


def rotated(
    network: Callable[[Any], Mapping[str, Any]], layers: Sequence[str], *, draws: Sequence[int], seed: int = 0
) -> Callable[[Any], Maps]:
    """A network whose maps are those of another one, rotated in several ways at once, so that one run of it does.

    At each position the activations of a layer's units, a vector, are multiplied by a random orthogonal matrix. What
    the layer can tell apart stays the same, only its units are others. Maps are rotated as they come; after a rectifier
    they may so become negative.

    Args:
      network: a :class:`~interpjax.dissection.Network`, or a plain function of images; the result is of the same kind.
      layers: to rotate.
      draws: numbers of the rotations; each layer has its own, for each.
      seed: of the rotations.

    Returns:
      A network with maps ``{"conv5#0": …}`` for each layer and draw, float32.

    References:
      Bau et al., *Network Dissection*, CVPR 2017, Sec. 3.2.
    """
    names = {rotated_layer(layer, draw): (layer, draw) for layer in layers for draw in draws}

    @functools.cache
    def rotation(layer: str, draw: int, units: int) -> Float[np.ndarray, "units units"]:
        return random_rotation(units, [seed, draw, zlib.crc32(layer.encode())]).astype(np.float32)

    def activations(images: Any) -> Maps:
        maps = select(network(images), layers)
        return {
            name: _rotate(maps[layer], rotation(layer, draw, maps[layer].shape[-1]))
            for name, (layer, draw) in names.items()
        }

    if not isinstance(network, Network):
        return activations
    return dataclasses.replace(
        network,
        activations=activations,
        layers=tuple(names),
        fingerprint=fingerprint_of((), "rotation", network.fingerprint, list(names), seed),
    )


@jax.jit
def _rotate(maps: Array, rotation: Array) -> Array:
    # In full precision, also where products are rounded by default.
    return jnp.tensordot(maps.astype(jnp.float32), rotation, axes=1, precision="highest")
