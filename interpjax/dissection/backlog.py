"""What all batches leave until the thresholds are known: in memory, or in the cache folder where there is one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from interpjax.dissection import npz
from interpjax.dissection.undecided import BatchRest
from interpjax.errors import UserError, naming


class Backlog:
    """The rests of a process's batches, in their order."""

    def __init__(self, folder: Path | None, name: str, process: tuple[int, int]):
        """Starts empty.

        Args:
          folder: takes a file of each batch; None keeps them in memory.
          name: of the pass, of which the files are.
          process: its number and how many there are.
        """
        self._folder, self._prefix = folder, f"{name}-{process[0] + 1}-of-{process[1]}"
        self._kept: dict[int, BatchRest] = {}
        self.numbers: list[int] = []  # of the batches
        self.nbytes = 0  # in memory or in files

    def add(self, rest: BatchRest) -> None:
        """Keeps what a batch left."""
        self.numbers.append(rest.batch)
        self.nbytes += rest.nbytes
        if self._folder is None:
            self._kept[rest.batch] = rest
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        # Not atomic: where the process is killed here, the batch is not yet among those that are done.
        path = self._path(rest.batch)
        with naming(path), path.open("wb") as file:
            arrays: dict[str, Any] = rest.state()
            np.savez(file, **arrays)

    def batches(self) -> Iterator[BatchRest]:
        """All of them, in the order of the batches.

        Raises:
          UserError: if a file is missing or damaged, naming it.
        """
        for batch in sorted(self.numbers):
            yield self._kept[batch] if self._folder is None else self._read(self._path(batch))

    def restore(self, numbers: Sequence[int], done: int) -> None:
        """Takes those that an earlier run left of its first batches, and forgets others."""
        self.forget(done)
        self.numbers = list(numbers)

    def forget(self, done: int) -> None:
        """Forgets all but the first batches, as of an earlier run that was cut off after those."""
        self.numbers = [batch for batch in self.numbers if batch < done]
        self._kept = {batch: rest for batch, rest in self._kept.items() if batch < done}
        if self._folder is not None:
            first = self._path(done).name
            for path in self._folder.glob(f"{self._prefix}-batch*.npz"):
                if path.name >= first:
                    path.unlink()

    def _path(self, batch: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{self._prefix}-batch{batch:07d}.npz"

    def _read(self, path: Path) -> BatchRest:
        try:
            return BatchRest.read(npz.read(path))
        except (*npz.DAMAGED, OSError) as error:
            raise UserError(
                f"{path}: missing or damaged ({error}); remove the folder it is in to dissect anew"
            ) from error
