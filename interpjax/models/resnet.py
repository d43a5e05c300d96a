"""ResNet-18, 34, 50, 101 and 152.

References:
  He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016; as torchvision has it, with the stride of a
  bottleneck in its 3×3 convolution.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.models.classifier import Classifier
from interpjax.models.offers import offer
from interpjax.models.pooling import max_pool

STEM = 64
FILTERS = (64, 128, 256, 512)  # of each stage's 3×3 convolutions
EXPANSION = 4  # of a bottleneck's output over them


class ResNet(Classifier):
    """A stem, four stages of residual blocks, and a dense layer on the means of all positions; images of any size.

    Layers have torchvision's names: ``conv1``, ``layer1.0.conv1``, ``layer2.0.downsample.0``, with the batch norms
    ``bn1``, ``layer1.0.bn1``, ``layer2.0.downsample.1``; blocks are ``layer1.0``, stages ``layer1`` (its last block).
    The last convolution of a block and the one on its shortcut share their ``pre`` and ``post``: the sum of both,
    which is the block's.

    Attributes:
      blocks: of each stage.
      bottleneck: whether a block is 1×1, 3×3, 1×1 instead of two 3×3 convolutions.
    """

    conv_init = staticmethod(nn.initializers.variance_scaling(2, "fan_out", "normal"))

    blocks: tuple[int, ...] = (2, 2, 2, 2)
    bottleneck: bool = False

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"], *, train: bool = False) -> Float[Array, "n classes"]:
        """Logits of normalized images."""
        self.check_size(images)
        stem = {"stride": 2, "padding": 3, "bias": False}
        x = self.conv_relu(images, "conv1", self.scaled(STEM), 7, norm="bn1", train=train, **stem)
        x = max_pool(x, 3, 2, padding=1)
        for stage, (filters, blocks) in enumerate(zip(FILTERS, self.blocks, strict=True), start=1):
            for number in range(blocks):
                stride = 2 if stage > 1 and number == 0 else 1
                pre, x = self._block(x, f"layer{stage}.{number}", self.scaled(filters), stride, train)
            offer(self, f"layer{stage}", pre=pre, post=x)
        return self.logits(x.mean(axis=(1, 2)))

    def _block(
        self, x: Float[Array, "n h w c"], name: str, filters: int, stride: int, train: bool
    ) -> tuple[Float[Array, "n h2 w2 f"], Float[Array, "n h2 w2 f"]]:
        """Its output before and after the ReLU."""
        kernels = (1, 3, 1) if self.bottleneck else (3, 3)
        outputs = filters * (EXPANSION if self.bottleneck else 1)
        strided = kernels.index(3)
        branch = x
        for number, kernel in enumerate(kernels[:-1]):
            geometry = {"stride": stride if number == strided else 1, "padding": kernel // 2, "bias": False}
            norm = f"{name}.bn{number + 1}"
            branch = self.conv_relu(
                branch, f"{name}.conv{number + 1}", filters, kernel, norm=norm, train=train, **geometry
            )
        last = len(kernels)
        ends = {f"{name}.conv{last}": (branch, f"{name}.bn{last}", kernels[-1], 1)}
        if stride > 1 or x.shape[-1] != outputs:
            ends[f"{name}.downsample.0"] = (x, f"{name}.downsample.1", 1, stride)
        convs, norms = {}, {}
        for end, (source, norm, kernel, step) in ends.items():
            convs[end] = self.conv(source, end, outputs, kernel, stride=step, padding=kernel // 2, bias=False)
            norms[end] = self.norm(convs[end], norm, train)
        pre = functools.reduce(jnp.add, [*norms.values(), *([x] if len(ends) == 1 else [])])
        post = nn.relu(pre)
        for end, (_, norm, _, _) in ends.items():
            offer(self, end, behind=norm, conv=convs[end], norm=norms[end], pre=pre, post=post)
        offer(self, name, pre=pre, post=post)
        return pre, post
