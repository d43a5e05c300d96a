"""A run that is killed and run again ends as if nothing had happened."""

import random
import signal
import time

import jax
import numpy as np
import pytest
import tiny

import interpjax
from interpjax import config as config_lib
from interpjax.training.checkpoint import Checkpoints
from interpjax.training.metrics import TIMINGS, MetricsWriter, read_metrics


class CutOffError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize(
    "fields",
    [
        {},
        pytest.param({"training__ema_decay": 0.9, "data__validation": 0.2}, marks=pytest.mark.long),
        pytest.param({"optimizer__pruning__sparsity": 0.5}, marks=pytest.mark.long),
    ],
)
def test_cut_off_in_the_middle_and_run_again_ends_bit_identical(tmp_path, monkeypatch, fields):
    config = tiny.tiny_config(
        training__num_steps=8, training__checkpoint_every_steps=3, data__directory=str(tmp_path / "data"), **fields
    )
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    tiny.train(config, tmp_path / "whole")
    real = MetricsWriter.write

    def cut_off(writer, step, metrics):
        if step == 5:
            raise CutOffError
        real(writer, step, metrics)

    monkeypatch.setattr(MetricsWriter, "write", cut_off)
    with pytest.raises(CutOffError):
        tiny.train(config, tmp_path / "cut")
    monkeypatch.undo()
    tiny.train(config, tmp_path / "cut")
    states = []
    for name in ("whole", "cut"):
        with Checkpoints(tmp_path / name) as checkpoints:
            states.append(checkpoints.restore(tiny.initial_state(config)))
    (whole, position), (cut, resumed) = states
    jax.tree.map(np.testing.assert_array_equal, whole, cut)
    assert position.data == resumed.data
    curves = [
        [
            {name: value for name, value in row.items() if name not in TIMINGS}
            for row in read_metrics(tmp_path / name / "metrics.jsonl")
        ]
        for name in ("whole", "cut")
    ]
    assert curves[0] == curves[1]
    assert any("validation/accuracy" in row for row in curves[1]) == ("data__validation" in fields)


STEPS = 240
KILLS = 2


def wait_for_steps(path, steps, process):
    deadline = time.monotonic() + 240
    while len(read_metrics(path)) < steps:
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.long
def test_killed_at_random_moments_and_rerun_ends_bit_identical(tmp_path):
    config = tiny.tiny_config(
        training__num_steps=STEPS,
        training__checkpoint_every_steps=7,
        training__eval_every_steps=100,
        data__directory=str(tmp_path / "data"),
    )
    (tmp_path / "config.json").write_text(config_lib.to_json(config))
    arguments = (tiny.RUN, str(tmp_path / "config.json"))
    tiny.finish(tiny.start(*arguments, str(tmp_path / "whole")))
    seed = time.time_ns()
    moments = sorted(random.Random(seed).randrange(5, STEPS - 10) for _ in range(KILLS))
    for moment in moments:
        process = tiny.start(*arguments, str(tmp_path / "killed"))
        wait_for_steps(tmp_path / "killed" / "metrics.jsonl", moment, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    tiny.finish(tiny.start(*arguments, str(tmp_path / "killed")))
    (_, _, whole), (_, _, killed) = (interpjax.load(tmp_path / name) for name in ("whole", "killed"))
    message = f"killed at steps {moments} (seed {seed})"
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b, err_msg=message), whole, killed)
    curves = [
        [{k: v for k, v in row.items() if k not in TIMINGS} for row in read_metrics(tmp_path / name / "metrics.jsonl")]
        for name in ("whole", "killed")
    ]
    assert curves[0] == curves[1], message
    summaries = [interpjax.run(config, tmp_path / name) for name in ("whole", "killed")]
    assert summaries[0]["layers"] == summaries[1]["layers"]
