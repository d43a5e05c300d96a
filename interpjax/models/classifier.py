"""What all networks of this package share: their fields, and the kinds of layers that they are made of."""

from collections.abc import Callable
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from interpjax.models.batch_norm import BatchNorm
from interpjax.models.offers import offer

# PyTorch's default: uniform in ±1/√fan_in, for kernels as for biases.
torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
zeros = nn.initializers.zeros


def torch_bias(fan_in: int) -> Callable:
    """PyTorch's default for a bias: uniform in ±1/√fan_in of the kernel beside it."""
    bound = 1 / np.sqrt(fan_in)

    def init(key, shape, dtype=jnp.float32):
        return nn.initializers.uniform(2 * bound)(key, shape, dtype) - jnp.asarray(bound, dtype)

    return init


def rematerialized(method: Callable) -> Callable:
    """A method of maps, and of two arguments that are no arrays, whose inner maps are not kept for its gradient.

    They are computed anew when the gradient is. Names of parameters and of taps stay, and taps that are asked for are
    kept.

    References:
      Chen et al., *Training Deep Nets with Sublinear Memory Cost*, 2016.
    """
    return nn.remat(method, static_argnums=(2, 3))  # counted with self


class Classifier(nn.Module):
    """A network from images to logits. Each architecture defines a compact ``__call__(images, *, train=False)``.

    Parameters are float32. They lie in a flat dictionary by the name of their layer, which is the layer's name as a tap
    too.

    Attributes:
      num_classes: number of logits.
      width: multiplies the number of filters and of hidden units.
      dropout: whether training drops units, in architectures that have dropout.
      dtype: what is computed in, as ``jnp.bfloat16``; by default the dtype of images and parameters. Logits are float32
        or wider.
      axis_name: name of the axis of devices over which batch norm shares its statistics.
    """

    num_classes: int
    width: float = 1.0
    dropout: bool = True
    dtype: Any = None
    axis_name: str | None = None

    head: ClassVar[str] = "fc"  # name of the last layer
    smallest: ClassVar[int] = 1  # pixels a side of the smallest images for which every layer has an output
    conv_init: ClassVar[Callable] = staticmethod(torch_uniform)  # initializes the convolutions' kernels
    epsilon: ClassVar[float] = 1e-5  # batch norm's ε
    split: ClassVar[tuple[str, ...]] = ()  # convolutions in which each filter sees only a part of the input channels

    def scaled(self, filters: int, multiple: int = 1) -> int:
        """The number of filters (or hidden units) at this width."""
        return max(1, round(filters * self.width / multiple)) * multiple

    def check_size(self, images: Float[Array, "n h w 3"]) -> None:
        """Raises ValueError for images so small that some layer would have no output."""
        if min(images.shape[1:3]) < self.smallest:
            raise ValueError(
                f"{type(self).__name__}: images of {images.shape[1:3]} pixels; expected at least {self.smallest} a side"
            )

    def conv(
        self,
        x: Float[Array, "n h w c"],
        name: str,
        filters: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bias: bool = True,
        bias_init: Callable | None = None,
    ) -> Float[Array, "n h2 w2 f"]:
        """A square convolution with symmetric zero padding."""
        return nn.Conv(
            filters,
            (kernel, kernel),
            strides=stride,
            padding=padding,
            feature_group_count=groups,
            use_bias=bias,
            dtype=self.dtype,
            kernel_init=self.conv_init,
            bias_init=bias_init or torch_bias(kernel * kernel * x.shape[-1] // groups),
            name=name,
        )(x)

    def norm(self, x: Float[Array, "n h w c"], name: str, train: bool) -> Float[Array, "n h w c"]:
        """Batch norm."""
        return BatchNorm(train, self.epsilon, self.dtype, self.axis_name, name=name)(x)

    def conv_relu(
        self,
        x: Float[Array, "n h w c"],
        name: str,
        filters: int,
        kernel: int,
        *,
        norm: str | None = None,
        train: bool = False,
        **geometry: Any,
    ) -> Float[Array, "n h2 w2 f"]:
        """A convolution, batch norm if ``norm`` names one, and ReLU. Their maps are offered as taps."""
        conv = self.conv(x, name, filters, kernel, **geometry)
        pre = self.norm(conv, norm, train) if norm else conv
        post = nn.relu(pre)
        offer(self, name, behind=norm, conv=conv, norm=pre, pre=pre, post=post)
        return post

    def dense(
        self,
        x: Float[Array, "n *positions c"],
        name: str,
        units: int,
        *,
        kernel_init: Callable = torch_uniform,
        bias_init: Callable | None = None,
    ) -> Float[Array, "n *positions u"]:
        """A fully connected layer, the same at every position; by default initialized as in PyTorch."""
        bias_init = bias_init or torch_bias(x.shape[-1])
        return nn.Dense(units, dtype=self.dtype, kernel_init=kernel_init, bias_init=bias_init, name=name)(x)

    def drop(self, x: Float[Array, "n *rest"], rate: float, train: bool) -> Float[Array, "n *rest"]:
        """Dropout in training."""
        return nn.Dropout(rate, deterministic=not (train and self.dropout))(x)

    def logits(self, x: Float[Array, "n *positions c"], **init: Callable) -> Float[Array, "n *positions classes"]:
        """The last layer, at every position."""
        x = self.dense(x, self.head, self.num_classes, **init)
        return x.astype(np.promote_types(x.dtype, np.float32))
