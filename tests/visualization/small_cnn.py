"""A network of eight and sixteen filters, random weights that take no compiling, and images for it."""

import jax
import jax.numpy as jnp
import numpy as np

from interpjax import models

SIZE = 12
CLASSES = 3


def small_cnn(images=2, classes=CLASSES):
    """The network, its variables, and images; the classes' scores are near each other."""
    model = models.create_model("two_figures_cnn", num_classes=classes, width=0.0625)
    rng = np.random.default_rng(0)

    def draw(leaf):
        return jnp.asarray(rng.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1])), jnp.float32)

    variables = jax.tree.map(draw, models.outline(model, SIZE).variables)
    return model, variables, jnp.asarray(rng.normal(size=(images, SIZE, SIZE, 3)), jnp.float32)
