"""Two processes on loopback do what one does with as many devices: the same parameters, scores and files."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import fake_slurm
import jax
import numpy as np
import pytest
import tiny

import interpjax
from interpjax.training.metrics import TIMINGS, read_metrics

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long
STEPS = 40
SECONDS = 900  # on a machine that does other things; alone, no test takes two minutes
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
FIELDS = tiny.FIELDS | {
    "data.two_figures.test_images": 13,  # which neither the batches nor the processes divide
    "training.num_steps": STEPS,
    "training.eval_every_steps": 15,
    "training.checkpoint_every_steps": 4,
    "dissection.batch_size": 4,
}


def command(workdir, *flags, **fields):
    given = FIELDS | {"data.directory": str(workdir.parent / "data")} | fields
    told = [f"--config.{name}={value}" for name, value in given.items()]
    return [sys.executable, str(ROOT / "launch.py"), f"--workdir={workdir}", *told, *flags]


def start_two(workdir, *flags, **fields):
    """One device each."""
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
    shared = (f"--coordinator_address=127.0.0.1:{port}", "--num_processes=2")
    return [
        tiny.start_command(command(workdir, *shared, f"--process_id={number}", *flags, **fields), ROOT)
        for number in (0, 1)
    ]


def run_one(workdir, *flags, **fields):
    """On two devices."""
    tiny.finish(tiny.start_command(command(workdir, *flags, **fields), ROOT, devices=2), SECONDS)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The workdir of a whole run in one process."""
    workdir = tmp_path_factory.mktemp("hosts") / "one"
    run_one(workdir)
    return workdir


def finish_two(started):
    return [tiny.finish(process, SECONDS) for process in started]


def wait_for_steps(workdir, steps, started):
    deadline = time.monotonic() + SECONDS
    while len(read_metrics(workdir / "metrics.jsonl")) < steps:
        assert all(process.poll() is None for process in started), [each.communicate() for each in started]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_same(one, two):
    """To the last bit: a sum of two numbers has no order, and each device has the same images."""
    variables = [interpjax.load(workdir)[2] for workdir in (one, two)]
    jax.tree.map(np.testing.assert_array_equal, *variables)
    curves = [
        [
            {name: value for name, value in row.items() if name not in TIMINGS}
            for row in read_metrics(workdir / "metrics.jsonl")
        ]
        for workdir in (one, two)
    ]
    assert curves[0] == curves[1]
    assert [row["step"] for row in curves[0] if "loss" in row] == list(range(1, STEPS + 1))


def test_two_processes_that_are_killed_and_go_on_give_what_one_gives(one, tmp_path):
    two = tmp_path / "two"
    started = start_two(two)
    wait_for_steps(two, 10, started)
    for process in started:
        process.kill()
    for process in started:
        process.communicate()
    out = finish_two(start_two(two))
    assert_same(one, two)
    summaries = [json.loads((workdir / "summary.json").read_text()) for workdir in (one, two)]
    assert {**summaries[0], "seconds": 0} == {**summaries[1], "seconds": 0}
    assert "interpretability score" in out[0]
    assert "interpretability score" not in out[1]  # the first alone tells
    files = [sorted(path.name for path in workdir.iterdir() if "tfevents" not in path.name) for workdir in (one, two)]
    assert files[0] == files[1]
    for name in ("conv1", "conv2"):
        tallies = [(workdir / "dissection" / name / "tally.csv").read_bytes() for workdir in (one, two)]
        assert tallies[0] == tallies[1]


def test_a_signal_to_one_of_two_stops_both_at_the_same_step(one, tmp_path):
    two, fields = tmp_path / "two", {"training.checkpoint_every_steps": 1000}
    started = start_two(two, "--stages=train", **fields)
    wait_for_steps(two, 5, started)
    started[1].send_signal(signal.SIGTERM)
    told = [process.communicate(timeout=SECONDS)[1] for process in started]
    assert [process.returncode for process in started] == [143, 143], told
    step = read_metrics(two / "metrics.jsonl")[-1]["step"]
    assert step < STEPS
    line = f"stopped by SIGTERM; the same command goes on from step {step} of {STEPS}"
    assert [each.splitlines()[-1] for each in told] == [line, line]
    assert sorted(path.name for path in (two / "checkpoints").iterdir() if path.name.isdigit()) == [str(step)]
    other = tiny.start_command(command(two, "--stages=train", **fields), ROOT, devices=2)
    assert "was written by a run of 2 processes" in other.communicate(timeout=SECONDS)[1]
    finish_two(start_two(two, "--stages=train", **fields))
    assert_same(one, two)


def folders_with_bad_images(folder, splits=("train", "test")):
    """Images to train and test on, one of them cut short in each of some splits."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 5)):
        for name in ("left", "right"):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                image = rng.integers(0, 255, (32, 32, 3), np.uint8)
                assert cv2.imwrite(str(folder / split / name / f"{number}.png"), image)
        if split in splits:
            bad = folder / split / "left" / "1.png"
            bad.write_bytes(bad.read_bytes()[:200])
    return {
        "data.source": "image_folder",
        "data.train": str(folder / "train"),
        "data.test": str(folder / "test"),
        "training.num_steps": 6,
    }


def test_two_commands_that_differ_are_refused_in_one_line(tmp_path):
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
    shared = (f"--coordinator_address=127.0.0.1:{port}", "--num_processes=2")
    started = [
        tiny.start_command(command(tmp_path / "run", *shared, f"--process_id={number}", **{"seed": number}), ROOT)
        for number in (0, 1)
    ]
    told = [process.communicate(timeout=SECONDS)[1] for process in started]
    assert [process.returncode for process in started] == [1, 1]
    line = "UserError: process 1 has another configuration, workdir or list of stages than process 0; expected the same"
    assert all(each.splitlines()[-1].startswith(line) for each in told)
    assert not (tmp_path / "run").exists()


def test_an_image_that_one_process_cannot_read_ends_both(tmp_path):
    fields = folders_with_bad_images(tmp_path, ("train",))  # test images are met by both
    started = start_two(tmp_path / "run", "--stages=train", **fields)
    told = [process.communicate(timeout=SECONDS)[1] for process in started]
    assert all(process.returncode not in (0, 143) for process in started)
    assert sum("BadImageError: image" in each and "left/1.png" in each for each in told) == 1
    assert sum("if another process has ended, it tells why" in each for each in told) <= 1


def test_images_that_any_process_skipped_are_told_once(tmp_path):
    fields = folders_with_bad_images(tmp_path) | {"data.on_bad_image": "skip"}
    workdir = tmp_path / "run"
    finish_two(start_two(workdir, "--stages=train,evaluate", **fields))
    skipped = json.loads((workdir / "summary.json").read_text())["skipped_images"]
    bad = {split: [str(tmp_path / split / "left" / "1.png")] for split in ("train", "test")}
    assert {split: skipped[split] for split in bad} == bad
    counted = json.loads((workdir / "stages" / "train.json").read_text())["result"]["evaluated"]["test"]["scores"]
    assert abs(counted["accuracy"] * 9 - round(counted["accuracy"] * 9)) < 1e-6  # of the nine that can be read


def fake_commands(folder):
    folder.mkdir()
    for name in ("srun", "scancel", "scontrol"):
        (folder / name).symlink_to(Path(fake_slurm.__file__))
    return f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"


def test_the_script_of_slurm_is_stopped_queued_again_and_goes_on(tmp_path):
    workdir = tmp_path / "run"
    told = command(workdir, "--stages=train", **{"training.checkpoint_every_steps": 1000})[2:]
    told += [f"--config.data.directory={tmp_path / 'data'}"]
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_NTASKS": "2", "FAKE_QUEUE": str(tmp_path / "queue")}
    environment = (
        os.environ
        | job
        | {
            "PATH": fake_commands(tmp_path / "bin"),
            "JAX_NUM_CPU_DEVICES": "1",
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": str(ROOT),
        }
    )

    def submit():
        script = [str(ROOT / "scripts" / "slurm_train.sh"), *told]
        return subprocess.Popen(script, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)

    process = submit()
    wait_for_steps(workdir, 5, [process])
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 143, err[-3000:]
    assert (tmp_path / "queue").read_text() == f"requeue {job['SLURM_JOB_ID']}"
    process = submit()
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err[-3000:]
    assert "going on from step" in err
    assert [row["step"] for row in read_metrics(workdir / "metrics.jsonl") if "loss" in row][-1] == STEPS


TABLE = """
import pathlib
from interpjax.config import from_json
from interpjax.tables import Row, Table

def get_table():
    row = Row("s", "r", from_json(pathlib.Path("given.json").read_text()))
    return Table("two", (row,), (5, 6), ("accuracy",), ("train", "evaluate"))
"""


def test_the_script_of_a_sweep_runs_the_line_of_its_task(tmp_path):
    (tmp_path / "runs.txt").write_text("--config.seed=1\n--config.seed=2 --config.regularizer.block_norm.q=2\n")
    told = command(tmp_path / "none", "--stages=train", **{"training.num_steps": 2})[3:]
    environment = os.environ | {
        "PATH": fake_commands(tmp_path / "bin"),
        "SLURM_NTASKS": "1",
        "SLURM_ARRAY_TASK_ID": "2",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_JOB_ID": "8",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
    }
    script = [str(ROOT / "scripts" / "slurm_sweep.sh"), "runs.txt", str(tmp_path / "runs"), *told]
    tiny.finish(subprocess.Popen(script, cwd=tmp_path, env=environment, text=True, **PIPES), SECONDS)
    config = interpjax.config.from_json((tmp_path / "runs" / "2" / "config.json").read_text())
    assert (config.seed, config.regularizer.block_norm.q) == (2, 2)
    (tmp_path / "two.py").write_text(TABLE)
    (tmp_path / "given.json").write_text(interpjax.config.to_json(config))
    script_of_table = [script[0], "table", "two.py", "--workdir=table", "--config.training.num_steps=1"]
    tiny.finish(subprocess.Popen(script_of_table, cwd=tmp_path, env=environment, text=True, **PIPES), SECONDS)
    made = sorted(path.relative_to(tmp_path / "table") for path in (tmp_path / "table").rglob("summary.json"))
    assert [str(path) for path in made] == ["s/r/seed=6/summary.json"]
    assert not (tmp_path / "table" / "table.md").exists()
    environment["SLURM_ARRAY_TASK_ID"] = "3"
    ended = subprocess.run(
        [script[0], "runs.txt", "runs"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, "no line 3" in ended.stderr) == (1, True)
