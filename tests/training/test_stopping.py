"""Signals: what is under way is saved, a line says where the same command goes on, and a second one leaves at once."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny

import interpjax
from interpjax import stopping
from interpjax.dissection import one_pass
from interpjax.training.checkpoint import Checkpoints
from interpjax.training.metrics import read_metrics

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def heard():
    """Signals that the tests' own process may have been told to ignore, as by nohup, are not ignored."""
    earlier = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    for number in stopping.SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in earlier.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_signal_is_noted_where_it_is_deferred_and_raised_elsewhere(number):
    handlers = [signal.getsignal(each) for each in stopping.SIGNALS]
    with stopping.on_signals(), pytest.raises(stopping.Stopped, match=f"{number.name}; .* from what is finished"):
        os.kill(os.getpid(), number)

    def work():
        with stopping.deferred(), stopping.deferred():
            os.kill(os.getpid(), number)
            noted.append(stopping.requested())

    noted = []
    with stopping.on_signals(), pytest.raises(stopping.Stopped) as told:
        work()
    assert (noted, told.value.exit_code) == ([number], 128 + number)
    assert handlers == [signal.getsignal(each) for each in stopping.SIGNALS]
    assert stopping.requested() == 0


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping.on_signals(), stopping.deferred():
            os.kill(os.getpid(), signal.SIGHUP)
            assert stopping.requested() == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_leaves_signals_alone():
    failed = []

    def watch():
        try:
            with stopping.on_signals():
                assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        except ValueError as error:  # what Python raises where another thread sets a handler
            failed.append(error)

    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()
    assert not failed


def test_a_second_signal_leaves_at_once():
    code = (
        "import os, signal\nfrom interpjax import stopping\nwith stopping.on_signals(), stopping.deferred():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n    os.kill(os.getpid(), signal.SIGINT)\n    print('still here')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")


def test_training_saves_the_step_under_way_and_ends_as_if_it_had_not_stopped(tmp_path, monkeypatch):
    config = tiny.tiny_config(
        training__checkpoint_every_steps=100, data__directory=str(tmp_path / "data"), training__log_every_steps=4
    )
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    tiny.train(config, tmp_path / "whole")
    with monkeypatch.context() as patched:
        calls = iter([0, 0, signal.SIGTERM])
        patched.setattr(stopping, "requested", lambda: next(calls))
        with pytest.raises(stopping.Stopped, match="stopped by SIGTERM; the same command goes on from step 3 of 6"):
            tiny.train(config, tmp_path / "stopped")
    with Checkpoints(tmp_path / "stopped") as checkpoints:
        assert checkpoints.latest == 3
    tiny.train(config, tmp_path / "stopped")
    states = []
    for name in ("whole", "stopped"):
        with Checkpoints(tmp_path / name) as checkpoints:
            states.append(checkpoints.restore(tiny.initial_state(config))[0])
    jax.tree.map(np.testing.assert_array_equal, *states)
    steps = [row["step"] for row in read_metrics(tmp_path / "stopped" / "metrics.jsonl") if "loss" in row]
    assert steps == [3, 4, 6]  # no step is in two lines or in none


@pytest.mark.long
@pytest.mark.parametrize("seconds", [0.5, 1.5])
def test_a_signal_while_the_first_step_is_compiled_has_its_exit_code(tmp_path, seconds):
    flags = [f"--config.{name}={value}" for name, value in tiny.FIELDS.items()]
    own = {"compilation_cache": tmp_path / "cache", "data.directory": tmp_path / "data"}  # where nothing is compiled
    flags += [f"--config.{name}={value}" for name, value in own.items()]
    command = [sys.executable, str(ROOT / "launch.py"), *flags, f"--workdir={tmp_path / 'run'}", "--stages=train"]
    process = tiny.start_command(command, ROOT)
    assert any("train …" in line for line in process.stderr)
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=300)[1]
    assert process.returncode == 143, told
    assert told.splitlines()[-1].startswith("stopped by SIGTERM; the same command goes on from")


@pytest.mark.long
@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_run_that_is_stopped_goes_on_and_ends_bit_identical(tmp_path, number):
    fields = tiny.FIELDS | {
        "training.num_steps": 400,
        "training.checkpoint_every_steps": 1000,
        "training.eval_every_steps": 1000,
        "data.directory": str(tmp_path / "data"),
    }
    flags = [f"--config.{name}={value}" for name, value in fields.items()]

    def launch(name):
        command = [sys.executable, str(ROOT / "launch.py"), *flags, f"--workdir={tmp_path / name}", "--stages=train"]
        return tiny.start_command(command, ROOT)

    tiny.finish(launch("whole"))
    process = launch("run")
    deadline = time.monotonic() + 240
    while len(read_metrics(tmp_path / "run" / "metrics.jsonl")) < 20:
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number, told[-3000:]
    step = read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["step"]
    assert told.splitlines()[-1] == f"stopped by {number.name}; the same command goes on from step {step} of 400"
    assert "Traceback" not in told
    tiny.finish(launch("run"))
    found = [interpjax.load(tmp_path / name)[2] for name in ("whole", "run")]
    jax.tree.map(np.testing.assert_array_equal, *found)


@pytest.mark.long
def test_a_dissection_that_is_stopped_keeps_what_it_has_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(one_pass, "OPENING", 4)  # images, before which nothing is kept
    config = tiny.tiny_config(data__directory=str(tmp_path / "data"), dissection__batch_size=1)
    whole = interpjax.run(config, tmp_path / "whole", ("train", "dissect"))
    interpjax.run(config, tmp_path / "run", ("train",))
    with monkeypatch.context() as patched:
        patched.setattr(stopping, "requested", lambda: signal.SIGHUP)
        with pytest.raises(stopping.Stopped, match="goes on from batch 8 of the dissection"):
            interpjax.run(config, tmp_path / "run", ("train", "dissect"))
    summary = interpjax.run(config, tmp_path / "run", ("train", "dissect"))
    assert json.dumps(summary["layers"]) == json.dumps(whole["layers"])
