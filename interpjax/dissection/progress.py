"""What a dissection has added up so far, on disk: a run that was killed goes on from there."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from interpjax.atomic import replacing, write_atomic

PROGRESS_VERSION = 2  # of the files and of what is counted: raise it when either changes


class Progress:
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
        self._content = json.dumps({"version": PROGRESS_VERSION, **content}, sort_keys=True, indent=1)
        digest = hashlib.sha256(self._content.encode()).hexdigest()
        self._folder = None if cache is None else cache / digest[:32]
        self._every, self._process, self._skipped = every, process, skipped
        self._kept: dict[str, int] = {}  # batches of each pass that are in its file

    def restore(self, name: str, statistic: Any) -> int:
        """Gives a statistic what was added up before, and returns the number of batches in it.

        Raises:
          ValueError: if the file is damaged, naming it.
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
            raise ValueError(f"{path}: damaged ({error}); remove it to begin this pass anew") from error
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
