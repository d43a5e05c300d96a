"""Networks as dissection sees them: from uint8 images to the activation maps of some layers.

What decides the activations is written into a fingerprint, so that stored activations can be told from those of
other weights.
"""

import copy
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from interpjax.dissection.checks import check_layers, listed, shown
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
      ValueError: if an argument is not as it must be; at the first call, if ``apply`` gives no mapping or a layer is
        not in it.
    """
    layers = _checked(layers, preprocessing, name)
    variables = jax.tree.map(jnp.array, variables)
    copies: dict[Any, Any] = {None: variables}  # of each device that images came from

    @jax.jit
    def forward(variables: Any, images: Any) -> Maps:
        maps = apply(variables, jnp.asarray(preprocessing(images)))
        if not isinstance(maps, Mapping):
            raise ValueError(f"apply: gave a {type(maps).__name__}; needed is {{layer: maps}}")
        return _selected(maps, layers)

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
        fingerprint=_fingerprint(arrays, "jax", name, layers, preprocessing.describe()),
        follows_images=True,
        code_is_named=bool(name),
    )


def from_torch(
    module: Any, layers: Sequence[str], *, preprocessing: Preprocessing, device: Any = None, name: str = ""
) -> Network:
    """A network of a PyTorch module that takes images [n, 3, height, width].

    A copy in evaluation mode is dissected: the module stays as it is, and what it learns later does not count.

    Args:
      module: a ``torch.nn.Module``.
      layers: names of submodules, as in ``module.named_modules()``, whose outputs are [n, channels, height, width].
      preprocessing: of the images.
      device: to compute on; by default where the module's parameters are.
      name: stands for the module's code in the fingerprint, besides its ``repr``, as code cannot be hashed. Without
        one nothing can be stored.

    Raises:
      ImportError: if PyTorch is not installed.
      ValueError: if an argument is not as it must be or there is no such layer; at the first call, if its output is
        not a tensor of four axes, or it does not run, or runs several times.
    """
    torch = _import_torch()
    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"module: a {type(module).__name__}; a torch.nn.Module is needed")
    layers = _checked(layers, preprocessing, name)
    found: dict[str, Any] = {}
    module = copy.deepcopy(module).eval().to(device)
    arrays = [*module.named_parameters(), *module.named_buffers()]
    device = next((array.device for _, array in arrays), torch.device("cpu")) if device is None else device
    submodules = {path: submodule for path, submodule in module.named_modules() if path}
    for layer in layers:
        if layer not in submodules:
            raise ValueError(f"layer {layer!r}: {type(module).__name__} has the layers {listed(list(submodules))}")
        submodules[layer].register_forward_hook(_keep_in(found, layer))

    def activations(images: Array | np.ndarray) -> Maps:
        found.clear()
        x = np.asarray(preprocessing(images)).transpose(0, 3, 1, 2)
        with torch.no_grad():
            module(torch.from_numpy(np.ascontiguousarray(x)).to(device))
        maps = _selected(found, layers)
        return {layer: tensor.permute(0, 2, 3, 1).float().cpu().numpy() for layer, tensor in maps.items()}

    as_bytes = ((path, array.detach().cpu().reshape(-1).view(torch.uint8).numpy()) for path, array in arrays)
    kind = [(str(array.dtype), list(array.shape)) for _, array in arrays]
    return Network(
        activations=activations,
        preprocessing=preprocessing.describe(),
        layers=layers,
        fingerprint=_fingerprint(as_bytes, "torch", name, repr(module), kind, layers, preprocessing.describe()),
        code_is_named=bool(name),
    )


def _checked(layers: Any, preprocessing: Any, name: Any) -> tuple[str, ...]:
    if not isinstance(preprocessing, Preprocessing):
        raise ValueError(
            f"preprocessing = {shown(preprocessing)}: a Preprocessing is needed, as Preprocessing.imagenet()"
        )
    if not isinstance(name, str):
        raise ValueError(f"name = {shown(name)}: must be a string")
    return check_layers(layers)


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError("from_torch needs PyTorch, which interpjax does not install: pip install torch") from error
    return torch


def _keep_in(found: dict[str, Any], layer: str) -> Callable:
    def hook(module: Any, inputs: Any, output: Any) -> None:
        del module, inputs
        if layer in found:
            raise ValueError(f"layer {layer!r}: runs several times on one image; give each place a module of its own")
        shape = getattr(output, "shape", None)
        if shape is None or len(shape) != 4:
            kind = type(output).__name__ if shape is None else f"shape {tuple(shape)}"
            raise ValueError(f"layer {layer!r}: gives {kind}, not a tensor [n, channels, height, width]")
        found[layer] = output.detach().clone()  # what follows may work in place

    return hook


def _selected(maps: Mapping[str, Any], layers: Sequence[str]) -> dict[str, Any]:
    for layer in layers:
        if layer not in maps:
            raise ValueError(f"layer {layer!r}: the network gives maps of {listed(list(maps)) or 'none'}")
    return {layer: maps[layer] for layer in layers}


def _fingerprint(arrays: Iterable[tuple[str, np.ndarray]], *rest: Any) -> str:
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for path, array in arrays:
        digest.update(json.dumps([path, str(array.dtype), array.shape]).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
