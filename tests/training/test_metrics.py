"""The log of steps: means over a line, the speed of training alone, and one copy to the host a line."""

import event_files
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interpjax import parallel
from interpjax.training import metrics
from interpjax.training.metrics import MetricsWriter, StepLog, TrainingDivergedError, read_metrics


class Clock:
    """Stands for the module ``time``; it goes on when it is told to."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    own = Clock()
    monkeypatch.setattr(metrics, "time", own)
    return own


def step_of(loss):
    return parallel.replicate(
        {"loss": jnp.float32(loss), "accuracy": jnp.float32(0.5), "learning_rate": jnp.float32(loss)}
    )


def test_speed_is_that_of_the_steps_and_not_of_what_is_between(clock, tmp_path):
    with MetricsWriter(tmp_path, from_step=0) as writer, StepLog(writer, 4, 0, batch_size=8) as log:
        log.add(1, step_of(1.0), lambda: 0.75)
        clock.now += 2.0
        with log.paused():
            clock.now += 1000.0  # an evaluation
        log.add(2, step_of(3.0), lambda: 0.25)
        clock.now += 2.0
        log.close_line({"conv1": {"hoyer": jnp.float32(0.25)}})
        log.add(3, step_of(7.0))
    (row,) = read_metrics(tmp_path / "metrics.jsonl")
    assert row == {
        "step": 2,
        "loss": 2.0,
        "accuracy": 0.5,
        "learning_rate": 3.0,
        "images_per_second": 2 * 8 / 4.0,
        "data_wait": 1.0 / 4.0,
        "groups/hoyer/conv1": 0.25,
    }


def test_the_metrics_of_all_steps_of_a_line_come_to_the_host_at_once(tmp_path, monkeypatch):
    calls, real = [], jax.device_get

    def counted(tree):
        calls.append(len(jax.tree.leaves(tree)))
        return real(tree)

    with MetricsWriter(tmp_path, from_step=0) as writer, StepLog(writer, 50, 0, batch_size=8) as log:
        for step in range(1, 51):
            log.add(step, step_of(float(step)))
        log.close_line({})
        monkeypatch.setattr(jax, "device_get", counted)
    assert calls[0] == 150
    assert len(calls) <= 2  # the steps, and the diagnostics of the weights
    np.testing.assert_allclose(read_metrics(tmp_path / "metrics.jsonl")[0]["loss"], 25.5)


def test_a_line_that_is_due_is_written_where_the_data_end_the_training(tmp_path):
    def run():
        with MetricsWriter(tmp_path, from_step=0) as writer, StepLog(writer, 4, 0, batch_size=8) as log:
            log.add(1, step_of(1.0))
            log.close_line({})
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        run()
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1]


def test_a_loss_that_is_not_finite_is_told_by_its_step_and_terms(tmp_path):
    def run():
        with MetricsWriter(tmp_path, from_step=0) as writer, StepLog(writer, 4, 0, batch_size=8) as log:
            log.add(1, step_of(1.0))
            log.add(2, step_of(float("nan")))
            log.close_line({})
            log.add(3, step_of(1.0))

    with pytest.raises(TrainingDivergedError, match=r"step 2: the loss is not finite \(.*loss = nan"):
        run()


def test_the_group_norms_of_a_layer_are_a_histogram_without_those_that_are_not_finite(tmp_path):
    of_conv1 = {"group_norm/conv1/1": 1.0, "group_norm/conv1/2": 3.0, "group_norm/conv1/3": float("nan")}
    others = {"group_norm/a/b/1": 0.0, "group_norm/gone/1": float("inf"), "group_norm/gone/2": float("nan")}
    with MetricsWriter(tmp_path, from_step=0) as writer:
        writer.write(5, {"loss": 2.0} | of_conv1 | others)
    held = {
        value.tag: value.histo for step, value in event_files.read(tmp_path) if value.HasField("histo") and step == 5
    }
    assert set(held) == {"group_norms/conv1", "group_norms/a/b"}
    conv1 = held["group_norms/conv1"]
    assert (conv1.num, conv1.min, conv1.max, conv1.sum) == (2, 1.0, 3.0, 4.0)
    edges = np.array(conv1.bucket_limit)
    for norm in (1.0, 3.0):  # each in a bin of its own, which ends a tenth above where it begins
        assert conv1.bucket[np.searchsorted(edges, norm, side="right")] == 1
