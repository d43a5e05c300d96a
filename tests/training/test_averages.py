"""Smoothed labels, and the moving average of the variables, each against a few lines of NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

import interpjax
from interpjax.config.checks import validate
from interpjax.training import Objective, TrainState
from interpjax.training.checkpoint import Checkpoints
from interpjax.training.objective import cross_entropy


def test_smoothed_labels_give_their_share_to_all_classes():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(6, 5)).astype(np.float32), np.array([0, 1, 2, 3, 4, 4], np.int32)
    targets = 0.7 * np.eye(5)[labels] + 0.3 / 5
    log_shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    found = Objective(label_smoothing=0.3).data_loss(jnp.asarray(logits), jnp.asarray(labels))
    np.testing.assert_allclose(found, -np.mean(np.sum(targets * log_shares, axis=1)), rtol=1e-5)
    exact = Objective().data_loss(jnp.asarray(logits), jnp.asarray(labels))
    assert exact == jnp.mean(cross_entropy(jnp.asarray(logits), jnp.asarray(labels)))


def test_the_average_is_the_mean_until_the_decay_is_slower():
    values = np.random.default_rng(0).normal(size=12)
    average, expected = {"params": {"w": jnp.float32(0)}, "batch_stats": {"m": jnp.float32(0)}}, 0.0
    for step, value in enumerate(values, start=1):
        state = TrainState(jnp.int32(step), {"w": jnp.float32(value)}, {"m": jnp.float32(-value)}, ())
        average = state.averaged(average, 0.75).average
        expected = np.mean(values[:step]) if step <= 4 else 0.75 * expected + 0.25 * value
        np.testing.assert_allclose(average["params"]["w"], expected, rtol=1e-5)
        np.testing.assert_allclose(average["batch_stats"]["m"], -expected, rtol=1e-5)


@pytest.mark.long
def test_the_average_is_what_is_evaluated_kept_and_loaded(tmp_path):
    config = tiny.tiny_config(
        training__ema_decay=0.5,
        training__label_smoothing=0.1,
        data__directory=str(tmp_path / "data"),
    )
    summary = interpjax.run(config, tmp_path / "run", ("train", "evaluate"))
    like = tiny.initial_state(config)
    like = like.replace(average=like.variables)
    with Checkpoints(tmp_path / "run") as checkpoints:
        latest, _ = checkpoints.restore(like)
    _, _, loaded = interpjax.load(tmp_path / "run")
    jax.tree.map(np.testing.assert_array_equal, dict(loaded), latest.average)
    assert (loaded["params"]["conv1"]["kernel"] != latest.params["conv1"]["kernel"]).any()
    (tmp_path / "run" / "stages" / "evaluate.json").unlink()
    assert interpjax.run(config, tmp_path / "run", ("evaluate",))["cross_entropy"] == summary["cross_entropy"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"training__label_smoothing": 1.0}, r"config.training.label_smoothing = 1.0: expected a number below 1"),
        ({"training__ema_decay": -0.1}, r"config.training.ema_decay = -0.1: expected a number of 0 or more"),
        (
            {"training__ema_decay": 0.9, "regularizer__block_norm__proximal": True},
            r"config.training.ema_decay = 0.9: expected 0 with block_norm.proximal",
        ),
    ],
)
def test_shares_and_decays_that_are_wrong_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        validate(tiny.tiny_config(**fields))
