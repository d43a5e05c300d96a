"""Devices: the one room that knows of them. What processes do for each other is in :mod:`interpjax.processes`.

A step is written for one device's part of the batch, with :func:`mean` and :func:`total` where devices must agree;
:func:`parallelize` makes it a function over all of them. The state is replicated; batches are split.
"""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from interpjax.errors import UserError

AXIS = "devices"
PyTree = Any


def shard() -> tuple[int, int]:
    """(this process, number of processes): which part of the data to read."""
    return jax.process_index(), jax.process_count()


def check_batch_size(field: str, batch_size: int, micro_batches: int = 1) -> None:
    """Raises UserError unless a global batch can be split evenly over the devices, and each share in micro-batches."""
    devices = jax.device_count()
    if batch_size % devices:
        raise UserError(f"{field} = {batch_size}: expected a multiple of the {devices} devices, which share each batch")
    if batch_size % (devices * micro_batches):
        raise UserError(
            f"{field} = {batch_size}: expected a multiple of {devices * micro_batches}, for each of {devices} devices "
            f"takes its share in config.training.accumulate_steps = {micro_batches} micro-batches"
        )


def parallelize(step: Callable, *, donate: tuple[int, ...] = ()) -> Callable:
    """Runs ``step`` on every local device at once; every argument and result has a leading axis of devices.

    Args:
      step: a function of what one device holds.
      donate: positions of arguments whose memory may be reused.
    """
    return jax.pmap(step, axis_name=AXIS, donate_argnums=donate)


def mean(tree: PyTree) -> PyTree:
    """Mean over all devices; inside a parallelized step."""
    return jax.lax.pmean(tree, AXIS)


def total(tree: PyTree) -> PyTree:
    """Sum over all devices; inside a parallelized step."""
    return jax.lax.psum(tree, AXIS)


def fold_in_device(key: jax.Array) -> jax.Array:
    """A random key of this device's own; inside a parallelized step."""
    return jax.random.fold_in(key, jax.lax.axis_index(AXIS))


def replicate(tree: PyTree) -> PyTree:
    """The same arrays on every local device, under a leading axis of devices."""
    count = jax.local_device_count()
    copies = jax.tree.map(lambda x: np.broadcast_to(np.asarray(x), (count, *np.shape(x))), tree)
    return jax.pmap(lambda x: x, axis_name=AXIS)(copies)


def first(tree: PyTree) -> PyTree:
    """What the first local device holds of a replicated tree, as numpy arrays; copied to the host all at once."""
    shards = jax.device_get(jax.tree.map(lambda x: x.addressable_shards[0].data, tree))
    return jax.tree.map(lambda x: x.squeeze(0), shards)


def on_first_device(function: Callable) -> Callable:
    """Runs ``function`` on what the first local device holds of a replicated tree, its first argument.

    Nothing is copied to the host but the result.
    """
    compiled = jax.jit(lambda shards, *more: function(jax.tree.map(lambda x: x[0], shards), *more))

    def run(tree: PyTree, *more: Any) -> PyTree:
        return compiled(jax.tree.map(lambda x: x.addressable_shards[0].data, tree), *more)

    return run


def put_batch(batch: PyTree) -> PyTree:
    """This process's part of a batch, on its devices: each has its share, under a leading axis of local devices."""
    devices = jax.local_devices()
    sharding = NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec(AXIS))
    parts = jax.tree.map(lambda x: x.reshape(len(devices), len(x) // len(devices), *x.shape[1:]), batch)
    return jax.device_put(parts, sharding)


class Largest:
    """The largest of the processes' numbers, the same for all of them, told at the next call without waiting for it.

    Every process calls it as often as the others, between the same steps.
    """

    def __init__(self) -> None:
        self._step = parallelize(lambda numbers: jax.lax.pmax(jnp.max(numbers), AXIS))
        self._earlier: jax.Array | None = None

    def __call__(self, number: int) -> int:
        """The largest number of the call before; 0 at the first. Of a single process its own, at once."""
        if jax.process_count() == 1:
            return number
        earlier = self._earlier
        self._earlier = self._step(put_batch(np.full(jax.local_device_count(), number, np.int32)))
        return 0 if earlier is None else int(first(earlier))


def machine() -> dict[str, Any]:
    """What a run's last bits depend on: the kind and number of devices and processes, and the kind of CPU."""
    device = jax.devices()[0]
    return {
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "platform": device.platform,
        "device": device.device_kind,
        "cpu": _cpu(),
    }


def _cpu() -> str:
    """The CPU's model name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def local_devices() -> list[jax.Device]:
    """This process's devices."""
    return jax.local_devices()
