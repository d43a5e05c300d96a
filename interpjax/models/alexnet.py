"""AlexNet with the filters of torchvision's definition (64-192-384-256-256), and AlexNet-B.

References:
  Krizhevsky, *One weird trick for parallelizing convolutional neural networks*, 2014, in torchvision's reading.
"""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.models import layers

# filters, kernel, stride, padding, max pooling (3×3, stride 2) behind it
STAGES = (
    (64, 11, 4, 2, True),
    (192, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (256, 3, 1, 1, False),
    (256, 3, 1, 1, True),
)
HIDDEN = 4096
POOLED = 6  # cells a side that the classifier sees


class AlexNet(nn.Module):
    """Five convolutions and three dense layers.

    Attributes:
      num_classes: number of logits.
      width: multiplies filters and hidden units.
      dropout: whether training drops half of each hidden layer's inputs.
      norm: batch norm after every convolution (AlexNet-B).
      axis_name: of the devices over which batch norm shares its statistics.
    """

    conv_layers: ClassVar[tuple[str, ...]] = ("conv1", "conv2", "conv3", "conv4", "conv5")
    tap_layers: ClassVar[tuple[str, ...]] = conv_layers

    num_classes: int
    width: float = 1.0
    dropout: bool = True
    norm: bool = False
    axis_name: str | None = None

    @property
    def batch_norms(self) -> dict[str, str]:
        """The batch norm behind each convolution that has one."""
        return {f"conv{number}": f"bn{number}" for number in range(1, len(STAGES) + 1)} if self.norm else {}

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"], *, train: bool = False) -> Float[Array, "n classes"]:
        """Logits of normalized images of any size from 63 pixels."""
        if min(images.shape[1:3]) < 63:
            raise ValueError(f"AlexNet needs images of at least 63 pixels a side, not {images.shape[1:3]}")
        x = self._convolutions(images, train)
        x = layers.adaptive_average_pool(x, POOLED)
        x = jnp.transpose(x, (0, 3, 1, 2)).reshape(len(x), -1)  # in PyTorch's order, for its weights
        for name in ("fc1", "fc2"):
            x = nn.Dropout(0.5, deterministic=not (train and self.dropout))(x)
            x = nn.relu(layers.dense(x, name, max(1, round(HIDDEN * self.width))))
        return layers.dense(x, "fc3", self.num_classes)

    def _convolutions(self, x: Float[Array, "n h w 3"], train: bool) -> Float[Array, "n h2 w2 c"]:
        for number, (filters, kernel, stride, padding, pooled) in enumerate(STAGES, start=1):
            filters = max(1, round(filters * self.width))
            x = layers.convolution(x, f"conv{number}", filters, kernel, stride=stride, padding=padding)
            if self.norm:
                x = layers.batch_norm(x, f"bn{number}", train=train, axis_name=self.axis_name)
            x = layers.relu_with_taps(self, f"conv{number}", x)
            if pooled:
                x = layers.max_pool(x, 3, 2)
        return x
