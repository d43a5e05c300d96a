"""Finding the convolution kernels in a pytree of Flax parameters."""

from typing import Any

import jax
from jaxtyping import Array, Float

PyTree = Any


def path_names(path: tuple) -> tuple[str, ...]:
    """The names along a pytree path, whether its nodes are dictionaries, attributes or sequences."""
    return tuple(str(getattr(entry, "key", getattr(entry, "name", getattr(entry, "idx", entry)))) for entry in path)


def is_convolution_kernel(path: tuple, leaf: Any) -> bool:
    """Whether a leaf is the kernel of a convolution: named ``kernel``, with at least one spatial axis before (in, out).

    Dense kernels are of rank 2 and are therefore not meant; nor are biases and batch norm's scales.
    """
    return bool(path) and path_names(path)[-1] == "kernel" and leaf.ndim >= 3


def convolution_kernels(params: PyTree) -> dict[str, Float[Array, "..."]]:
    """The convolution kernels of a network by the path of their layer.

    Args:
      params: a pytree of Flax parameters (arrays, or their shapes).

    Returns:
      ``{"conv1": kernel, "block/conv2": kernel, …}``

    Raises:
      ValueError: if there is none.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    kernels = {"/".join(path_names(path)[:-1]): leaf for path, leaf in leaves if is_convolution_kernel(path, leaf)}
    if not kernels:
        raise ValueError("these parameters hold no convolution kernel (a leaf named 'kernel' of rank 3 or more)")
    return kernels
