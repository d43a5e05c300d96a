"""The two-layer CNN for the two-figures data.

References:
  Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021: two 3×3 convolutions of 128 and 256
  filters. What stands around them is not published; here it is as little as possible.
"""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.models import layers

FILTERS = (128, 256)


class TwoFiguresCNN(nn.Module):
    """Two convolutions, each followed by 2×2 max pooling, and a dense layer on each filter's maximum and mean.

    Attributes:
      num_classes: number of logits.
      width: multiplies the filters.
      dropout: has no effect, this network has none.
      axis_name: has no effect, this network has no batch norm.
    """

    conv_layers: ClassVar[tuple[str, ...]] = ("conv1", "conv2")
    tap_layers: ClassVar[tuple[str, ...]] = conv_layers
    batch_norms: ClassVar[dict[str, str]] = {}  # of convolutions that have one behind them

    num_classes: int
    width: float = 1.0
    dropout: bool = True
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"], *, train: bool = False) -> Float[Array, "n classes"]:
        """Logits of normalized images of any size."""
        del train  # it computes the same
        x = images
        for number, filters in enumerate(FILTERS, start=1):
            x = layers.convolution(x, f"conv{number}", max(1, round(filters * self.width)), 3, padding=1)
            x = layers.relu_with_taps(self, f"conv{number}", x)
            x = layers.max_pool(x, 2, 2)
        pooled = jnp.concatenate([x.max(axis=(1, 2)), x.mean(axis=(1, 2))], axis=-1)
        return layers.dense(pooled, "fc", self.num_classes)
