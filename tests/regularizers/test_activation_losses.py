"""All losses on activation maps: numeric differences, constant maps, and several devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interpjax import parallel
from interpjax import regularizers as reg

G2 = reg.Grouping(num_groups=2)
RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(3, 4, 5, 6))
PAIRS = np.array([[0, 1], [2, 0], [1, 2], [2, 1]])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


LOSSES = {
    "code": lambda fields: reg.group_activation_loss(fields, G2, PAIRS, "code"),
    "paper": lambda fields: reg.group_activation_loss(fields, G2, PAIRS, "paper"),
    "repulsion": lambda fields: reg.group_repulsion_loss(fields, G2, PAIRS, "code"),
    "spatial": reg.spatial_loss,
    "fields": lambda fields: jnp.sum(reg.soft_receptive_field(fields, 1.2, -0.3) ** 2),
    "batch norm": lambda maps: jnp.sum(reg.soft_receptive_field(maps, batch_norm_scale=jnp.array([2.0] * 6)) ** 2),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_match_numeric_differences(name):
    with jax.enable_x64(True):
        point = jnp.asarray(sigmoid(MAPS))
        direction = jnp.asarray(RNG.normal(size=MAPS.shape))
        loss = jax.jit(LOSSES[name])
        numeric = (loss(point + 1e-6 * direction) - loss(point - 1e-6 * direction)) / 2e-6
        np.testing.assert_allclose(jnp.vdot(jax.grad(loss)(point), direction), numeric, rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, *(pytest.param(value, marks=pytest.mark.long) for value in (0.5, 1e-30))])
@pytest.mark.parametrize("name", LOSSES)
def test_constant_maps_give_finite_values_and_gradients(name, value):
    loss, gradient = jax.value_and_grad(LOSSES[name])(jnp.full((2, 5, 5, 6), value))
    assert jnp.isfinite(loss)
    assert jnp.isfinite(gradient).all()


@pytest.mark.long
@pytest.mark.parametrize("form", ["paper", "code"])
def test_devices_see_the_statistics_of_the_whole_batch(form):
    devices = jax.local_device_count()
    assert devices == 4
    # Shards of quite different scale: statistics of one alone would be far off.
    maps = jnp.asarray(RNG.normal(size=(8, 4, 4, 6)) * np.repeat([0.1, 1, 5, 20], 2)[:, None, None, None], jnp.float32)

    def loss(maps, factor, axis_name):
        fields = reg.soft_receptive_field(factor * maps, factor, axis_name=axis_name)
        return (
            reg.group_activation_loss(fields, G2, PAIRS, form, axis_name=axis_name)
            + reg.group_repulsion_loss(fields, G2, PAIRS, form, axis_name=axis_name)
            + reg.spatial_loss(fields)
        )

    def step(maps, factor):
        return parallel.mean(jax.value_and_grad(loss, argnums=1)(maps, factor, parallel.AXIS))

    shards = {"maps": maps, "factor": jnp.full(devices, 1.3)}
    value, slope = parallel.parallelize(step)(parallel.put_batch(maps), shards["factor"])
    expected, expected_slope = jax.value_and_grad(loss, argnums=1)(maps, jnp.float32(1.3), None)
    np.testing.assert_allclose(value, np.full(devices, expected), rtol=1e-5)
    np.testing.assert_allclose(slope, np.full(devices, expected_slope), rtol=1e-4)
