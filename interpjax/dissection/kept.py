"""What a dissection has added up so far, and what it found, on disk: one that was killed goes on from there."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from interpjax.atomic import replacing, write_atomic
from interpjax.dissection import npz, stored
from interpjax.dissection.protocol import Protocol
from interpjax.dissection.result import Dissection
from interpjax.errors import UserError

SUMS_VERSION = 5  # of the files and of what is counted: raise it when either changes
RESULTS = "results"


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
        self.folder = None if cache is None else cache / digest[:32]
        self.process, self._every, self._skipped = process, every, skipped
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
            state = npz.read(path)
            done, skipped = int(state.pop("done")), state.pop("skipped").tolist()
            statistic.restore(state, done)
        except (*npz.DAMAGED, OSError) as error:
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
        if self.process[0] == 0:
            write_atomic(path.parent / "content.json", self._content + "\n")
        skipped = np.array(self._skipped([]), np.str_)
        with replacing(path) as file:
            np.savez(file, done=np.array(done), skipped=skipped, **statistic.state())
        self._kept[name] = done

    def has(self, name: str) -> bool:
        """Whether there are sums of a pass, or :data:`RESULTS`."""
        path = self._path(name)
        return path is not None and path.is_file()

    def discard(self, *names: str) -> None:
        """Removes the sums of some passes."""
        for path in filter(None, map(self._path, names)):
            path.unlink(missing_ok=True)

    def results(self, protocols: Sequence[Protocol]) -> list[dict[str, Dissection]]:
        """The results that :meth:`keep` kept, under these protocols, which may have other names and other IoU cuts.

        Raises:
          UserError: if a file is damaged, naming it.
        """
        listed = _Listed()
        self.restore(RESULTS, listed)
        found: list[dict[str, Dissection]] = [{} for _ in protocols]
        for place, (number, layer) in enumerate(listed.results):
            result = Dissection.load(self._result_path(place))
            found[number][layer] = dataclasses.replace(result, protocol=protocols[number])
        return found

    def keep(self, results: Sequence[Mapping[str, Dissection]]) -> None:
        """Keeps the results of a whole dissection, and removes the sums of which they were made."""
        if self.folder is None:
            return
        listed = [(number, layer) for number, layers in enumerate(results) for layer in layers]
        for place, (number, layer) in enumerate(listed):
            with replacing(self._result_path(place)) as file:
                np.savez_compressed(file, **stored.arrays_of(results[number][layer]))
        self.finish(RESULTS, _Listed(listed), 1)
        self.discard("pass", "thresholds", "counts")

    def _result_path(self, place: int) -> Path:
        assert self.folder is not None
        return self.folder / self._file(f"result{place}")

    def _file(self, name: str) -> str:
        return f"{name}-{self.process[0] + 1}-of-{self.process[1]}.npz"

    def _path(self, name: str) -> Path | None:
        return None if self.folder is None else self.folder / self._file(name)


class _Listed:
    """The protocol's number and the layer of each result."""

    def __init__(self, results: Sequence[tuple[int, str]] = ()):
        self.results = results

    def state(self) -> dict[str, np.ndarray]:
        return {"results": np.array(json.dumps(self.results))}

    def restore(self, state: Mapping[str, np.ndarray], done: int) -> None:
        self.results = [(number, layer) for number, layer in json.loads(str(state["results"]))]
