"""Small experiments on the embedded data, and running them in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import interpjax
from interpjax import config as config_lib
from interpjax import models, training
from interpjax.data.sources import Source
from interpjax.prepare import prepare, read_preprocessing, sources
from interpjax.prepare.recipes import read_block_norm, read_grouping, read_recipe
from interpjax.training.diagnostics import GroupDiagnostics

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
    "visualization.pictures": (),
}


def tiny_config(name: str = "two_figures_gbn", **fields):
    """Two networks' worth of seconds; ``__`` stands for the dots of a field."""
    given = {key.replace("__", "."): value for key, value in fields.items()}
    return config_lib.override(interpjax.get_config(name), FIELDS | given)


def open_source(config, workdir, stages=("train",)) -> Source:
    """The data of a configuration, to train and test on."""
    found = sources.open_source(config, workdir, stages)
    assert found is not None
    return found


def train(config, workdir) -> training.Training:
    """The training alone, without the lock and the records of a run."""
    made = prepare(config, workdir, ("train",))
    return training.train(
        made.model,
        made.recipe,
        (made.source.train, made.source.test),
        validation=made.source.validation,
        start=made.start,
        pipeline=made.pipeline,
        preprocessing=made.preprocessing,
        groups=made.groups,
        workdir=workdir,
    )


def recipe(config, model) -> training.Recipe:
    """How a network is trained by a configuration."""
    grouping = read_grouping(config)
    return read_recipe(config, model, read_block_norm(config, grouping), grouping)


def optimizer(config, model, examples: int = 40):
    """The configured optimizer, over a training on so many examples."""
    made = recipe(config, model)
    schedule = made.optimizer.learning_rate.over(made.duration, examples)
    return made.optimizer.optimizer(schedule, made.duration.steps(examples))


def initial_state(config) -> training.TrainState:
    """The two-figures network of a configuration with its optimizer, at their start."""
    model = models.create_model(config.model.name, num_classes=2, width=config.model.width)
    made = optimizer(config, model)
    averaging = config.training.ema_decay > 0
    return training.create_train_state(
        model, made, image_size=config.data.image_size, seed=config.seed, averaging=averaging
    )


def diagnostics(config, model, image_size: int) -> GroupDiagnostics:
    """What is measured of the groups of a network."""
    grouping = read_grouping(config)
    block = read_block_norm(config, grouping)
    return GroupDiagnostics(model, image_size, read_preprocessing(config), block, grouping)


def start(code: str, *arguments: str, devices: int = 1) -> subprocess.Popen:
    """Runs Python code in a process with so many CPU devices."""
    return start_command([sys.executable, "-c", code, *arguments], Path(__file__).parents[1], devices)


def start_command(
    command: list[str], folder: Path, devices: int = 1, environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen:
    """Runs a command in a folder, with so many CPU devices and these further variables."""
    given = {"JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        command,
        env=os.environ | given | environment,
        cwd=folder,
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
import pathlib, sys
sys.path.insert(0, "tests")
import jax, tiny
from interpjax import config as config_lib
tiny.train(config_lib.from_json(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2]))
print(jax.device_count())
"""
