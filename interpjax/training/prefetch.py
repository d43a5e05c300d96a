"""The batches of training, each of which is put on the devices while the step before it is computed."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import grain
import jax

from interpjax import parallel


class Prefetch:
    """Batches on the devices, of which one is read ahead while a step is computed.

    Attributes:
      position: the position in the data behind the batches that were taken, whatever was read ahead.
    """

    def __init__(self, batches: grain.DatasetIterator):
        """Reads nothing yet.

        Args:
          batches: this process's batches, at the position that training begins at.
        """
        self.position: dict[str, Any] = batches.get_state()
        self._batches = batches
        self._next: Future | None = None
        self._under_way: Future | None = None  # the moment at which the latest step ends
        self._watch = ThreadPoolExecutor(1)

    def take(self) -> tuple[Any, Callable[[], float]]:
        """The next batch, and a function that tells for how many seconds the devices had to wait for it.

        That function is to be called when the step before is done, for which it waits.

        Raises:
          BadImageError: for an unreadable image where those are errors, as whatever else reading has raised.
        """
        self._next, ahead = None, self._next or self._read()
        batch, self.position, began, ended, step_before = ahead.result()

        def waited() -> float:
            idle_from = began if step_before is None else max(began, step_before.result())
            return max(0.0, ended - idle_from)

        return batch, waited

    def read_ahead(self, step: Any) -> None:
        """Reads the next batch while a step is computed, and then waits for the end of the step before that one.

        Args:
          step: arrays that the step gives. Without waiting, batches of many steps would pile up on the devices.
        """
        before, self._under_way = self._under_way, self._watch.submit(_end_of, step)
        self._next = self._read()
        if before is not None:
            before.result()

    def _read(self) -> Future:
        found: Future = Future()
        began = time.monotonic()
        try:
            batch = parallel.put_batch(next(self._batches))
            found.set_result((batch, self._batches.get_state(), began, time.monotonic(), self._under_way))
        except Exception as error:  # raised when the batch is taken, so that what is due before that step is still done
            found.set_exception(error)
        return found

    def __enter__(self) -> "Prefetch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.shutdown()


def _end_of(step: Any) -> float:
    jax.block_until_ready(step)
    return time.monotonic()
