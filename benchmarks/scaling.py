"""How a training step scales over 1, 2, 4 and 8 CPU devices with the same batch, and the share of the collectives.

Each number of devices has a process of its own with the step of an AlexNet of half the width, compiled twice: as it is,
and without the mean over the devices, each of which then trains on its own part alone. In every round each of them
takes a step, one after the other, so that what else the machine does meets all alike. The share of collectives is that
of the medians; below 0 it says that it is less than the times vary. CPU devices are threads of one machine, which has
no more cores for more devices, so that the best that can be is a time that stays the same.

Run:   python benchmarks/scaling.py       (--image-size=63 --batch-size=8 --rounds=3 for a quick look)
Cost:  some minutes on 2 cores, 5 GB.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any
from unittest import mock

import jax
import numpy as np
import optax
import pandas as pd

import interpjax
from interpjax import config as config_lib
from interpjax import models, parallel
from interpjax.prepare import read_preprocessing
from interpjax.prepare.recipes import read_block_norm, read_grouping, read_recipe
from interpjax.training.state import create_train_state
from interpjax.training.step import make_train_step

DEVICES = (1, 2, 4, 8)
WAYS = ("together", "alone")
WIDTH = 0.5  # eight copies of the whole network and their momentum take 4 GB


class Steps:
    """A training step on all devices, with and without the mean over them, and the state that both take on."""

    def __init__(self, batch: dict[str, np.ndarray]):
        config = config_lib.override(
            interpjax.get_config("places365_gbn"), {"data.image_size": batch["image"].shape[1]}
        )
        grouping, rate = read_grouping(config), optax.constant_schedule(1e-3)
        model = models.create_model("alexnet", num_classes=365, width=WIDTH)
        recipe = read_recipe(config, model, read_block_norm(config, grouping), grouping)
        optimizer = recipe.optimizer.optimizer(rate, total=1)
        preprocessing = read_preprocessing(config)
        self._batch = parallel.put_batch(batch)
        state = create_train_state(model, optimizer, image_size=config.data.image_size, seed=0)
        self._state = parallel.replicate(state)
        self._ways: dict[str, Any] = {}
        for way, mean in (("together", parallel.mean), ("alone", lambda tree: tree)):
            self._ways[way] = make_train_step(
                model, optimizer, recipe.objective, preprocessing=preprocessing, learning_rate=rate, seed=0
            )
            with mock.patch.object(parallel, "mean", mean):  # it is asked for when the step is compiled
                self.seconds(way)

    def seconds(self, way: str) -> float:
        """Takes a step and waits for it."""
        start = time.perf_counter()
        self._state, metrics = self._ways[way](self._state, self._batch)
        jax.block_until_ready((self._state, metrics))
        return time.perf_counter() - start


def work(image_size: int, batch_size: int) -> None:
    """A process of one number of devices: takes the step that each line of its input names, and tells its seconds."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (batch_size, image_size, image_size, 3), np.uint8)
    batch = {"image": images, "label": rng.integers(0, 365, batch_size, np.int32)}
    steps = Steps(batch)
    print(json.dumps(jax.device_count()), flush=True)
    for line in sys.stdin:
        print(json.dumps(steps.seconds(line.strip())), flush=True)


def ask(worker: subprocess.Popen, way: str) -> float:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{way}\n")
    worker.stdin.flush()
    return json.loads(worker.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image-size", type=int, default=112)
    parser.add_argument("--batch-size", type=int, default=16, help="of all devices together, a multiple of 8")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.image_size, given.batch_size)
        return
    command = [sys.executable, *sys.argv, "--worker"]
    workers = {}
    for devices in DEVICES:
        environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu"}
        worker = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert worker.stdout is not None
        assert json.loads(worker.stdout.readline()) == devices  # it has compiled
        workers[devices] = worker
    seconds = [
        {(devices, way): ask(worker, way) for devices, worker in workers.items() for way in WAYS}
        for _ in range(given.rounds)
    ]
    for worker in workers.values():
        worker.communicate()
    median = pd.DataFrame(seconds).median()
    spread = pd.DataFrame(seconds).quantile(0.75) - pd.DataFrame(seconds).quantile(0.25)
    table = pd.DataFrame(
        {
            "step, ms": [1000 * median[devices, "together"] for devices in DEVICES],
            "quartiles apart, ms": [1000 * spread[devices, "together"] for devices in DEVICES],
            "without collectives, ms": [1000 * median[devices, "alone"] for devices in DEVICES],
            "share of collectives, %": [
                100 * (1 - median[devices, "alone"] / median[devices, "together"]) for devices in DEVICES
            ],
            "over one device": [median[devices, "together"] / median[1, "together"] for devices in DEVICES],
        },
        index=pd.Index(DEVICES, name="devices"),
    )
    images = f"{given.batch_size} images of {given.image_size}²"
    print(f"AlexNet of width {WIDTH} with block norm, {images}, {os.cpu_count()} cores")
    print(table.round(2).to_string())


if __name__ == "__main__":
    main()
