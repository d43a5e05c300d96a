"""What processes that run together do for each other. One that is alone does all of it at once, without JAX.

Data are split between them (:func:`interpjax.parallel.shard`); the first one writes files and tells the user.
"""

import contextlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from interpjax import stopping
from interpjax.errors import UserError
from interpjax.stopping import Stopped

T = TypeVar("T")
SHARED = (
    "one workdir, on a file system that all hosts share; if it is, wait a minute until all see what was written, and "
    "give the command again"
)


def gather(arrays: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Every process's arrays, in the order of the processes; names, shapes and types may differ between them.

    Raises:
      UserError: if another process failed in :func:`together` before it came here.
      Stopped: if another process was stopped there.
    """
    if not several():
        return [arrays]
    packed, named = io.BytesIO(), dict[str, Any](arrays)
    np.savez(packed, **named)
    states = []
    for own in _exchange(packed.getvalue()):
        with np.load(io.BytesIO(own), allow_pickle=False) as stored:
            states.append(dict(stored))
    return states


def gather_json(value: Any) -> list[Any]:
    """Every process's value, as JSON has it, in the order of the processes; of a single one as it is.

    Raises:
      UserError: as :func:`gather`.
      Stopped: as :func:`gather`.
    """
    if not several():
        return [value]
    return [json.loads(own) for own in _exchange(json.dumps(value).encode())]


def union(names: Iterable[str]) -> set[str]:
    """The names that any process has."""
    return {name for own in gather_json(sorted(names)) for name in own}


def several() -> bool:
    """Whether others run together with this process."""
    return jax.process_count() > 1


def leads() -> bool:
    """Whether this is the process that writes files and tells the user: the first."""
    return jax.process_index() == 0


def together(work: Callable[[], T]) -> T:
    """Does what each process has to do for itself, and waits until all have done it.

    What it does may wait for the others by this function or by :func:`gather`, but not by a parallelized step: a
    process that fails would answer such a step with what it has to tell of its failure.

    Raises:
      UserError: if it fails here, or in another process by a user's error, whose words then follow its number.
      Stopped: if a signal has stopped it, here or in another process.
    """
    return _all(work, lambda result: b"")[0]


@contextlib.contextmanager
def stopping_together() -> Iterator[None]:
    """Lets a signal that comes to one of several processes in the block stop all of them, at its end at the latest.

    For work by parallelized steps, which would wait for a process that has left.
    """
    if not several():
        yield
        return
    with stopping.noted():
        yield
    together(stopping.check)


def lead(work: Callable[[], T]) -> T:
    """What the first process alone does; its result, as JSON has it, is that of all, and so is its failure.

    Raises:
      UserError: as :func:`together`.
      Stopped: as :func:`together`.
    """
    if not several():
        return work()
    _, told = _all(lambda: work() if leads() else None, lambda result: json.dumps(result).encode())
    return json.loads(told[0])


def agreed(name: str, value: T, expected: str = SHARED) -> T:
    """What a process has, if it is the same in all of them.

    Args:
      name: of what it is.
      value: of JSON.
      expected: what to tell the user to see to if it is not.

    Raises:
      UserError: naming it, if it is not.
    """
    first, *others = gather_json(value)
    for number, other in enumerate(others, start=1):
        if other != first:
            error = UserError(f"process {number} has another {name} than process 0; expected {expected}")
            error.known_to_all = True
            raise error
    return value


def _all(work: Callable[[], T], pack: Callable[[T], bytes]) -> tuple[T, list[bytes]]:
    """What some work gives here, and every process's, packed."""
    try:
        stopping.check()  # of a signal that came while this process last waited for the others
        result = work()
    except (UserError, Stopped) as error:
        if several() and not error.known_to_all:
            told = {"stopped": [error.number, error.where]} if isinstance(error, Stopped) else {"error": str(error)}
            _exchange(json.dumps(told).encode(), failed=True)
            error.known_to_all = True
        raise
    return result, _exchange(pack(result)) if several() else [b""]


def _exchange(own: bytes, *, failed: bool = False) -> list[bytes]:
    """Every process's bytes; or an error, if what one of the others brings is that it has failed.

    A signal that came to any process before stops all of them here. One that comes while they wait is only noted: who
    left between the two messages would let the others wait for the second one.
    """
    with jax.transfer_guard("allow"), stopping.noted():
        header = np.array([failed, *divmod(len(own), 2**30), stopping.pending()], np.int32)
        headers = multihost_utils.process_allgather(header).reshape(-1, 4)
        sizes = [int(high) * 2**30 + int(low) for _, high, low, _ in headers]
        everyone = [b""] * len(sizes)
        if max(sizes):
            padded = np.pad(np.frombuffer(own, np.uint8), (0, max(sizes) - len(own)))
            rows = np.asarray(multihost_utils.process_allgather(padded)).reshape(len(sizes), -1)
            everyone = [row[:size].tobytes() for row, size in zip(rows, sizes, strict=True)]
    if failed:
        return everyone
    for number, each in enumerate(everyone):
        if headers[number, 0]:
            raise _failure(number, json.loads(each))
    if headers[:, 3].any():
        stopped = Stopped(int(headers[:, 3].max()))
        stopped.known_to_all = True
        raise stopped
    return everyone


def _failure(process: int, told: dict[str, Any]) -> UserError | Stopped:
    error = Stopped(*told["stopped"]) if "stopped" in told else UserError(f"process {process}: {told['error']}")
    error.known_to_all = True
    return error
