"""What the model families share: taps, layers with PyTorch's initialization, and its pooling."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

TAPS = "taps"  # the collection that activations are offered in
BATCH_NORM_EPSILON = 1e-5  # added to the variance
# PyTorch's default: uniform in ±1/√fan_in, for kernels as for biases.
kernel_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def bias_init(fan_in: int) -> Callable:
    """PyTorch's default for a bias: uniform in ±1/√fan_in of the kernel beside it."""
    bound = 1 / np.sqrt(fan_in)

    def init(key, shape, dtype=jnp.float32):
        return nn.initializers.uniform(2 * bound)(key, shape, dtype) - jnp.asarray(bound, dtype)

    return init


def convolution(
    x: Float[Array, "n h w c"], name: str, filters: int, kernel: int, *, stride: int = 1, padding: int = 0
) -> Float[Array, "n h2 w2 f"]:
    """A square convolution with bias and symmetric zero padding; called inside a compact module."""
    return nn.Conv(
        filters,
        (kernel, kernel),
        strides=stride,
        padding=padding,
        kernel_init=kernel_init,
        bias_init=bias_init(kernel * kernel * x.shape[-1]),
        name=name,
    )(x)


def dense(x: Float[Array, "n *positions c"], name: str, units: int) -> Float[Array, "n *positions u"]:
    """A fully connected layer, the same at every position; called inside a compact module."""
    return nn.Dense(units, kernel_init=kernel_init, bias_init=bias_init(x.shape[-1]), name=name)(x)


def batch_norm(x: Float[Array, "n h w c"], name: str, *, train: bool, axis_name: str | None) -> Float[Array, "n h w c"]:
    """Batch norm with PyTorch's constants; statistics over all devices of ``axis_name`` if there is one."""
    return nn.BatchNorm(
        use_running_average=not train, momentum=0.9, epsilon=BATCH_NORM_EPSILON, axis_name=axis_name, name=name
    )(x)


def relu_with_taps(module: nn.Module, layer: str, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """ReLU that offers its input and output as the layer's ``pre`` and ``post`` taps."""
    activated = nn.relu(x)
    offer(module, layer, x, activated)
    return activated


def offer(module: nn.Module, layer: str, pre: Float[Array, "n h w c"], post: Float[Array, "n h w c"]) -> None:
    """Offers maps before and after a non-linearity as the layer's ``pre`` and ``post`` taps."""
    if not module.is_initializing():  # a network's variables hold no activations
        for stage, maps in (("pre", pre), ("post", post)):
            module.sow(TAPS, f"{layer}/{stage}", maps, init_fn=lambda: None, reduce_fn=lambda _, new: new)


def max_pool(x: Float[Array, "n h w c"], window: int, stride: int) -> Float[Array, "n h2 w2 c"]:
    """Max pooling without padding; what does not fill a window at the end is dropped."""
    return nn.max_pool(x, (window, window), (stride, stride))


def adaptive_average_pool(x: Float[Array, "n h w c"], size: int) -> Float[Array, "n size size c"]:
    """Averages over ``size``² windows that cover the map, whatever its size, as PyTorch's layer of this name.

    Window i of n cells goes from ⌊i·n/size⌋ to ⌈(i+1)·n/size⌉; a map of fewer cells than windows is repeated.
    """
    if x.shape[1:3] == (size, size):
        return x
    rows, columns = _averages(x.shape[1], size), _averages(x.shape[2], size)
    return jnp.einsum("ih,jw,nhwc->nijc", rows.astype(x.dtype), columns.astype(x.dtype), x)


def _averages(cells: int, windows: int) -> np.ndarray:
    matrix = np.zeros((windows, cells), np.float32)
    for i in range(windows):
        start, stop = i * cells // windows, -(-(i + 1) * cells // windows)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix
