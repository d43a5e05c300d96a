"""AlexNet with the filters of torchvision's definition (64-192-384-256-256), and AlexNet-B.

References:
  Krizhevsky, *One weird trick for parallelizing convolutional neural networks*, 2014, in torchvision's reading.
"""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.models.classifier import Classifier
from interpjax.models.pooling import adaptive_average_pool, max_pool

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


class AlexNet(Classifier):
    """Five convolutions, ``conv1`` … ``conv5``, and three dense layers; images of any size from 63 pixels.

    Attributes:
      with_norm: batch norm after every convolution, ``bn1`` … ``bn5`` (AlexNet-B).
    """

    head: ClassVar[str] = "fc3"
    smallest: ClassVar[int] = 63

    with_norm: bool = False

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"], *, train: bool = False) -> Float[Array, "n classes"]:
        """Logits of normalized images."""
        self.check_size(images)
        x = images
        for number, (filters, kernel, stride, padding, pooled) in enumerate(STAGES, start=1):
            norm = f"bn{number}" if self.with_norm else None
            geometry = {"stride": stride, "padding": padding}
            x = self.conv_relu(x, f"conv{number}", self.scaled(filters), kernel, norm=norm, train=train, **geometry)
            x = max_pool(x, 3, 2) if pooled else x
        x = in_torch_order(adaptive_average_pool(x, POOLED))
        for name in ("fc1", "fc2"):
            x = self.drop(x, 0.5, train)
            x = nn.relu(self.dense(x, name, self.scaled(HIDDEN)))
        return self.logits(x)


def in_torch_order(x: Float[Array, "n h w c"]) -> Float[Array, "n features"]:
    """Flattened channels first, as the weights of dense layers behind it are published."""
    return jnp.transpose(x, (0, 3, 1, 2)).reshape(len(x), -1)
