"""Steps whose loss or gradients are not finite, where they are to be left out."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

from interpjax import models, parallel
from interpjax.config.checks import validate
from interpjax.preprocessing import Preprocessing
from interpjax.training import Objective, create_train_state
from interpjax.training.checkpoint import Checkpoints
from interpjax.training.metrics import MOST_SKIPPED, MetricsWriter, StepLog, TrainingDivergedError, read_metrics
from interpjax.training.step import make_train_step


class Fragile(nn.Module):
    """A dense layer whose logits are NaN for a batch with a black image; or only its gradient is, with ``hidden``."""

    hidden: bool = False

    @nn.compact
    def __call__(self, images, *, train=False):
        del train
        means = images.mean(axis=(1, 2))
        logits = nn.Dense(2)(means)
        brightest = means.max(axis=1, keepdims=True)
        if self.hidden:  # √|·| is 0 at 0, where its derivative times 0 is NaN
            slope = self.param("slope", nn.initializers.zeros, ())
            return logits + jnp.sqrt(jnp.abs(slope * brightest)) * jnp.where(brightest == 0, 1.0, 0.0)
        return logits + jnp.where(brightest == 0, jnp.nan, 0.0)


def batch(dark):
    images = np.random.default_rng(0).integers(1, 256, (4, 2, 2, 3), dtype=np.uint8)
    images[3] *= not dark  # on one of the devices alone
    return parallel.put_batch({"image": images, "label": np.array([0, 1, 0, 1], np.int32)})


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("ema_decay", [0.0, 0.5])
def test_a_step_that_is_not_finite_changes_only_the_number_of_steps(hidden, ema_decay):
    model, optimizer = Fragile(hidden), optax.sgd(0.1, momentum=0.9)
    settings = {"preprocessing": Preprocessing((0.0,) * 3, (255.0,) * 3), "learning_rate": optax.constant_schedule(0.1)}
    step = make_train_step(model, optimizer, Objective(), **settings, seed=0, ema_decay=ema_decay, skip_nonfinite=True)
    state = parallel.replicate(create_train_state(model, optimizer, image_size=2, seed=0, averaging=ema_decay > 0))
    states, metrics = [parallel.first(state)], []
    for dark in (True,) if hidden else (False, True, False):  # where only the gradient is, it always is
        state, found = step(state, batch(dark))
        states.append(parallel.first(state))
        metrics.append(parallel.first(found))
    assert [float(each["skipped_steps"]) for each in metrics] == ([1] if hidden else [0, 1, 0])
    assert np.isfinite(metrics[0]["loss"])
    before, after = states[:2] if hidden else states[1:3]
    jax.tree.map(np.testing.assert_array_equal, after.replace(step=before.step), before)
    assert int(after.step) == int(before.step) + 1
    if not hidden:
        assert np.isnan(metrics[1]["loss"])
        assert (states[3].params["Dense_0"]["kernel"] != after.params["Dense_0"]["kernel"]).any()


def row(loss, skipped):
    values = {"loss": loss, "accuracy": 0.5, "learning_rate": 0.1, "skipped_steps": skipped}
    return parallel.replicate({name: jnp.float32(value) for name, value in values.items()})


def test_a_line_has_the_means_of_the_other_steps_and_the_count(tmp_path):
    with MetricsWriter(tmp_path, from_step=0) as writer, StepLog(writer, 5, 0, batch_size=8) as log:
        for step, (loss, skipped) in enumerate([(1.0, 0), (float("nan"), 1), (3.0, 0)], start=1):
            log.add(step, row(loss, skipped))
        log.close_line({})
        log.add(4, row(float("inf"), 1))
        log.close_line({})
        log.add(5, row(1.0, 0))
    first, second = read_metrics(tmp_path / "metrics.jsonl")
    assert (first["loss"], first["skipped_steps"]) == (2.0, 1)
    assert (second["step"], second["skipped_steps"]) == (4, 1)
    assert "loss" not in second


@pytest.mark.parametrize("in_a_row", [MOST_SKIPPED - 1, MOST_SKIPPED])
def test_too_many_in_a_row_are_an_error(tmp_path, in_a_row):
    def run():
        with MetricsWriter(tmp_path, from_step=0) as writer, StepLog(writer, 50, 0, batch_size=8) as log:
            for step in range(1, in_a_row + 1):
                log.add(step, row(2.0, 1))  # a gradient alone may be what is not finite
                if step == 4:
                    log.close_line({})  # it is counted across lines
            log.add(in_a_row + 1, row(1.0, 0))
            log.close_line({})

    if in_a_row < MOST_SKIPPED:
        run()
    else:
        with pytest.raises(
            TrainingDivergedError, match=r"step 10: the loss or a gradient .* for the 10th step in a row"
        ):
            run()


def test_other_ways_to_go_on_are_refused():
    with pytest.raises(ValueError, match=r"config.training.on_nonfinite = 'ignore': choose one of error, rollback"):
        validate(tiny.tiny_config(training__on_nonfinite="ignore"))
    model = models.create_model("two_figures_cnn", num_classes=2)
    for choice in ("error", "rollback"):
        recipe = tiny.recipe(tiny.tiny_config(training__on_nonfinite=choice), model)
        assert recipe.skip_nonfinite == (choice == "rollback")


def test_steps_in_a_row_are_counted_up_to_the_latest(tmp_path):
    with MetricsWriter(tmp_path, from_step=0) as writer, StepLog(writer, 50, 0, batch_size=8) as log:
        for step, skipped in enumerate([1, 0, 1, 1], start=1):
            log.add(step, row(2.0, skipped))
            if step == 3:
                log.close_line({})
        assert log.skipped_in_a_row() == 2  # one before the line's end, one after it


@pytest.mark.parametrize(("before", "step"), [(MOST_SKIPPED - 3, 7), (MOST_SKIPPED + 20, 5)])
def test_the_count_goes_on_from_an_earlier_session(tmp_path, before, step):
    def go_on():
        with (
            MetricsWriter(tmp_path, from_step=4) as writer,
            StepLog(writer, 50, 4, batch_size=8, skipped=before) as log,
        ):
            for step in (5, 6, 7):
                log.add(step, row(2.0, 1))
            log.close_line({})

    with pytest.raises(TrainingDivergedError, match=rf"step {step}: .* for the 10th step in a row"):
        go_on()


def test_a_run_that_is_cut_off_keeps_the_count(tmp_path, monkeypatch):
    """Every gradient is infinite, so no step is taken; five are left out before the cut, and five after it."""
    config = tiny.tiny_config(
        training__on_nonfinite="rollback",
        training__num_steps=20,
        training__checkpoint_every_steps=5,
        training__log_every_steps=3,
        training__eval_every_steps=20,
        regularizer__block_norm__strength=1e38,
        data__directory=str(tmp_path / "data"),
    )
    made = tiny.recipe(config, models.create_model("two_figures_cnn", num_classes=2, width=config.model.width))
    assert made.skip_nonfinite
    save = Checkpoints.save

    def cut_off(checkpoints, state, position):
        save(checkpoints, state, position)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "save", cut_off)
    with pytest.raises(KeyboardInterrupt):
        tiny.train(config, tmp_path / "run")
    monkeypatch.undo()
    with Checkpoints(tmp_path / "run") as checkpoints:
        assert checkpoints.restore(tiny.initial_state(config))[1].skipped_steps == 5
    with pytest.raises(TrainingDivergedError, match=r"step 10: the loss or a gradient .* for the 10th step in a row"):
        tiny.train(config, tmp_path / "run")
