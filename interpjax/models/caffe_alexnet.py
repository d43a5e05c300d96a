"""AlexNet and CaffeNet as Caffe has them: 96-256-384-384-256 filters, two groups, local response norm.

References:
  Krizhevsky et al., *ImageNet Classification with Deep Convolutional Neural Networks*, NIPS 2012; geometry and
  initialization are those of Caffe's bvlc_alexnet and bvlc_reference_caffenet.
"""

from typing import ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from interpjax.models.alexnet import HIDDEN, in_torch_order
from interpjax.models.classifier import Classifier
from interpjax.models.pooling import adaptive_average_pool, local_response_norm, max_pool

# filters, kernel, stride, padding, groups
STAGES = ((96, 11, 4, 0, 1), (256, 5, 1, 2, 2), (384, 3, 1, 1, 1), (384, 3, 1, 1, 2), (256, 3, 1, 1, 2))
NORMALIZED = (1, 2)  # convolutions with local response norm
POOLED = (1, 2, 5)  # with max pooling (3×3, stride 2)
RAISED = (2, 4, 5)  # whose biases begin above 0; so do those of the hidden layers
CELLS = 6  # a side that the dense layers see; other maps are averaged to it


class CaffeAlexNet(Classifier):
    """Five convolutions, ``conv1`` … ``conv5``, and three dense layers, ``fc6`` … ``fc8``; made for 227 pixels.

    Attributes:
      pool_first: pooling before the local response norm (CaffeNet) instead of behind it.
    """

    head: ClassVar[str] = "fc8"
    smallest: ClassVar[int] = 39
    conv_init = staticmethod(nn.initializers.normal(0.01))
    split: ClassVar[tuple[str, ...]] = tuple(f"conv{i}" for i, (*_, groups) in enumerate(STAGES, 1) if groups > 1)

    pool_first: bool = False

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"], *, train: bool = False) -> Float[Array, "n classes"]:
        """Logits of normalized images."""
        self.check_size(images)
        raised = nn.initializers.constant(1.0 if self.pool_first else 0.1)
        x = images
        for number, (filters, kernel, stride, padding, groups) in enumerate(STAGES, start=1):
            x = self.conv_relu(
                x,
                f"conv{number}",
                self.scaled(filters, 2),
                kernel,
                stride=stride,
                padding=padding,
                groups=groups,
                bias_init=raised if number in RAISED else nn.initializers.zeros,
            )
            x = self._pooled_and_normalized(x, number)
        x = in_torch_order(adaptive_average_pool(x, CELLS))
        narrow = nn.initializers.normal(0.005)
        for name in ("fc6", "fc7"):
            x = nn.relu(self.dense(x, name, self.scaled(HIDDEN), kernel_init=narrow, bias_init=raised))
            x = self.drop(x, 0.5, train)
        return self.logits(x, kernel_init=nn.initializers.normal(0.01), bias_init=nn.initializers.zeros)

    def _pooled_and_normalized(self, x: Float[Array, "n h w c"], number: int) -> Float[Array, "n h2 w2 c"]:
        if number in POOLED and self.pool_first:
            x = max_pool(x, 3, 2, ceil=True)
        if number in NORMALIZED:
            x = local_response_norm(x)
        if number in POOLED and not self.pool_first:
            x = max_pool(x, 3, 2, ceil=True)
        return x
