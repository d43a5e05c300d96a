"""Networks in PyTorch as dissection sees them; PyTorch is imported only where one is made."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array

from interpjax.dissection.arguments import check_whole, listed, shown
from interpjax.dissection.networks import Maps, Network, check_network, fingerprint_of, select
from interpjax.errors import UserError
from interpjax.preprocessing import Preprocessing

Grid = tuple[int, int]
OUTPUTS = "[n, channels, height, width], [n, tokens, channels] or [n, units]"


def from_torch(
    module: Any,
    layers: Sequence[str],
    *,
    preprocessing: Preprocessing,
    device: Any = None,
    name: str = "",
    grid: Grid | None = None,
) -> Network:
    """A network of a PyTorch module that takes images [n, 3, height, width].

    A copy in evaluation mode is dissected: the module stays as it is, and what it learns later does not count. Images
    are given to it in its own dtype, as that of a bfloat16 module; the maps are float32.

    Args:
      module: a ``torch.nn.Module``.
      layers: names of submodules, as in ``module.named_modules()``. What they give is [n, channels, height, width];
        or [n, units], as of a dense layer, which become maps of 1×1; or [n, tokens, channels], as of a transformer.
      preprocessing: of the images.
      device: to compute on; by default where the module's parameters are.
      name: stands for the module's code in the fingerprint, besides its ``repr``, as code cannot be hashed. Without
        one nothing can be stored.
      grid: (height, width) of the tokens, row by row. Those that come before them, as a class token, are left out. By
        default it is a square, for square images and if there is at most one token before it.

    Raises:
      ImportError: if PyTorch is not installed.
      ValueError: if an argument is not as expected or there is no such layer.
      UserError: at the first call, if a layer does not run, runs several times, or gives something else.
    """
    torch = _import_torch()
    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"module: a {type(module).__name__}; expected a torch.nn.Module")
    layers, grid = check_network(layers, preprocessing, name), _checked_grid(grid)
    found: dict[str, Any] = {}
    module = copy.deepcopy(module).eval().to(device)
    arrays = [*module.named_parameters(), *module.named_buffers()]
    device = next((array.device for _, array in arrays), torch.device("cpu")) if device is None else device
    dtype = next((array.dtype for _, array in arrays if array.is_floating_point()), torch.float32)
    submodules = {path: submodule for path, submodule in module.named_modules() if path}
    for layer in layers:
        if layer not in submodules:
            raise ValueError(f"layer {layer!r}: {type(module).__name__} has the layers {listed(list(submodules))}")
        submodules[layer].register_forward_hook(_keep_in(found, layer))

    def activations(images: Array | np.ndarray) -> Maps:
        found.clear()
        x = np.ascontiguousarray(np.asarray(preprocessing(images)).transpose(0, 3, 1, 2))
        with torch.no_grad():
            module(torch.from_numpy(x).to(device=device, dtype=dtype))
        outputs = {layer: output.float().cpu().numpy() for layer, output in select(found, layers).items()}
        return {
            layer: _as_maps(layer, output, grid, (images.shape[1], images.shape[2]))
            for layer, output in outputs.items()
        }

    as_bytes = ((path, array.detach().cpu().reshape(-1).view(torch.uint8).numpy()) for path, array in arrays)
    kind = [(str(array.dtype), list(array.shape)) for _, array in arrays]
    rest = [name, repr(module), kind, layers, preprocessing.describe(), *([grid] if grid else [])]
    return Network(
        activations=activations,
        preprocessing=preprocessing.describe(),
        layers=layers,
        fingerprint=fingerprint_of(as_bytes, "torch", *rest),
        code_is_named=bool(name),
    )


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError("from_torch: PyTorch is not installed; expected what pip install torch gives") from error
    return torch


def _checked_grid(grid: Any) -> Grid | None:
    if grid is None:
        return None
    if not isinstance(grid, Sequence) or isinstance(grid, str) or len(grid) != 2:
        raise ValueError(f"grid = {shown(grid)}: expected (height, width) of the tokens, as (14, 14)")
    return check_whole("grid[0]", grid[0], 1), check_whole("grid[1]", grid[1], 1)


def _keep_in(found: dict[str, Any], layer: str) -> Callable:
    block = layer.rpartition(".")[0]
    torch = _import_torch()
    instead = f"take the block {block!r}, which ends with it" if block else "give each place a module of its own"

    def hook(module: Any, inputs: Any, output: Any) -> None:
        del module, inputs
        if layer in found:
            raise UserError(f"layer {layer!r}: runs several times on one image; expected once: {instead}")
        if getattr(output, "shape", None) is None:
            raise UserError(f"layer {layer!r}: gives a {type(output).__name__}; expected a tensor {OUTPUTS}")
        if output.is_complex() or output.dtype == torch.bool:
            raise UserError(f"layer {layer!r}: its maps are of dtype {output.dtype}; expected real numbers, as float32")
        found[layer] = output.detach().clone()  # what follows may work in place

    return hook


def _as_maps(layer: str, output: np.ndarray, grid: Grid | None, image_shape: tuple[int, int]) -> np.ndarray:
    """A layer's output as NHWC."""
    if output.ndim == 4:
        return output.transpose(0, 2, 3, 1)
    if output.ndim == 2:
        return output[:, None, None, :]
    if output.ndim != 3:
        raise UserError(f"layer {layer!r}: gives the shape {output.shape}; expected {OUTPUTS}")
    height, width = grid or _square(layer, output.shape[1], image_shape)
    before = output.shape[1] - height * width
    if before < 0:
        raise UserError(
            f"grid = {grid}: layer {layer!r} gives {output.shape[1]} tokens; expected {height * width} or more"
        )
    return output[:, before:].reshape(len(output), height, width, -1)


def _square(layer: str, tokens: int, image_shape: tuple[int, int]) -> Grid:
    side = math.isqrt(tokens)
    if side == 0 or tokens - side**2 > 1 or image_shape[0] != image_shape[1]:
        raise UserError(
            f"layer {layer!r}: gives {tokens} tokens for images of {image_shape} pixels, and their grid is not plain; "
            "expected from_torch(…, grid=(height, width)), as (14, 14) of patches of 16 pixels in 224"
        )
    return side, side
