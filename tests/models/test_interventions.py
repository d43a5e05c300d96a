"""Maps that are changed on the way: all that comes after sees the change, and nothing else does."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filling import filled

from interpjax import models

SIZES = {"two_figures_cnn": 12, "resnet18": 8, "squeezenet_places365": 32}


def made(name, size, **fields):
    model = models.create_model(name, num_classes=3, width=0.0625, **fields)
    images = jnp.asarray(np.random.default_rng(1).normal(size=(2, size, size, 3)), jnp.float32)
    return model, filled(models.outline(model, size).variables), images


@pytest.mark.parametrize("name", SIZES)
def test_maps_left_as_they_are_change_nothing(name):
    model, variables, images = made(name, SIZES[name])
    names = models.outline(model, SIZES[name]).names

    @jax.jit
    def both(variables, images):
        same = dict.fromkeys(names, lambda maps: maps)
        return (
            models.apply_with_changes(model, variables, images, same),
            model.apply(variables, images, train=False),
        )

    np.testing.assert_array_equal(*both(variables, images))


def test_later_layers_see_the_change_and_earlier_ones_do_not():
    model, variables, images = made("two_figures_cnn", 12)
    seen = {}

    def note(name, factor):
        def change(maps):
            seen[name] = maps
            return factor * maps

        return change

    _, plain = models.apply_with_taps(model, variables, images, layers=("conv1", "conv2"))
    models.apply_with_changes(model, variables, images, {"conv1": note("conv1", 2.0), "conv2": note("conv2", 1.0)})
    np.testing.assert_array_equal(seen["conv1"], plain["conv1"])
    # All biases are 0 here, and the rectifier of doubled maps is the doubled rectifier.
    np.testing.assert_allclose(seen["conv2"], 2 * plain["conv2"], rtol=1e-5, atol=1e-6)


def test_a_tap_before_the_rectifier_is_changed_before_it():
    model, variables, images = made("two_figures_cnn", 12)
    seen = []
    _, pre = models.apply_with_taps(model, variables, images, layers=("conv2",), stage="pre")

    def rectified(maps):
        seen.append(maps)
        return jnp.maximum(maps, 0)

    found = models.apply_with_changes(model, variables, images, {"conv2": rectified}, stage="pre")
    np.testing.assert_array_equal(seen[0], pre["conv2"])
    np.testing.assert_array_equal(found, model.apply(variables, images, train=False))  # it is rectified anyway


def test_layers_with_the_same_maps_are_changed_in_their_order():
    model, variables, images = made("resnet18", 8)
    shared = ("layer4.1.conv2", "layer4")
    changes = {shared[0]: lambda maps: maps + 1, shared[1]: lambda maps: 3 * maps}
    both = models.apply_with_changes(model, variables, images, changes)
    one = models.apply_with_changes(model, variables, images, {"layer4": lambda maps: 3 * (maps + 1)})
    np.testing.assert_allclose(both, one, rtol=1e-6)


def test_the_last_maps_of_a_network_set_to_zero_leave_the_biases():
    model, variables, images = made("two_figures_cnn", 12)
    bias = jnp.array([0.5, -1.0, 2.0])
    variables["params"][model.head]["bias"] = bias
    found = jax.jit(lambda v, x: models.apply_with_changes(model, v, x, {"conv2": jnp.zeros_like}))(variables, images)
    np.testing.assert_array_equal(found, np.broadcast_to(bias, found.shape))


def test_what_comes_before_is_computed_once_for_all_changes():
    """The convolutions of a vmap over changes have the images alone as their batch."""
    model, variables, images = made("two_figures_cnn", 12)

    def scaled(factor):
        return models.apply_with_changes(model, variables, images, {"conv2": lambda maps: factor * maps})

    jaxpr = jax.make_jaxpr(jax.vmap(scaled))(jnp.arange(4.0))
    convolved = [eqn.invars[0].aval.shape[0] for eqn in jaxpr.eqns if eqn.primitive.name == "conv_general_dilated"]
    assert convolved == [len(images), len(images)]


def test_what_cannot_be_changed_is_refused():
    model, variables, images = made("two_figures_cnn", 12)
    with pytest.raises(ValueError, match=r"layer 'conv99': .* offers no such layer"):
        models.apply_with_changes(model, variables, images, {"conv99": lambda maps: maps})
    with pytest.raises(ValueError, match=r"layer 'conv1': its maps \(.*\) were changed to \(\); expected the same"):
        models.apply_with_changes(model, variables, images, {"conv1": jnp.sum})


class Block(nn.Module):
    """A layer whose maps are used inside of the module that offers them."""

    @nn.compact
    def __call__(self, images):
        maps = nn.Conv(4, (3, 3), name="conv")(images)
        models.offer(self, "/".join((*self.path, "conv")), pre=maps)
        return nn.relu(maps).mean(axis=(1, 2))


class Network(nn.Module):
    block: Any

    @nn.compact
    def __call__(self, images, *, train=False):
        return nn.Dense(3, name="fc")(self.block(name="block")(images))


@pytest.mark.parametrize("transform", [nn.remat, nn.jit])
def test_inside_of_a_transformed_module_nothing_can_be_changed(transform):
    images = jnp.ones((2, 8, 8, 3))
    variables = filled(models.outline(Network(Block), 8).variables)
    change = {"block/conv": lambda maps: maps + 1}

    def change_of(model, changes=change):
        return models.apply_with_changes(model, variables, images, changes, stage="pre")

    assert np.abs(change_of(Network(Block)) - change_of(Network(Block), {})).max() > 0.1
    with pytest.raises(ValueError, match="layer 'block/conv': its maps cannot be changed inside of a transformed"):
        change_of(Network(transform(Block)))
