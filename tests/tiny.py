"""Small experiments on the embedded data, and running them in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import interpjax
from interpjax import config as config_lib

FIELDS = {
    "data.two_figures.train_images": 40,
    "data.two_figures.test_images": 12,
    "model.width": 0.0625,
    "training.batch_size": 8,
    "training.num_steps": 6,
    "training.log_every_steps": 1,
    "training.eval_every_steps": 4,
    "training.checkpoint_every_steps": 2,
    "dissection.batch_size": 8,
    "dissection.top_images": 2,
    "data.num_threads": 2,
}


def tiny_config(name: str = "two_figures_gbn", **fields):
    """Two networks' worth of seconds; ``__`` stands for the dots of a field."""
    given = {key.replace("__", "."): value for key, value in fields.items()}
    return config_lib.override(interpjax.get_config(name), FIELDS | given)


def start(code: str, *arguments: str, devices: int = 1) -> subprocess.Popen:
    """Runs Python code in a process with so many CPU devices."""
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen, seconds: float = 300) -> str:
    """Waits for a process that must end well; returns what it printed."""
    out, err = process.communicate(timeout=seconds)
    assert process.returncode == 0, err[-3000:]
    return out


RUN = """
import pathlib, sys
import interpjax
from interpjax.config import from_json
interpjax.run(from_json(pathlib.Path(sys.argv[1]).read_text()), sys.argv[2])
"""
TRAIN = """
import json, pathlib, sys
import jax
from interpjax import config as config_lib, experiment, training
config = config_lib.from_json(pathlib.Path(sys.argv[1]).read_text())
workdir = pathlib.Path(sys.argv[2])
prepared = experiment.prepare(config, workdir)
training.train(config, prepared.model, prepared.source, workdir)
print(jax.device_count())
"""
