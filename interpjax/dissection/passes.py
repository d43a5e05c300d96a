"""A pass over the images in batches, and what it has added up, on disk: a run that was killed goes on from there."""

import hashlib
import itertools
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from interpjax.atomic import replacing, write_atomic
from interpjax.dissection.labels import ImageLabels
from interpjax.errors import UserError

BATCHES_AT_A_TIME = 2  # on each device: one is computed while the host prepares the other
SUMS_VERSION = 3  # of the files and of what is counted: raise it when either changes
T = TypeVar("T")
State = dict[str, np.ndarray]


class Work(NamedTuple):
    """A batch of images whose activations are still to be computed.

    Attributes:
      numbers: of the images' records; fewer than the rows of the maps where the batch is filled up.
      names: of the images.
      maps: computes the activations by layer, NHWC, on a device.
      labels: of each image, in each way of labelling; empty in the first pass.
      image_shape: (height, width) of the network's input.
    """

    numbers: Int[np.ndarray, " images"]
    names: Sequence[str]
    maps: Callable[[jax.Device], Mapping[str, Float[Array, "n h w units"]]]
    labels: Sequence[Sequence[ImageLabels]]
    image_shape: tuple[int, int]


@runtime_checkable
class Statistic(Protocol):
    """What a pass adds up; sums of it do not depend on the order of the batches or on who counted them."""

    def add(self, work: Work, maps: Mapping[str, Array]) -> None:
        """Takes a batch; called from several threads."""

    def state(self) -> State:
        """What has come so far."""

    def merge(self, state: State) -> None:
        """Takes what another one has seen."""


class KeptSums:
    """The sums of each pass after some of its batches, in a folder named after the content they belong to."""

    def __init__(
        self,
        cache: Path | None,
        content: Mapping[str, Any],
        *,
        every: int,
        process: tuple[int, int],
        skipped: Callable[[Sequence[str]], Sequence[str]] = lambda names: (),
    ):
        """Opens the folder; nothing is written yet.

        Args:
          cache: holds a folder for every content; None keeps nothing.
          content: JSON that decides every sum: weights, layers, data, protocols. Other content has another folder,
            so nothing old is ever met.
          every: save after so many batches.
          process: its number and how many there are: each keeps its own.
          skipped: takes the names of the images that were left out of what is restored, and gives those of all that
            were left out.
        """
        self._content = json.dumps({"version": SUMS_VERSION, **content}, sort_keys=True, indent=1)
        digest = hashlib.sha256(self._content.encode()).hexdigest()
        self._folder = None if cache is None else cache / digest[:32]
        self._every, self._process, self._skipped = every, process, skipped
        self._kept: dict[str, int] = {}  # batches of each pass that are in its file

    def restore(self, name: str, statistic: Any) -> int:
        """Gives a statistic what was added up before, and returns the number of batches in it.

        Raises:
          UserError: if the file is damaged, naming it.
        """
        path = self._path(name)
        if path is None or not path.is_file():
            return 0
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                state = dict(stored)
            done, skipped = int(state.pop("done")), state.pop("skipped").tolist()
            statistic.merge(state)
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: damaged ({error}); remove it to begin this pass anew") from error
        self._skipped(skipped)
        self._kept[name] = done
        return done

    def save(self, name: str, statistic: Any, done: int) -> None:
        """Keeps the sums if a shard more is whole than in the file."""
        if done // self._every > self._kept.get(name, 0) // self._every:
            self.finish(name, statistic, done)

    def finish(self, name: str, statistic: Any, done: int) -> None:
        """Keeps the sums, if the file has not got them; it is whole or the old one."""
        path = self._path(name)
        if path is None or self._kept.get(name) == done:
            return
        write_atomic(path.parent / "content.json", self._content + "\n")
        skipped = np.array(self._skipped([]), np.str_)
        with replacing(path) as file:
            np.savez(file, done=np.array(done), skipped=skipped, **statistic.state())
        self._kept[name] = done

    def _path(self, name: str) -> Path | None:
        number, count = self._process
        return None if self._folder is None else self._folder / f"{name}-{number + 1}-of-{count}.npz"


def run_pass(
    name: str,
    statistic: Statistic,
    works: Callable[[int], Iterator[Work]],
    devices: Sequence[jax.Device],
    kept: KeptSums,
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
    batches, turns = ahead(works(done)), [device for device in devices for _ in range(BATCHES_AT_A_TIME)]
    with ThreadPoolExecutor(len(turns)) as threads:
        while group := list(itertools.islice(batches, len(turns))):
            list(threads.map(lambda work, device: _add(statistic, work, device), group, turns))
            done += len(group)
            show(done)
            kept.save(name, statistic, done)
    kept.finish(name, statistic, done)


def _add(statistic: Statistic, work: Work, device: jax.Device) -> None:
    if len(work.numbers):  # a batch may have no image that can be read
        statistic.add(work, work.maps(device))


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each made while the one before it is used."""
    end: Any = object()
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, items, end)
            yield item
