"""Networks as dissection sees them: from uint8 images to the activation maps of some layers.

What decides the activations is written into a fingerprint, so that stored activations can be told from those of
other weights.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from interpjax.dissection.arguments import check_layers, listed, shown
from interpjax.errors import UserError
from interpjax.preprocessing import Preprocessing

Maps = dict[str, Float[Array | np.ndarray, "batch _ _ _"]]


@dataclasses.dataclass(frozen=True)
class Network:
    """A network ready for dissection; made by :func:`from_jax` or :func:`from_torch`, or of parts.

    Attributes:
      activations: uint8 RGB images [batch, height, width, 3] to ``{layer: maps}`` (NHWC).
      preprocessing: description of what it does to the images first.
      layers: that it gives.
      fingerprint: hex digest of all that decides the activations of an image, for storing them.
      follows_images: whether it computes on whatever JAX device the images are, so that several can be used.
      code_is_named: whether something stands for its code in the fingerprint; else nothing is stored of it.
    """

    activations: Callable[[UInt8[Array | np.ndarray, "batch height width 3"]], Maps]
    preprocessing: Mapping[str, Any]
    layers: tuple[str, ...]
    fingerprint: str
    follows_images: bool = False
    code_is_named: bool = True

    def __call__(self, images: UInt8[Array | np.ndarray, "batch height width 3"]) -> Maps:
        """The activation maps."""
        return self.activations(images)

    def storage_key(self) -> str:
        """The fingerprint, if it can tell apart what is stored.

        Raises:
          ValueError: if the network has no name: what is stored of its code would be met when that was edited.
        """
        if not self.code_is_named:
            raise ValueError(
                "cache: this network has no name, which stands for its code: give from_jax or from_torch a name=, "
                "another one whenever the code changes, or leave cache out"
            )
        return self.fingerprint


def from_jax(
    apply: Callable[[Any, Float[Array, "n h w 3"]], Mapping[str, Float[Array, "n _ _ _"]]],
    variables: Any,
    *,
    layers: Sequence[str],
    preprocessing: Preprocessing,
    name: str = "",
) -> Network:
    """A network of a JAX function, whatever library its variables come from; it computes on the device of the images.

    For a model of this package, ``apply`` is
    ``lambda variables, images: apply_with_taps(model, variables, images, layers=layers)[1]``. It is compiled, anew
    for each shape of images, with the variables as an argument; of these a copy is taken.

    Args:
      apply: of variables and preprocessed images to ``{layer: maps}`` (NHWC); without side effects.
      variables: a pytree of arrays.
      layers: to dissect; others that ``apply`` gives are left out.
      preprocessing: of the images.
      name: stands for ``apply`` in the fingerprint, as code cannot be hashed: give functions that differ (as in
        architecture or in the stage of the tap) names that differ, for instance the model's ``repr`` and the stage.
        Without one nothing can be stored.

    Raises:
      ValueError: if an argument is not as expected; at the first call, if ``apply`` gives no mapping or a layer is
        not in it.
    """
    if not callable(apply):
        raise ValueError(f"apply = {shown(apply)}: expected a function of variables and preprocessed images")
    layers = check_network(layers, preprocessing, name)
    variables = jax.tree.map(jnp.array, variables)
    copies: dict[Any, Any] = {None: variables}  # of each device that images came from

    @jax.jit
    def forward(variables: Any, images: Any) -> Maps:
        maps = apply(variables, jnp.asarray(preprocessing(images)))
        if not isinstance(maps, Mapping):
            raise ValueError(f"apply: gave a {type(maps).__name__}; expected {{layer: maps}}")
        return select(maps, layers)

    def activations(images: Any) -> Maps:
        device = images.device if isinstance(images, jax.Array) else None
        if device not in copies:
            copies[device] = jax.device_put(variables, device)
        return forward(copies[device], images)

    leaves = jax.tree_util.tree_leaves_with_path(variables)
    arrays = ((jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in leaves)
    return Network(
        activations=activations,
        preprocessing=preprocessing.describe(),
        layers=layers,
        fingerprint=fingerprint_of(arrays, "jax", name, layers, preprocessing.describe()),
        follows_images=True,
        code_is_named=bool(name),
    )


def check_network(layers: Any, preprocessing: Any, name: Any) -> tuple[str, ...]:
    """The names of layers; raises ValueError unless these arguments of a network are as expected."""
    if not isinstance(preprocessing, Preprocessing):
        raise ValueError(
            f"preprocessing = {shown(preprocessing)}: expected a Preprocessing, as Preprocessing.imagenet()"
        )
    if not isinstance(name, str):
        raise ValueError(f"name = {shown(name)}: expected a string")
    return check_layers(layers)


def select(maps: Mapping[str, Any], layers: Sequence[str]) -> dict[str, Any]:
    """The maps of some layers; raises UserError, naming it, if one is missing."""
    for layer in layers:
        if layer not in maps:
            raise UserError(f"layer {layer!r}: the network gives maps of {listed(list(maps)) or 'none'}")
    return {layer: maps[layer] for layer in layers}


def fingerprint_of(arrays: Iterable[tuple[str, np.ndarray]], *rest: Any) -> str:
    """A hex digest of named arrays, and of what else decides the activations, as JSON has it."""
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for path, array in arrays:
        digest.update(json.dumps([path, str(array.dtype), array.shape]).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)  # no copy, for it may be large
    return digest.hexdigest()
