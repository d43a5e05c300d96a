"""SqueezeNet v1.1 with batch norm and randomized rectifiers, as trained on Places365 by others.

References:
  Iandola et al., *SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size*, 2016 (fire
  modules; v1.1's early pooling is of the authors' release).
  https://github.com/urbste/squeezenet_places365 (Lasagne): Glorot's initialization times √2, and Lasagne's defaults.
  Xu et al., *Empirical Evaluation of Rectified Activations in Convolutional Network*, 2015 (randomized rectifier).
"""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.models.classifier import Classifier, zeros
from interpjax.models.offers import offer
from interpjax.models.pooling import max_pool

STEM = 64  # filters of conv1
# filters of the squeezing convolution and of each expanding one, max pooling (3×3, stride 2) before it
FIRES = {
    "fire2": (16, 64, True),
    "fire3": (16, 64, False),
    "fire4": (32, 128, True),
    "fire5": (32, 128, False),
    "fire6": (48, 192, True),
    "fire7": (48, 192, False),
    "fire8": (64, 256, False),
    "fire9": (64, 256, False),
}
SLOPES = (0.3, 0.8)  # of the randomized rectifier below zero


GLOROT = nn.initializers.variance_scaling(2, "fan_avg", "uniform")


class SqueezeNet(Classifier):
    """A convolution, eight fire modules, and a 1×1 convolution to the classes, averaged over all positions.

    Every convolution has a bias, batch norm (but the last) and the randomized rectifier behind it. A fire module
    squeezes the channels by a 1×1 convolution and puts those of a 1×1 and of a 3×3 convolution of the result side
    by side. Images of any size from 29 pixels; in training, random numbers of "dropout" are needed.

    A convolution of a fire module is called ``fire9_expand3x3``, by its parameters as by its taps; its batch norm
    ``fire9_expand3x3_bn``. ``fire9`` is the tap of the module's output, with the channels of ``fire9_expand1x1``
    first. ``conv10``, a 1×1 convolution, is the classifier, and no layer to dissect: it is made as the dense layer
    that it is at every position, so that regularizers of convolutions pass over it as over AlexNet's.
    Without ``dropout`` conv10's inputs are not dropped; the rectifier's slopes are random in training anyway.
    """

    head: ClassVar[str] = "conv10"
    smallest: ClassVar[int] = 29
    conv_init = staticmethod(GLOROT)
    epsilon: ClassVar[float] = 1e-4

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"], *, train: bool = False) -> Float[Array, "n classes"]:
        """Logits of normalized images."""
        self.check_size(images)
        x = self._convolution(images, "conv1", STEM, 3, stride=2, train=train)[1]
        for name, (squeeze, expand, pooled) in FIRES.items():
            x = self._fire(max_pool(x, 3, 2) if pooled else x, name, squeeze, expand, train=train)
        x = self._rectified(self.logits(self.drop(x, 0.5, train), kernel_init=GLOROT, bias_init=zeros), train)
        return x.mean(axis=(1, 2))

    def _fire(
        self, x: Float[Array, "n h w c"], name: str, squeeze: int, expand: int, *, train: bool
    ) -> Float[Array, "n h w c2"]:
        squeezed = self._convolution(x, f"{name}_squeeze1x1", squeeze, 1, train=train)[1]
        branches = [
            self._convolution(squeezed, f"{name}_expand{kernel}x{kernel}", expand, kernel, train=train)
            for kernel in (1, 3)
        ]
        pre, post = (jnp.concatenate(maps, axis=-1) for maps in zip(*branches, strict=True))
        offer(self, name, pre=pre, post=post)
        return post

    def _convolution(
        self, x: Float[Array, "n h w c"], name: str, filters: int, kernel: int, *, stride: int = 1, train: bool
    ) -> tuple[Float[Array, "n h2 w2 f"], Float[Array, "n h2 w2 f"]]:
        """The maps before and after the non-linearity."""
        geometry: dict[str, Any] = {"stride": stride, "padding": kernel // 2, "bias_init": zeros}
        conv = self.conv(x, name, self.scaled(filters), kernel, **geometry)
        pre = self.norm(conv, f"{name}_bn", train)
        post = self._rectified(pre, train)
        offer(self, name, behind=f"{name}_bn", conv=conv, norm=pre, pre=pre, post=post)
        return pre, post

    def _rectified(self, x: Float[Array, "n h w c"], train: bool) -> Float[Array, "n h w c"]:
        """Negative values times a slope: in training one drawn for each channel, otherwise the mean of the slopes."""
        low, high = SLOPES
        if not train:
            return jnp.where(x > 0, x, (low + high) / 2 * x)
        slope = jax.random.uniform(self.make_rng("dropout"), x.shape[-1:], x.dtype, low, high)
        slope = slope.reshape(1, 1, 1, -1)
        return jnp.where(x > 0, x, slope * x)
