"""A small dissection in a process of its own: on several devices, as one of several processes, or one that is killed.

Run by test_streaming.py:  python streaming_job.py SETTINGS.json
"""

import json
import os
import signal
import sys
from pathlib import Path

import jax
import numpy as np

settings = json.loads(Path(sys.argv[1]).read_text())
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", settings["devices"])
if "process" in settings:
    jax.distributed.initialize(settings["address"], settings["processes"], settings["process"])

from interpjax import dissection  # noqa: E402 (devices and processes are set up first)
from interpjax.data import load_broden  # noqa: E402
from interpjax.dissection import one_pass  # noqa: E402

one_pass.OPENING = 4  # else all images would be among the first ones


def apply(variables, images):
    maps = jax.lax.conv_general_dilated(images, variables, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return {"wide": jax.nn.relu(maps), "deep": maps[:, ::2, ::2]}


kernel = np.random.default_rng(0).normal(size=(5, 5, 3, 6)).astype(np.float32)
network = dissection.from_jax(
    apply, kernel, layers=("wide", "deep"), preprocessing=dissection.Preprocessing(128, 64), name="test"
)
calls = 0


def counted(images):
    global calls
    calls += 1
    if calls == settings.get("kill_at"):
        os.kill(os.getpid(), signal.SIGKILL)
    return network.activations(images)


import dataclasses  # noqa: E402

results = dissection.dissect_all(
    dataclasses.replace(network, activations=counted),
    load_broden(settings["broden"]),
    layers=("wide", "deep"),
    protocols=[dissection.get_protocol(name) for name in ("paper", "lite")],
    batch_size=2,
    cache=settings.get("cache"),
    shard_images=4,
)
out = Path(settings["out"])
for number, layers in enumerate(results):
    for layer, result in layers.items():
        result.save(out / f"{number}-{layer}.npz")
(out / "calls").write_text(str(calls))
