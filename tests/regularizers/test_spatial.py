"""The spatial loss against the published code's outputs and a loop written out."""

import jax
import jax.numpy as jnp
import numpy as np

from interpjax import regularizers as reg

MAPS = np.random.default_rng(0).normal(size=(3, 4, 5, 6))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_spatial_loss_is_the_published_one(golden):
    eps = float(golden["spatial_epsilon"])
    loss = jax.value_and_grad(lambda maps: reg.spatial_loss(reg.soft_receptive_field(maps), eps=eps))
    value, gradient = loss(jnp.asarray(golden["activations_nhwc"]))
    np.testing.assert_allclose(value, golden["spatial_loss"], rtol=1e-6)
    np.testing.assert_allclose(gradient, golden["spatial_grad_nhwc"], atol=4e-6)  # of 0.025, by sums over 63 positions


def test_spatial_loss_matches_a_loop_over_pixels():
    fields, distances = sigmoid(MAPS), []
    for image in range(3):
        for filter_ in range(6):
            mass = fields[image, ..., filter_].sum() + 1e-4
            pixels = [(y, x, fields[image, y, x, filter_]) for y in range(4) for x in range(5)]
            centre = sum(np.array([y, x]) * value for y, x, value in pixels) / mass
            distances.append(sum(value * np.hypot(*(np.array([y, x]) - centre)) for y, x, value in pixels) / mass)
    np.testing.assert_allclose(reg.spatial_loss(jnp.asarray(fields, jnp.float32)), np.mean(distances), rtol=1e-5)
