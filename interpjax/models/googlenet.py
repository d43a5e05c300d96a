"""GoogLeNet with batch norm.

References:
  Szegedy et al., *Going Deeper with Convolutions*, CVPR 2015; as torchvision has it (a network ported from TensorFlow):
  batch norm behind every convolution, and 3×3 where the paper has 5×5. Without the auxiliary heads, which only train.
"""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.models.classifier import Classifier
from interpjax.models.offers import offer
from interpjax.models.pooling import max_pool

# filters: 1×1; 1×1 and 3×3; 1×1 and 3×3; 1×1 behind pooling
INCEPTIONS = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
POOLED = {"inception3b": 3, "inception4e": 2}  # window of the max pooling (stride 2) behind a module


class GoogLeNet(Classifier):
    """Three convolutions, nine inception modules, and a dense layer on the means of all positions.

    Layers have torchvision's names: ``conv1.conv`` with the batch norm ``conv1.bn``, ``inception3a.branch2.0.conv``;
    blocks are the modules, ``inception3a``, their branches side by side. Images of any size from 15 pixels.
    """

    smallest: ClassVar[int] = 15
    conv_init = staticmethod(nn.initializers.normal(0.01))
    epsilon: ClassVar[float] = 1e-3

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"], *, train: bool = False) -> Float[Array, "n classes"]:
        """Logits of normalized images."""
        self.check_size(images)
        x = self._conv(images, "conv1", 64, 7, train, stride=2)[1]
        x = max_pool(x, 3, 2, ceil=True)
        x = self._conv(x, "conv2", 64, 1, train)[1]
        x = self._conv(x, "conv3", 192, 3, train)[1]
        x = max_pool(x, 3, 2, ceil=True)
        for name, filters in INCEPTIONS.items():
            x = self._inception(x, name, filters, train)
            x = max_pool(x, POOLED[name], 2, ceil=True) if name in POOLED else x
        x = self.drop(x.mean(axis=(1, 2)), 0.2, train)
        return self.logits(x, kernel_init=nn.initializers.normal(0.01))

    def _inception(
        self, x: Float[Array, "n h w c"], name: str, filters: tuple[int, ...], train: bool
    ) -> Float[Array, "n h w c2"]:
        first, reduced2, second, reduced3, third, fourth = filters
        branches = [self._conv(x, f"{name}.branch1", first, 1, train)]
        for branch, reduced, outputs in ((2, reduced2, second), (3, reduced3, third)):
            middle = self._conv(x, f"{name}.branch{branch}.0", reduced, 1, train)[1]
            branches.append(self._conv(middle, f"{name}.branch{branch}.1", outputs, 3, train))
        branches.append(self._conv(max_pool(x, 3, 1, padding=1), f"{name}.branch4.1", fourth, 1, train))
        pre, post = (jnp.concatenate(maps, axis=-1) for maps in zip(*branches, strict=True))
        offer(self, name, pre=pre, post=post)
        return post

    def _conv(
        self, x: Float[Array, "n h w c"], name: str, filters: int, kernel: int, train: bool, *, stride: int = 1
    ) -> tuple[Float[Array, "n h2 w2 f"], Float[Array, "n h2 w2 f"]]:
        """The maps before and after the ReLU."""
        conv = self.conv(
            x, f"{name}.conv", self.scaled(filters), kernel, stride=stride, padding=kernel // 2, bias=False
        )
        pre = self.norm(conv, f"{name}.bn", train)
        post = nn.relu(pre)
        offer(self, f"{name}.conv", behind=f"{name}.bn", conv=conv, norm=pre, pre=pre, post=post)
        return pre, post
