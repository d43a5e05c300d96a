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
from jaxtyping import Array, Float, Num, UInt8

CHANNELS = ("RGB", "BGR")
LISTED = 20  # names in an error message

Maps = dict[str, Float[Array | np.ndarray, "batch _ _ _"]]


@dataclasses.dataclass(frozen=True, eq=False)
class Preprocessing:
    """What a network wants of an image: (x − mean) / std, x in 0..255 and in the order of its channels.

    Works on NumPy and JAX arrays, and inside jit. Two are the same if their descriptions are.

    Attributes:
      mean: a number, one for each channel, or an image of means [height, width, 3]; in the order of ``channels``.
      std: as ``mean``; positive.
      channels: that the network was trained with: ``"RGB"`` or ``"BGR"``.

    Raises:
      ValueError: naming the field, its value and what is allowed.
    """

    mean: Any
    std: Any
    channels: str = "RGB"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, _constant(name, getattr(self, name)))
        if not (self.std > 0).all():
            raise ValueError(f"std = {_shortened(self.std)}: must be positive")
        if self.channels not in CHANNELS:
            raise ValueError(f"channels = {self.channels!r}: choose one of {', '.join(CHANNELS)}")

    def __call__(self, images: Num[Array | np.ndarray, "n h w 3"]) -> Float[Array | np.ndarray, "n h w 3"]:
        """The float32 images that the network sees, of uint8 RGB images.

        Raises:
          ValueError: if the images are not uint8, or of another size than ``mean`` or ``std``.
        """
        if images.dtype != np.uint8:
            raise ValueError(f"images of type {images.dtype}: must be uint8, RGB")
        x = images[..., ::-1] if self.channels == "BGR" else images
        return (x.astype(np.float32) - self._fitting("mean", images)) / self._fitting("std", images)

    @classmethod
    def imagenet(cls) -> "Preprocessing":
        """Of torchvision's networks: its constants for images in 0..1, times 255."""
        return cls(255 * np.array([0.485, 0.456, 0.406]), 255 * np.array([0.229, 0.224, 0.225]))

    def describe(self) -> dict[str, Any]:
        """A description for JSON that differs where preprocessing does; an image of means by shape and digest."""
        return {"mean": _described(self.mean), "std": _described(self.std), "channels": self.channels}

    def _fitting(self, name: str, images: Any) -> np.ndarray:
        constant = getattr(self, name)
        constant = constant.reshape((1,) * (4 - constant.ndim) + constant.shape)
        try:
            np.broadcast_shapes(constant.shape, (1, *images.shape[1:]))
        except ValueError as error:
            raise ValueError(f"images of {images.shape[1:3]} pixels: {name} is for {constant.shape[1:3]}") from error
        return constant


@dataclasses.dataclass(frozen=True)
class Network:
    """A network ready for dissection; made by :func:`from_jax` or :func:`from_torch`, or of parts.

    Attributes:
      activations: uint8 RGB images [batch, height, width, 3] to ``{layer: maps}`` (NHWC).
      preprocessing: description of what it does to the images first.
      layers: that it gives.
      fingerprint: hex digest of all that decides the activations of an image, for storing them.
    """

    activations: Callable[[UInt8[np.ndarray, "batch height width 3"]], Maps]
    preprocessing: Mapping[str, Any]
    layers: tuple[str, ...]
    fingerprint: str

    def __call__(self, images: UInt8[np.ndarray, "batch height width 3"]) -> Maps:
        """The activation maps."""
        return self.activations(images)


def from_jax(
    apply: Callable[[Any, Float[Array, "n h w 3"]], Mapping[str, Float[Array, "n _ _ _"]]],
    variables: Any,
    *,
    layers: Sequence[str],
    preprocessing: Preprocessing,
    name: str = "",
) -> Network:
    """A network of a JAX function, whatever library its variables come from.

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

    Raises:
      ValueError: at the first call, if a layer is not given.
    """
    layers = tuple(layers)
    variables = jax.tree.map(jnp.array, variables)

    @jax.jit
    def forward(variables: Any, images: Any) -> Maps:
        return _selected(apply(variables, jnp.asarray(preprocessing(images))), layers)

    leaves = jax.tree_util.tree_leaves_with_path(variables)
    arrays = ((jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in leaves)
    return Network(
        activations=lambda images: forward(variables, images),
        preprocessing=preprocessing.describe(),
        layers=layers,
        fingerprint=_fingerprint(arrays, "jax", name, layers, preprocessing.describe()),
    )


def from_torch(
    module: Any, layers: Sequence[str], *, preprocessing: Preprocessing, device: Any = None, name: str = ""
) -> Network:
    """A network of a PyTorch module that takes images [n, 3, height, width].

    A copy in evaluation mode is dissected: the module stays as it is, and what it learns later does not count.

    Args:
      module: a ``torch.nn.Module``.
      layers: names of submodules, as in ``module.named_modules()``, whose outputs are [n, channels, height, width].
        Of a submodule that runs several times the last output is taken.
      preprocessing: of the images.
      device: to compute on; by default where the module's parameters are.
      name: stands for the module's code in the fingerprint, besides its ``repr``, as code cannot be hashed.

    Raises:
      ImportError: if PyTorch is not installed.
      ValueError: if there is no such layer; at the first call, if its output is not a tensor of four axes, or it
        does not run.
    """
    torch = _import_torch()
    layers = tuple(layers)
    found: dict[str, Any] = {}
    module = copy.deepcopy(module).eval().to(device)
    arrays = [*module.named_parameters(), *module.named_buffers()]
    device = next((array.device for _, array in arrays), torch.device("cpu")) if device is None else device
    submodules = {path: submodule for path, submodule in module.named_modules() if path}
    for layer in layers:
        if layer not in submodules:
            raise ValueError(f"layer {layer!r}: {type(module).__name__} has the layers {_listed(submodules)}")
        submodules[layer].register_forward_hook(_keep_in(found, layer))

    def activations(images: np.ndarray) -> Maps:
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
    )


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError("from_torch needs PyTorch, which interpjax does not install: pip install torch") from error
    return torch


def _keep_in(found: dict[str, Any], layer: str) -> Callable:
    def hook(module: Any, inputs: Any, output: Any) -> None:
        del module, inputs
        shape = getattr(output, "shape", None)
        if shape is None or len(shape) != 4:
            kind = type(output).__name__ if shape is None else f"shape {tuple(shape)}"
            raise ValueError(f"layer {layer!r}: gives {kind}, not a tensor [n, channels, height, width]")
        found[layer] = output.detach().clone()  # what follows may work in place

    return hook


def _selected(maps: Mapping[str, Any], layers: Sequence[str]) -> dict[str, Any]:
    for layer in layers:
        if layer not in maps:
            raise ValueError(f"layer {layer!r}: the network gives maps of {_listed(maps) or 'none'}")
    return {layer: maps[layer] for layer in layers}


def _fingerprint(arrays: Iterable[tuple[str, np.ndarray]], *rest: Any) -> str:
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for path, array in arrays:
        digest.update(json.dumps([path, str(array.dtype), array.shape]).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _constant(name: str, value: Any) -> Float[np.ndarray, "..."]:
    allowed = "must be a number, [3] or [height, width, 3]"
    try:
        constant = np.array(value, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} = {value!r}: {allowed}") from error
    if constant.ndim not in (0, 1, 3) or (constant.ndim and constant.shape[-1] not in (1, 3)):
        raise ValueError(f"{name} of shape {constant.shape}: {allowed}")
    if not np.isfinite(constant).all():
        raise ValueError(f"{name} = {_shortened(constant)}: must be finite")
    constant.setflags(write=False)
    return constant


def _described(constant: np.ndarray) -> Any:
    if constant.size <= 3:
        return constant.tolist()
    return {"shape": list(constant.shape), "sha256": hashlib.sha256(constant.tobytes()).hexdigest()}


def _shortened(constant: np.ndarray) -> str:
    return np.array2string(constant, threshold=4, edgeitems=1)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f", … ({len(names)} in all)" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
