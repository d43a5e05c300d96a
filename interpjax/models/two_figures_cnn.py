"""The two-layer CNN for the two-figures data.

References:
  Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021: two 3×3 convolutions of 128 and 256
  filters. What stands around them is not published; here it is as little as possible.
"""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.models.classifier import Classifier
from interpjax.models.pooling import max_pool

FILTERS = (128, 256)


class TwoFiguresCNN(Classifier):
    """Two convolutions, each followed by 2×2 max pooling, and a dense layer on each filter's maximum and mean.

    Images of any size from 4 pixels; it has neither dropout nor batch norm.
    """

    smallest: ClassVar[int] = 4

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"], *, train: bool = False) -> Float[Array, "n classes"]:
        """Logits of normalized images."""
        del train  # it computes the same
        self.check_size(images)
        x = images
        for number, filters in enumerate(FILTERS, start=1):
            x = self.conv_relu(x, f"conv{number}", self.scaled(filters), 3, padding=1)
            x = max_pool(x, 2, 2)
        pooled = jnp.concatenate([x.max(axis=(1, 2)), x.mean(axis=(1, 2))], axis=-1)
        return self.logits(pooled)
