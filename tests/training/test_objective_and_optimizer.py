"""What is minimized, and by which learning rates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

import interpjax
from interpjax import models
from interpjax.config.checks import validate
from interpjax.prepare import prepare
from interpjax.preprocessing import Preprocessing

PARAMS = {
    "conv1": {"kernel": jnp.ones((3, 3, 2, 5)), "bias": jnp.full((5,), 2.0)},
    "fc": {"kernel": jnp.full((4, 2), 3.0), "bias": jnp.zeros(2)},
}


MODEL = models.create_model("two_figures_cnn", num_classes=2)


def terms(params=PARAMS, step=0, **fields):
    objective = tiny.recipe(tiny.tiny_config(**fields), MODEL).objective
    return objective(jnp.float32(1.0), params, {}, step=step, key=jax.random.key(0))


def test_loss_is_the_sum_of_its_terms_by_name():
    loss, metrics = terms(regularizer__block_norm__strength=0.01)
    block = 0.01 * 5 * np.sqrt(18)
    assert set(metrics) == {"loss", "cross_entropy", "penalty/block_norm"}
    np.testing.assert_allclose(metrics["penalty/block_norm"], block, rtol=1e-6)
    np.testing.assert_allclose(loss, 1 + block, rtol=1e-6)


def test_no_array_is_penalized_twice():
    _, both = terms(regularizer__block_norm__strength=0.01, regularizer__weight_decay__strength=0.1)
    np.testing.assert_allclose(both["penalty/weight_decay"], 0.1 * 0.5 * (5 * 4 + 8 * 9), rtol=1e-6)
    _, alone = terms(regularizer__block_norm__strength=0.0, regularizer__weight_decay__strength=0.1)
    np.testing.assert_allclose(alone["penalty/weight_decay"], 0.1 * 0.5 * (90 + 5 * 4 + 8 * 9), rtol=1e-6)
    _, none = terms(regularizer__block_norm__strength=0.0)
    assert set(none) == {"loss", "cross_entropy"}


def test_published_recipe_divides_the_learning_rate_every_thirty_epochs():
    config, images = interpjax.get_config("places365_gbn"), 1_803_460
    recipe = tiny.recipe(config, models.create_model("alexnet", num_classes=365))
    schedule, epoch = recipe.optimizer.learning_rate.over(recipe.duration, images), images / 256
    assert recipe.duration.steps(images) == round(90 * epoch)
    for epochs, rate in [(0, 1e-2), (29.9, 1e-2), (30.1, 1e-3), (59.9, 1e-3), (60.1, 1e-4), (89.9, 1e-4)]:
        np.testing.assert_allclose(schedule(round(epochs * epoch)), rate, rtol=1e-5)


def test_sgd_with_momentum_is_the_published_one():
    config = tiny.tiny_config(optimizer__name="sgd", optimizer__learning_rate=0.1, optimizer__schedule="constant")
    optimizer = tiny.optimizer(config, MODEL, 100)
    weight, velocity, rng = 1.0, 0.0, np.random.default_rng(0)
    params = jnp.array(weight)
    memory = optimizer.init(params)
    for gradient in rng.normal(size=5):
        velocity = 0.9 * velocity + gradient
        weight -= 0.1 * velocity
        updates, memory = optimizer.update(jnp.float32(gradient), memory, params)
        params = params + updates
    np.testing.assert_allclose(params, weight, rtol=1e-5)


def test_images_are_normalized_by_channel():
    image = jnp.broadcast_to(jnp.array([0, 51, 255], jnp.uint8), (1, 2, 2, 3))
    expected = [(0 - 0.5) / 0.25, (0.2 - 0.5) / 0.5, 0.5]
    np.testing.assert_allclose(Preprocessing((127.5,) * 3, (63.75, 127.5, 255))(image)[0, 0, 0], expected, rtol=1e-5)


def test_what_does_not_fit_is_found_before_training():
    model = models.create_model("two_figures_cnn", num_classes=2, width=0.0625)
    config = tiny.tiny_config(regularizer__grouping__num_groups=9)
    validate(config)
    with pytest.raises(ValueError, match=r"config.regularizer.block_norm: layer conv1: num_groups = 9: .* 8"):
        tiny.recipe(config, model)


def test_a_batch_is_shared_by_all_devices(tmp_path):
    config = tiny.tiny_config(training__batch_size=6)
    validate(config)
    with pytest.raises(ValueError, match=r"config.training.batch_size = 6: expected a multiple of the 4 devices"):
        prepare(config, tmp_path)


def test_gradient_of_the_step_is_that_of_the_objective():
    gradient = jax.grad(lambda params: terms(params, regularizer__block_norm__strength=0.1)[0])(PARAMS)
    np.testing.assert_allclose(gradient["conv1"]["kernel"], 0.1 * np.ones((3, 3, 2, 5)) / np.sqrt(18), rtol=1e-5)
    assert not gradient["fc"]["kernel"].any()
