"""Steps by micro-batches: the same as by the whole batch, where nothing looks at more than one image."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

from interpjax import models, parallel
from interpjax.models.batch_norm import BatchNorm
from interpjax.prepare import prepare
from interpjax.preprocessing import Preprocessing
from interpjax.training import Objective, create_train_state
from interpjax.training.step import make_train_step

WEIGHTS = {  # regularizers of weights alone
    "regularizer__block_norm__strength": 0.01,
    "regularizer__weight_decay__strength": 0.1,
    "regularizer__soft_orthogonality__strength": 0.01,
}
RNG = np.random.default_rng(0)


class Normalized(nn.Module):
    """Batch norm and a dense layer on the mean colours."""

    @nn.compact
    def __call__(self, images, *, train=False):
        x = BatchNorm(train, axis_name=parallel.AXIS if train else None, name="bn")(images.mean(axis=(1, 2)))
        return nn.Dense(2)(x)


def batch(count=16, size=8):
    images = RNG.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return {"image": images, "label": RNG.integers(0, 2, count).astype(np.int32)}


def stepped(model, objective, given, accumulate_steps, **fields):
    """The state after a step on four devices, and its metrics."""
    optimizer = optax.sgd(0.1, momentum=0.9)
    averaging = fields.get("ema_decay", 0.0) > 0
    state = create_train_state(model, optimizer, image_size=8, seed=0, averaging=averaging)
    settings = {"preprocessing": Preprocessing.imagenet(), "learning_rate": optax.constant_schedule(0.1), "seed": 0}
    step = make_train_step(model, optimizer, objective, **settings, accumulate_steps=accumulate_steps, **fields)
    return jax.tree.map(parallel.first, step(parallel.replicate(state), parallel.put_batch(given)))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        pytest.param({"ema_decay": 0.5}, marks=pytest.mark.long),
        pytest.param({"skip_nonfinite": True}, marks=pytest.mark.long),
    ],
    ids=["plain", "ema", "skip"],
)
def test_without_batch_norm_it_is_the_step_of_the_whole_batch(fields):
    model = models.create_model("two_figures_cnn", num_classes=2, width=0.125)
    objective, given = tiny.recipe(tiny.tiny_config(**WEIGHTS), model).objective, batch()
    (whole, expected), (found, metrics) = (stepped(model, objective, given, steps, **fields) for steps in (1, 4))
    # The sum over sixteen images is taken in another order, which costs some of float32's seven digits.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), found, whole)
    assert set(metrics) == set(expected)
    for name in metrics:
        np.testing.assert_allclose(metrics[name], expected[name], rtol=1e-5, err_msg=name)


def test_batch_norm_sees_a_micro_batch_and_its_statistics_move_with_each():
    given = batch()
    after, _ = stepped(Normalized(), Objective(), given, 2)
    means = np.asarray(Preprocessing.imagenet()(given["image"])).mean(axis=(1, 2)).reshape(4, 2, 2, 3)
    running = np.zeros(3)
    for number in range(2):  # the first half of each device's four images, then the second
        running = 0.9 * running + 0.1 * means[:, number].mean(axis=(0, 1))
    np.testing.assert_allclose(after.batch_stats["bn"]["mean"], running, rtol=1e-5)


@pytest.mark.parametrize(("micro_batches", "share"), [(1, 1 / 2**4), (4, 1 / 2**16)])
def test_dropout_differs_between_micro_batches_and_devices(micro_batches, share):
    class Dropping(nn.Module):
        @nn.compact
        def __call__(self, images, *, train=False):
            features = jnp.ones((1, 4096)) + 0 * images.mean(axis=(1, 2, 3))[:, None]
            # Of one device and micro-batch all images drop the same features.
            return nn.Dense(2)(nn.Dropout(0.5, broadcast_dims=(0,), deterministic=not train)(features))

    start = create_train_state(Dropping(), optax.sgd(0.1), image_size=8, seed=0).params["Dense_0"]["kernel"]
    start = np.asarray(start)
    after, _ = stepped(Dropping(), Objective(), batch(), micro_batches)
    never_seen = (after.params["Dense_0"]["kernel"] == start).all(axis=1)
    # Of 4096 features: the standard deviation of the share is 0.004.
    np.testing.assert_allclose(never_seen.mean(), share, atol=0.015)


@pytest.mark.parametrize("bad", [0, 3])
def test_a_micro_batch_that_is_not_finite_leaves_the_whole_step_out(bad):
    class Fragile(nn.Module):
        @nn.compact
        def __call__(self, images, *, train=False):
            del train
            means = images.mean(axis=(1, 2))
            black = (images.max(axis=(1, 2, 3)) < -1.7)[:, None]  # where black is −1.8 or below in every channel
            return nn.Dense(2)(means) + jnp.where(black, jnp.nan, 0.0)

    given = batch()
    given["image"][bad] = 0  # of the first device's four images
    after, metrics = stepped(Fragile(), Objective(), given, 4, skip_nonfinite=True)
    start = create_train_state(Fragile(), optax.sgd(0.1, momentum=0.9), image_size=8, seed=0)
    assert metrics["skipped_steps"] == 1
    jax.tree.map(np.testing.assert_array_equal, after.params, jax.tree.map(np.asarray, start.params))


def test_a_batch_that_cannot_be_split_is_refused(tmp_path):
    fields = {"data__directory": str(tmp_path), "training__batch_size": 8, "training__accumulate_steps": 3}
    message = (
        r"config.training.batch_size = 8: expected a multiple of 12, for each of 4 devices takes its share in "
        r"config.training.accumulate_steps = 3 micro-batches"
    )
    with pytest.raises(ValueError, match=message):
        prepare(tiny.tiny_config(**fields), tmp_path / "run", ("train",))
    with pytest.raises(ValueError, match=r"config.training.accumulate_steps = 0: expected a number above 0"):
        prepare(tiny.tiny_config(training__accumulate_steps=0), tmp_path / "run", ("train",))
    made = prepare(tiny.tiny_config(**fields | {"training__accumulate_steps": 2}), tmp_path / "run", ("train",))
    assert made.recipe.accumulate_steps == 2
