"""A profile of some steps of training: what the host and the devices did when, as JAX's profiler records it."""

from pathlib import Path
from types import TracebackType
from typing import Any

import jax


class Profile:
    """Records the steps from a first to a last one, with the reading of batches between them.

    The files are of the form that TensorBoard's profile plug-in and XProf read, and Perfetto the ``.json.gz``.
    """

    def __init__(self, folder: Path, steps: tuple[int, ...]):
        """Starts nothing yet.

        Args:
          folder: gets the files.
          steps: the first and the last step; empty for no profile. Of steps that an earlier session took, nothing is
            recorded.
        """
        self._folder, self._steps = folder, range(steps[0], steps[1] + 1) if steps else range(0)
        self._running = False

    def before(self, step: int) -> None:
        """Starts recording if this step is the first to be recorded."""
        if step in self._steps and not self._running:
            jax.profiler.start_trace(self._folder)
            self._running = True

    def after(self, step: int, metrics: Any) -> None:
        """Ends recording if this step, whose metrics these are, is the last one. It is waited for."""
        if self._running and step + 1 not in self._steps:
            jax.block_until_ready(metrics)
            self._stop()

    def __enter__(self) -> "Profile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes what was recorded of a training that ends earlier."""
        if self._running:
            self._stop()

    def _stop(self) -> None:
        self._running = False
        jax.profiler.stop_trace()
