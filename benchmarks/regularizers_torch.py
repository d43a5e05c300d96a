"""The published forms of the terms in torch, written from their formulas: plain loops over groups, as published.

Each term is made from arrays in JAX's layout (NHWC, HWIO), which are put into torch's beforehand, and is a function
without arguments that returns the value and the gradients in JAX's layout.
"""

from collections.abc import Callable

import numpy as np
import torch

Loss = Callable[[list[torch.Tensor]], torch.Tensor]
Peer = Callable[[], tuple[float, list[np.ndarray]]]


def set_threads(count: int) -> None:
    """Threads that one operation of torch is spread over."""
    torch.set_num_threads(count)


def _timed(
    arrays: list[np.ndarray], order: tuple[int, ...], loss: Callable[[list[torch.Tensor]], torch.Tensor]
) -> Peer:
    tensors = [torch.tensor(array.transpose(order)).contiguous().requires_grad_() for array in arrays]
    back = np.argsort(order)

    def run() -> tuple[float, list[np.ndarray]]:
        value = loss(tensors)
        gradients = torch.autograd.grad(value, tensors)
        return value.item(), [gradient.numpy().transpose(back) for gradient in gradients]

    return run


def block_norm(kernels: list[np.ndarray], pairs: list[np.ndarray], num_groups: int) -> Peer:
    """Σ over layers and groups of the ℓ2 norm of a group's filters."""
    del pairs

    def loss(weights: list[torch.Tensor]) -> torch.Tensor:
        total = torch.zeros(())
        for weight in weights:
            size = weight.shape[0] // num_groups
            for group in range(num_groups):
                total = total + torch.norm(weight[group * size : (group + 1) * size], 2)
        return total

    return _timed(kernels, (3, 2, 0, 1), loss)


def group_activation(maps: list[np.ndarray], pairs: list[np.ndarray], num_groups: int) -> Peer:
    """Σ over layers and groups of the mean D over images and pairs."""
    indices = [torch.tensor(each) for each in pairs]

    def loss(activations: list[torch.Tensor]) -> torch.Tensor:
        total = torch.zeros(())
        for maps, pairs in zip(activations, indices, strict=True):
            fields, size = _fields(maps), maps.shape[1] // num_groups
            for group in range(num_groups):
                members = fields[:, group * size : (group + 1) * size]
                first, second = members[:, pairs[:, 0]], members[:, pairs[:, 1]]
                distance = (first - second).abs().sum((2, 3))
                union = first.sum((2, 3)) + second.sum((2, 3)) + distance
                total = total + (2 * distance / union).mean()
        return total

    return _timed(maps, (0, 3, 1, 2), loss)


def spatial(maps: list[np.ndarray], pairs: list[np.ndarray], num_groups: int) -> Peer:
    """Σ over layers of the mean distance of a map's mass from its centre."""
    del pairs, num_groups

    def loss(activations: list[torch.Tensor]) -> torch.Tensor:
        total = torch.zeros(())
        for maps in activations:
            fields = _fields(maps)
            rows = torch.arange(maps.shape[2], dtype=maps.dtype)[:, None]
            columns = torch.arange(maps.shape[3], dtype=maps.dtype)[None, :]
            mass = fields.sum((2, 3), keepdim=True) + 1e-4
            row = (fields * rows).sum((2, 3), keepdim=True) / mass
            column = (fields * columns).sum((2, 3), keepdim=True) / mass
            distance = torch.sqrt((rows - row) ** 2 + (columns - column) ** 2)
            total = total + ((fields * distance).sum((2, 3), keepdim=True) / mass).mean()
        return total

    return _timed(maps, (0, 3, 1, 2), loss)


def _fields(maps: torch.Tensor) -> torch.Tensor:
    deviation = maps.transpose(0, 1).flatten(1).std(1) + 5e-3
    return torch.sigmoid(maps / deviation[None, :, None, None])


TORCH_TERMS = {"block norm": block_norm, "group activation": group_activation, "spatial": spatial}
