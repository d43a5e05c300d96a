"""VGG16, with and without batch norm.

References:
  Simonyan and Zisserman, *Very Deep Convolutional Networks for Large-Scale Image Recognition*, ICLR 2015 (their D);
  initialization and dropout are torchvision's.
"""

from typing import Any, ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from interpjax.models.alexnet import HIDDEN, in_torch_order
from interpjax.models.classifier import Classifier, rematerialized
from interpjax.models.pooling import adaptive_average_pool, max_pool

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # filters, convolutions; max pooling behind each
CELLS = 7  # a side that the dense layers see; other maps are averaged to it


class VGG(Classifier):
    """Thirteen 3×3 convolutions, ``conv1_1`` … ``conv5_3``, and three dense layers; images from 32 pixels.

    Attributes:
      with_norm: batch norm after every convolution, ``bn1_1`` … ``bn5_3``.
      remat: whether training computes the maps of a stage anew for its gradient, to save memory.
    """

    head: ClassVar[str] = "fc3"
    smallest: ClassVar[int] = 32
    conv_init = staticmethod(nn.initializers.variance_scaling(2, "fan_out", "normal"))

    with_norm: bool = False
    remat: bool = False

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"], *, train: bool = False) -> Float[Array, "n classes"]:
        """Logits of normalized images."""
        self.check_size(images)
        zeros, narrow = nn.initializers.zeros, nn.initializers.normal(0.01)
        run = rematerialized(VGG._stage) if self.remat and train else VGG._stage
        x = images
        for stage in range(1, len(STAGES) + 1):
            x = run(self, x, stage, train)
        x = in_torch_order(adaptive_average_pool(x, CELLS))
        for name in ("fc1", "fc2"):
            x = nn.relu(self.dense(x, name, self.scaled(HIDDEN), kernel_init=narrow, bias_init=zeros))
            x = self.drop(x, 0.5, train)
        return self.logits(x, kernel_init=narrow, bias_init=zeros)

    def _stage(self, x: Float[Array, "n h w c"], stage: int, train: bool) -> Float[Array, "n h2 w2 f"]:
        """Its convolutions, and the max pooling behind them."""
        filters, convolutions = STAGES[stage - 1]
        settings: dict[str, Any] = {"padding": 1, "bias_init": nn.initializers.zeros, "train": train}
        for number in range(1, convolutions + 1):
            norm = f"bn{stage}_{number}" if self.with_norm else None
            x = self.conv_relu(x, f"conv{stage}_{number}", self.scaled(filters), 3, norm=norm, **settings)
        return max_pool(x, 2, 2)
