"""Magnitude pruning: which weights go, when, and that they stay away, against a few lines of NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

import interpjax
from interpjax import models
from interpjax.config.checks import validate
from interpjax.errors import UserError
from interpjax.training.optimizer import memory_at
from interpjax.training.pruning import Pruning, PruningState, prune

MODEL = models.create_model("two_figures_cnn", num_classes=2)
PRUNED = {"optimizer__pruning__sparsity": 0.5}


def random_params(rng, shapes=((3, 3, 2, 4), (1, 1, 4, 5))):
    layers = {
        f"conv{i}": {"kernel": rng.normal(size=shape), "bias": np.zeros(shape[-1])} for i, shape in enumerate(shapes)
    }
    layers["fc"] = {"kernel": rng.normal(size=(5, 3)), "bias": np.zeros(3)}
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), layers)


def pruned_by_hand(kernels, steps, share):
    """Adds the steps to what is not zero and drops the smallest of all kernels together, in float32."""
    moved = {
        name: np.where(kernel == 0, 0, kernel + steps[name]).astype(np.float32) for name, kernel in kernels.items()
    }
    flat = np.concatenate([kernel.ravel() for kernel in moved.values()])
    flat[np.argsort(np.abs(flat), kind="stable")[: round(share * len(flat))]] = 0
    parts = np.split(flat, np.cumsum([kernel.size for kernel in moved.values()])[:-1])
    return {name: part.reshape(moved[name].shape) for name, part in zip(moved, parts, strict=True)}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), sparsity=st.floats(0.01, 0.99), start=st.floats(0, 0.5), width=st.floats(0.1, 0.5))
def test_smallest_weights_of_all_layers_go_and_stay_away(seed, sparsity, start, width):
    rng, total = np.random.default_rng(seed), 12
    pruning = Pruning(sparsity, start, start + width)
    transform, params = prune(pruning, total), random_params(rng)
    state = transform.init(params)
    expected = {name: np.asarray(params[name]["kernel"]) for name in ("conv0", "conv1")}
    for step in range(1, total + 1):
        updates = random_params(rng)
        share = float(pruning.share(step, total))
        expected = pruned_by_hand(expected, {name: np.asarray(updates[name]["kernel"]) for name in expected}, share)
        others = jax.tree.map(jnp.add, params, updates)
        changes, state = transform.update(updates, state, params)
        params = jax.tree.map(jnp.add, params, changes)
        for name, kernel in expected.items():
            np.testing.assert_allclose(params[name]["kernel"], kernel, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(params[name]["kernel"] == 0, kernel == 0)
            np.testing.assert_array_equal(params[name]["bias"], others[name]["bias"])
        np.testing.assert_array_equal(params["fc"]["kernel"], others["fc"]["kernel"])
    zeros = sum(int((params[name]["kernel"] == 0).sum()) for name in expected)
    assert zeros == round(float(pruning.share(total, total)) * 92)


def steps_of(pruning, total, kernel, steps, update=0.0):
    """The kernel after each of some steps, all of whose weights are moved by the update."""
    transform, params, found = prune(pruning, total), {"conv": {"kernel": jnp.asarray(kernel, jnp.float32)}}, []
    state = transform.init(params)
    for _ in range(steps):
        updates = jax.tree.map(lambda leaf: jnp.full_like(leaf, update), params)
        changes, state = transform.update(updates, state, params)
        params = jax.tree.map(jnp.add, params, changes)
        found.append(np.asarray(params["conv"]["kernel"]))
    return found


def test_of_equal_weights_no_more_go_than_the_share():
    equal = 0.1 * np.sign(np.random.default_rng(0).normal(size=(3, 3, 2, 10)))
    assert [(kernel == 0).mean() for kernel in steps_of(Pruning(0.1, 0, 1), 2, equal, 2)] == [16 / 180, 18 / 180]


def test_zeros_at_the_start_are_trained_until_the_first_weights_go():
    kernels = steps_of(Pruning(0.5, 0.5, 1), 4, np.zeros((1, 1, 1, 8)), 4, update=1.0)
    assert [(kernel == 0).mean() for kernel in kernels] == [0, 0, 0.5, 0.5]


def test_share_rises_by_the_cube_between_start_and_stop():
    pruning = Pruning(0.8, 0.25, 0.75)
    shares = [float(pruning.share(step, 100)) for step in (0, 25, 50, 75, 100)]
    np.testing.assert_allclose(shares, [0, 0, 0.8 * (1 - 0.5**3), 0.8, 0.8], rtol=1e-6)


def test_only_layers_that_are_named_and_trained_are_pruned():
    params = random_params(np.random.default_rng(0))
    assert set(Pruning(0.5, 0, 1).kernels(params)) == {"conv0", "conv1"}
    assert set(Pruning(0.5, 0, 1, ("conv1",)).kernels(params)) == {"conv1"}
    assert set(Pruning(0.5, 0, 1, frozen=("conv1",)).kernels(params)) == {"conv0"}


def test_a_frozen_layer_keeps_its_weights_and_the_others_have_the_whole_share():
    config = tiny.tiny_config(**PRUNED, model__frozen=("conv1",), training__num_steps=4)
    optimizer, params = tiny.optimizer(config, MODEL), models.outline(MODEL, 40).variables["params"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params)
    state, first = optimizer.init(params), params
    for _ in range(4):
        updates, state = optimizer.update(first, state, params)
        params = jax.tree.map(jnp.add, params, updates)
    np.testing.assert_array_equal(params["conv1"]["kernel"], first["conv1"]["kernel"])
    assert float((params["conv2"]["kernel"] == 0).mean()) == 0.5


def test_new_memory_has_its_number_of_steps():
    assert memory_at(PruningState(jnp.zeros((), jnp.int32)), 7) == PruningState(jnp.int32(7))


@pytest.mark.long
def test_a_run_ends_with_its_share_of_zeros(tmp_path):
    fields = PRUNED | {"training__num_steps": 8, "optimizer__pruning__layers": ("conv2",)}
    config = tiny.tiny_config(**fields, data__directory=str(tmp_path / "data"))
    summary = interpjax.run(config, tmp_path / "whole", ("train", "evaluate"))
    _, _, variables = interpjax.load(tmp_path / "whole")
    one, two = (np.asarray(variables["params"][layer]["kernel"]) for layer in ("conv1", "conv2"))
    assert (one == 0).sum() == 0
    assert (two == 0).mean() == 0.5
    assert summary["zero_weights"] == two.size / 2 / (one.size + two.size)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer__pruning__sparsity": 1.0}, r"config.optimizer.pruning.sparsity = 1.0: expected a number below 1"),
        ({"optimizer__pruning__start": -0.1}, r"config.optimizer.pruning.start = -0.1: expected a number of 0 or more"),
        ({"optimizer__pruning__start": 0.8}, r"pruning: start = 0.8 and stop = 0.75; expected shares of the training"),
        (PRUNED | {"training__ema_decay": 0.9}, r"pruning.sparsity = 0.5: expected 0 with training.ema_decay"),
        (
            PRUNED | {"optimizer__name": "sgd", "regularizer__block_norm__proximal": True},
            r"pruning.sparsity = 0.5: expected 0 with block_norm.proximal",
        ),
    ],
)
def test_settings_that_are_wrong_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        validate(tiny.tiny_config(**fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"optimizer__pruning__layers": ("conv9",)},
            r"pruning.layers = \('conv9',\): .*'conv9' matches no convolution",
        ),
        ({"model__frozen": ("conv*",)}, r"pruning.layers = \(\): all of conv1, conv2 are frozen; expected one"),
    ],
)
def test_layers_that_are_wrong_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        tiny.recipe(tiny.tiny_config(**PRUNED, **fields), MODEL)
