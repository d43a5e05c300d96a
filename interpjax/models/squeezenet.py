"""SqueezeNet v1.1 with batch norm and randomized rectifiers, as trained on Places365 by others.

References:
  Iandola et al., *SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size*, 2016 (fire
  modules; v1.1's early pooling is of the authors' release).
  Xu et al., *Empirical Evaluation of Rectified Activations in Convolutional Network*, 2015 (randomized rectifier).
"""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.models import layers

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
PARTS = ("squeeze1x1", "expand1x1", "expand3x3")
SLOPES = (0.3, 0.8)  # of the randomized rectifier below zero
SMALLEST = 29  # pixels a side that leave one cell behind the last pooling


class SqueezeNet(nn.Module):
    """A convolution, eight fire modules, and a 1×1 convolution to the classes, averaged over all positions.

    Every convolution has a bias, batch norm (but the last) and the randomized rectifier behind it. A fire module
    squeezes the channels by a 1×1 convolution and puts those of a 1×1 and of a 3×3 convolution of the result side
    by side.

    A convolution of a fire module is called ``fire9_expand3x3``, by its parameters as by its taps; its batch norm
    ``fire9_expand3x3_bn``. ``fire9`` is the tap of the module's output, with the channels of ``fire9_expand1x1``
    first. ``conv10``, a 1×1 convolution, is the classifier, and no layer to dissect: it is made as the dense layer
    that it is at every position, so that regularizers of convolutions pass over it as over AlexNet's.

    Attributes:
      num_classes: number of logits.
      width: multiplies filters.
      dropout: whether training drops half of conv10's inputs; the rectifier's slopes are random in training anyway.
      axis_name: of the devices over which batch norm shares its statistics.
    """

    conv_layers: ClassVar[tuple[str, ...]] = ("conv1", *(f"{fire}_{part}" for fire in FIRES for part in PARTS))
    batch_norms: ClassVar[dict[str, str]] = {layer: f"{layer}_bn" for layer in conv_layers}
    tap_layers: ClassVar[tuple[str, ...]] = (*conv_layers, *FIRES)

    num_classes: int
    width: float = 1.0
    dropout: bool = True
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"], *, train: bool = False) -> Float[Array, "n classes"]:
        """Logits of normalized images of any size from 29 pixels; in training, with random numbers of "dropout"."""
        if min(images.shape[1:3]) < SMALLEST:
            raise ValueError(f"SqueezeNet needs images of at least {SMALLEST} pixels a side, not {images.shape[1:3]}")
        x = self._convolution(images, "conv1", STEM, 3, stride=2, train=train)[1]
        for name, (squeeze, expand, pooled) in FIRES.items():
            x = self._fire(layers.max_pool(x, 3, 2) if pooled else x, name, squeeze, expand, train=train)
        x = nn.Dropout(0.5, deterministic=not (train and self.dropout))(x)
        x = self._rectified(layers.dense(x, "conv10", self.num_classes), train)
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
        layers.offer(self, name, pre, post)
        return post

    def _convolution(
        self, x: Float[Array, "n h w c"], name: str, filters: int, kernel: int, *, stride: int = 1, train: bool
    ) -> tuple[Float[Array, "n h2 w2 f"], Float[Array, "n h2 w2 f"]]:
        """The maps before and after the non-linearity."""
        filters = max(1, round(filters * self.width))
        x = layers.convolution(x, name, filters, kernel, stride=stride, padding=kernel // 2)
        pre = layers.batch_norm(x, self.batch_norms[name], train=train, axis_name=self.axis_name)
        post = self._rectified(pre, train)
        layers.offer(self, name, pre, post)
        return pre, post

    def _rectified(self, x: Float[Array, "n h w c"], train: bool) -> Float[Array, "n h w c"]:
        """Negative values times a slope: in training one drawn for each element, otherwise the mean of the slopes."""
        low, high = SLOPES
        slope = jax.random.uniform(self.make_rng("dropout"), x.shape, x.dtype, low, high) if train else sum(SLOPES) / 2
        return jnp.where(x > 0, x, slope * x)
