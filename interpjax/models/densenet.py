"""DenseNet-121, 161, 169 and 201.

References:
  Huang et al., *Densely Connected Convolutional Networks*, CVPR 2017 (DenseNet-BC), as torchvision has it.
"""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.models.classifier import Classifier, rematerialized
from interpjax.models.offers import offer
from interpjax.models.pooling import average_pool, max_pool

BOTTLENECK = 4  # filters of a layer's 1×1 convolution, in growths


class DenseNet(Classifier):
    """A stem, four blocks of layers that see all features before them, and a dense layer; images from 29 pixels.

    Layers have torchvision's names without ``features.``: ``conv0``, ``denseblock1.denselayer1.conv1``,
    ``transition1.conv``, with the batch norms ``norm0``, ``denseblock1.denselayer1.norm2`` and so on. Batch norm and
    ReLU come before a convolution, so what is behind it is the next one's: of ``conv1`` the layer's ``norm2``. The
    features of a ``conv2`` go to every later layer, each of which normalizes them for itself, and those of a
    transition are pooled first: their taps are the convolution's output everywhere, as is that of a block,
    ``denseblock1``, all features side by side. ``norm5`` is the last batch norm with its ReLU.

    Attributes:
      blocks: layers of each block.
      growth: filters that each layer adds.
      stem: filters of the first convolution.
      remat: whether training computes the maps of a layer anew for its gradient, to save memory. Of a block only the
        features that each layer adds are then kept, and not all of them again for every layer.
    """

    head: ClassVar[str] = "classifier"
    smallest: ClassVar[int] = 29
    conv_init = staticmethod(nn.initializers.variance_scaling(2, "fan_in", "normal"))

    blocks: tuple[int, ...] = (6, 12, 24, 16)
    growth: int = 32
    stem: int = 64
    remat: bool = False

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"], *, train: bool = False) -> Float[Array, "n classes"]:
        """Logits of normalized images."""
        self.check_size(images)
        geometry = {"stride": 2, "padding": 3, "bias": False}
        x = self.conv_relu(images, "conv0", self.scaled(self.stem), 7, norm="norm0", train=train, **geometry)
        x = max_pool(x, 3, 2, padding=1)
        remat = self.remat and train
        run = rematerialized(DenseNet._layer) if remat else DenseNet._layer
        for number, count in enumerate(self.blocks, start=1):
            features = [x]
            for layer in range(1, count + 1):
                features.append(run(self, features, f"denseblock{number}.denselayer{layer}", train))
                features = features if remat else [jnp.concatenate(features, axis=-1)]
            x = jnp.concatenate(features, axis=-1)
            offer(self, f"denseblock{number}", pre=x, post=x)
            if number < len(self.blocks):
                x = self._transition(x, f"transition{number}", train)
        pre = self.norm(x, "norm5", train)
        x = nn.relu(pre)
        offer(self, "norm5", pre=pre, post=x)
        return self.logits(x.mean(axis=(1, 2)), bias_init=nn.initializers.zeros)

    def _layer(self, features: list[Float[Array, "n h w _"]], name: str, train: bool) -> Float[Array, "n h w growth"]:
        """The new features, of all those before them."""
        growth = self.scaled(self.growth)
        x = jnp.concatenate(features, axis=-1)
        x = nn.relu(self.norm(x, f"{name}.norm1", train))
        norm = f"{name}.norm2"
        x = self.conv_relu(x, f"{name}.conv1", BOTTLENECK * growth, 1, bias=False, norm=norm, train=train)
        return self._linear(x, f"{name}.conv2", growth, 3)

    def _transition(self, x: Float[Array, "n h w c"], name: str, train: bool) -> Float[Array, "n h2 w2 c2"]:
        """Half of the features at half of the positions."""
        x = nn.relu(self.norm(x, f"{name}.norm", train))
        return average_pool(self._linear(x, f"{name}.conv", x.shape[-1] // 2, 1), 2)

    def _linear(self, x: Float[Array, "n h w c"], name: str, filters: int, kernel: int) -> Float[Array, "n h w f"]:
        x = self.conv(x, name, filters, kernel, padding=kernel // 2, bias=False)
        offer(self, name, conv=x, norm=x, pre=x, post=x)
        return x
