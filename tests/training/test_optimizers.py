"""The optimizer's fields, each against a few lines of NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from interpjax import models
from interpjax.config.checks import validate

MODEL = models.create_model("two_figures_cnn", num_classes=2)
RATE = 0.1
SGD = {"optimizer__name": "sgd", "optimizer__learning_rate": RATE, "optimizer__schedule": "constant"}
ADAMW = SGD | {"optimizer__name": "adamw", "optimizer__decoupled_weight_decay": 0.05}


def trained(config, weights, gradients):
    """The weights after a step for each gradient."""
    optimizer = tiny.optimizer(config, MODEL, 100)
    memory = optimizer.init(weights)
    for gradient in gradients:
        updates, memory = optimizer.update(gradient, memory, weights)
        weights = jax.tree.map(jnp.add, weights, updates)
    return weights


def random_gradients(shapes, steps=5):
    rng = np.random.default_rng(0)
    return [{name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name, shape in shapes} for _ in range(steps)]


def test_nesterov_looks_ahead_by_the_momentum():
    gradients = random_gradients([("w", (3,))])
    weight, velocity = np.ones(3), np.zeros(3)
    for gradient in gradients:
        velocity = 0.9 * velocity + gradient["w"]
        weight = weight - RATE * (gradient["w"] + 0.9 * velocity)
    found = trained(tiny.tiny_config(**SGD, optimizer__nesterov=True), {"w": jnp.ones(3)}, gradients)
    np.testing.assert_allclose(found["w"], weight, rtol=1e-5)


def test_gradients_are_scaled_down_to_their_global_norm():
    gradients = random_gradients([("w", (3,)), ("b", (2,))])
    config = tiny.tiny_config(**SGD, optimizer__momentum=0.0, optimizer__clip_norm=1.5)
    expected = {"w": np.ones(3), "b": np.zeros(2)}
    norms = []
    for gradient in gradients:
        norms.append(np.sqrt(sum(np.sum(np.square(leaf)) for leaf in gradient.values())))
        expected = {k: v - RATE * gradient[k] * min(1, 1.5 / norms[-1]) for k, v in expected.items()}
    assert min(norms) < 1.5 < max(norms)
    found = trained(config, {"w": jnp.ones(3), "b": jnp.zeros(2)}, gradients)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5)


def test_decoupled_decay_is_of_the_step_and_leaves_the_block_norm_its_kernels():
    params = {
        "conv1": {"kernel": jnp.full((3, 3, 2, 5), 2.0), "bias": jnp.full((5,), 2.0)},
        "soft_receptive_field": {"scale": jnp.float32(2.0), "shift": jnp.float32(2.0)},
    }
    still = [jax.tree.map(jnp.zeros_like, params)] * 3
    shrunk = 2.0 * (1 - RATE * 0.05) ** 3
    alone = trained(tiny.tiny_config(**ADAMW, regularizer__block_norm__strength=0.0), params, still)
    beside = trained(tiny.tiny_config(**ADAMW, regularizer__block_norm__strength=0.1), params, still)
    np.testing.assert_allclose(alone["conv1"]["kernel"], shrunk, rtol=1e-6)
    np.testing.assert_array_equal(beside["conv1"]["kernel"], 2.0)
    for found in (alone, beside):
        np.testing.assert_allclose(found["conv1"]["bias"], shrunk, rtol=1e-6)
        assert found["soft_receptive_field"] == {"scale": 2.0, "shift": 2.0}


def test_adamw_is_adam_beside_its_decay():
    gradients = random_gradients([("w", (3,))])
    weight, first, second = np.ones(3), np.zeros(3), np.zeros(3)
    for number, gradient in enumerate(gradients, start=1):
        first = 0.9 * first + 0.1 * gradient["w"]
        second = 0.999 * second + 0.001 * gradient["w"] ** 2
        adam = (first / (1 - 0.9**number)) / (np.sqrt(second / (1 - 0.999**number)) + 1e-8)
        weight = weight - RATE * (adam + 0.05 * weight)
    config = tiny.tiny_config(**ADAMW, regularizer__block_norm__strength=0.0)
    np.testing.assert_allclose(trained(config, {"w": jnp.ones(3)}, gradients)["w"], weight, rtol=1e-5)


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine"])
def test_the_learning_rate_rises_to_the_schedule(schedule):
    fields = {"optimizer__schedule": schedule, "optimizer__decay_every_epochs": 0.8, "training__num_steps": 20}
    with_warmup, without = (
        tiny.recipe(tiny.tiny_config(**fields, optimizer__warmup_steps=steps), MODEL) for steps in (8, 0)
    )
    rises, plain = (each.optimizer.learning_rate.over(each.duration, 40) for each in (with_warmup, without))
    for step in range(20):
        np.testing.assert_allclose(rises(jnp.int32(step)), plain(jnp.int32(step)) * min(1, step / 8), rtol=1e-6)
    assert rises(jnp.int32(0)) == 0


def test_proximal_steps_follow_a_learning_rate_that_rises():
    config = tiny.tiny_config(
        **SGD,
        optimizer__nesterov=True,
        optimizer__warmup_steps=4,
        regularizer__block_norm__strength=1e6,
        regularizer__block_norm__proximal=True,
    )
    validate(config)
    params = {"conv1": {"kernel": jnp.ones((3, 3, 2, 5))}}
    still = jax.tree.map(jnp.zeros_like, params)
    np.testing.assert_array_equal(trained(config, params, [still])["conv1"]["kernel"], 1)
    np.testing.assert_array_equal(trained(config, params, [still] * 2)["conv1"]["kernel"], 0)


PROXIMAL = {"regularizer__block_norm__strength": 1.0, "regularizer__block_norm__proximal": True}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer__decoupled_weight_decay": 0.1}, r"decoupled_weight_decay = 0.1: expected 0, .*name = 'adam'"),
        ({"optimizer__name": "adamw"}, r"decoupled_weight_decay = 0.0: expected a number above 0 .*name = 'adamw'"),
        ({"optimizer__nesterov": True}, r"config.optimizer.nesterov = True: expected False .*name = 'adam'"),
        (SGD | {"optimizer__nesterov": True, "optimizer__momentum": 0.0}, r"optimizer.nesterov .* momentum = 0.0"),
        (SGD | PROXIMAL | {"optimizer__clip_norm": 1.0}, r"config.optimizer.clip_norm = 1.0: expected 0 with block_no"),
        ({"optimizer__clip_norm": -1.0}, r"config.optimizer.clip_norm = -1.0: expected a number of 0 or more"),
        ({"optimizer__warmup_steps": -1}, r"config.optimizer.warmup_steps = -1: expected a number of 0 or more"),
        ({"optimizer__name": "lion"}, r"config.optimizer.name = 'lion': choose one of sgd, adam, adamw, or give"),
    ],
)
def test_what_does_not_go_together_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        validate(tiny.tiny_config(**fields))


def broken_optimizer(schedule):
    raise ValueError("my own mistake")


def test_a_mistake_of_ones_own_optimizer_is_passed_on():
    config = tiny.tiny_config(optimizer__name="test_optimizers:broken_optimizer", regularizer__block_norm__strength=0.0)
    with pytest.raises(ValueError, match=r"^my own mistake$"):
        tiny.recipe(config, MODEL)


def test_adamw_makes_no_proximal_steps():
    with pytest.raises(ValueError, match=r"optimizer.name = 'adamw': .*gradient times one number"):
        tiny.recipe(tiny.tiny_config(**ADAMW, **PROXIMAL), MODEL)
