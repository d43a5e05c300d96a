"""A pass over the images in batches: what computes them, what adds them up, and what keeps the sums."""

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from interpjax import stopping
from interpjax.dissection.labels import ImageLabels

BATCHES_AT_A_TIME = 2  # on each device: one is computed while the host prepares the other
T = TypeVar("T")
State = dict[str, np.ndarray]


class Work(NamedTuple):
    """A batch of images whose activations are still to be computed.

    Attributes:
      batch: its number, among those of this process.
      numbers: of the images' records; fewer than the rows of the maps where the batch is filled up.
      names: of the images.
      maps: computes the activations by layer, NHWC, on a device.
      labels: of each image, in each way of labelling.
      image_shape: (height, width) of the network's input.
    """

    batch: int
    numbers: Int[np.ndarray, " images"]
    names: Sequence[str]
    maps: Callable[[jax.Device], Mapping[str, Float[Array, "n h w units"]]]
    labels: Sequence[Sequence[ImageLabels]]
    image_shape: tuple[int, int]


class Held(NamedTuple):
    """A batch that is to be added later, and its maps; without them it is run again."""

    work: Work
    maps: Mapping[str, Array] | None


@runtime_checkable
class Keeper(Protocol):
    """Keeps the sums of passes; as :class:`interpjax.dissection.kept.KeptSums`."""

    def restore(self, name: str, statistic: Any) -> int:
        """Gives a statistic what was added up before, and returns the number of batches in it."""

    def save(self, name: str, statistic: Any, done: int) -> None:
        """Keeps the sums if it is time."""

    def finish(self, name: str, statistic: Any, done: int) -> None:
        """Keeps the sums."""


@runtime_checkable
class Statistic(Protocol):
    """What a pass adds up; sums of it do not depend on the order of the batches or on who counted them."""

    @property
    def ready(self) -> bool:
        """Whether what came is in the state."""

    def add(self, work: Work, maps: Mapping[str, Array]) -> None:
        """Takes a batch; called from several threads."""

    def settle(self, last: bool) -> list[Held]:
        """Called between groups of batches, and at the end; returns what is to be added again."""

    def state(self) -> State:
        """What has come so far."""

    def restore(self, state: State, done: int) -> None:
        """Takes the place of one that was cut off after so many batches."""


def run_pass(
    name: str,
    statistic: Statistic,
    works: Callable[[int], Iterator[Work]],
    devices: Sequence[jax.Device],
    kept: Keeper,
    show: Callable[[int], None] = lambda done: None,
) -> None:
    """Adds up a pass, each device taking every so manieth batch, from where an earlier run was cut off.

    Args:
      name: of the pass.
      statistic: takes the batches.
      works: the batches from a number on.
      devices: compute the activations and count.
      kept: holds what was added up.
      show: is told how many batches are done, again and again.
    """
    done = kept.restore(name, statistic)
    show(done)
    turns = [device for device in devices for _ in range(BATCHES_AT_A_TIME)]
    with (
        stopping.deferred(),
        contextlib.closing(ahead(works(done))) as batches,  # an error would leave its threads to the garbage collector
        ThreadPoolExecutor(len(turns)) as threads,
    ):

        def add(group: Sequence[Held]) -> None:
            list(threads.map(lambda held, device: _add(statistic, held, device), group, turns))

        def settle(last: bool = False) -> None:
            held = statistic.settle(last)
            for start in range(0, len(held), len(turns)):
                add(held[start : start + len(turns)])

        while group := list(itertools.islice(batches, len(turns))):
            add([Held(work, None) for work in group])
            settle()
            done += len(group)
            show(done)
            stop = stopping.requested()
            if statistic.ready:
                (kept.finish if stop else kept.save)(name, statistic, done)
            if stop:
                raise stopping.Stopped(stop, f"batch {done if statistic.ready else 0} of the dissection")
        settle(last=True)
        kept.finish(name, statistic, done)


def _add(statistic: Statistic, held: Held, device: jax.Device) -> None:
    work, maps = held
    if len(work.numbers):  # a batch may have no image that can be read
        statistic.add(work, work.maps(device) if maps is None else maps)


def ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items, each made while the one before it is used. A generator of items is closed with this one."""
    end: Any = object()
    try:
        with ThreadPoolExecutor(1) as thread:
            following = thread.submit(next, items, end)
            while (item := following.result()) is not end:
                following = thread.submit(next, items, end)
                yield item
    finally:
        if isinstance(items, Generator):
            items.close()
