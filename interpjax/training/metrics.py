"""Writing metrics down: ``metrics.jsonl``, TensorBoard events, and a progress bar."""

import contextlib
import json
import sys
from pathlib import Path
from types import TracebackType

from tensorboardX import SummaryWriter
from tqdm import tqdm

from interpjax.atomic import write_atomic


class MetricsWriter:
    """Appends metrics by step; what lies beyond the step that training goes on from is dropped first."""

    def __init__(self, workdir: Path, *, from_step: int):
        """Opens the files of a run.

        Args:
          workdir: gets ``metrics.jsonl`` and TensorBoard event files.
          from_step: metrics of later steps are of a session that was cut off, and will come again.
        """
        self._path = workdir / "metrics.jsonl"
        kept = [line for line in read_metrics(self._path) if line["step"] <= from_step]
        write_atomic(self._path, "".join(json.dumps(line) + "\n" for line in kept))
        self._file = self._path.open("a")
        self._events = SummaryWriter(str(workdir), purge_step=from_step + 1, write_to_disk=True)

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """One line of ``metrics.jsonl``, one event for each metric."""
        try:
            self._file.write(json.dumps({"step": step, **metrics}) + "\n")
            self._file.flush()
            for name, value in metrics.items():
                self._events.add_scalar(name, value, step)
        except OSError as error:
            raise OSError(error.errno, f"metrics cannot be written ({error.strerror})", str(self._path)) from error

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is still buffered cannot be written to a full disk either; that must not hide why training ended.
        with contextlib.suppress(OSError) if error is not None else contextlib.nullcontext():
            self._file.close()
        with contextlib.suppress(OSError) if error is not None else contextlib.nullcontext():
            self._events.close()


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The lines of a ``metrics.jsonl``; a last line that a kill cut short is left out."""
    if not path.is_file():
        return []
    text = path.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def progress_bar(stage: str, images: int, done: int = 0) -> tqdm:
    """Images done, images a second and time left; on a terminal often, in a log file once in half a minute."""
    return tqdm(
        total=images,
        initial=done,
        desc=stage,
        unit="image",
        unit_scale=True,
        dynamic_ncols=True,
        mininterval=0.5 if sys.stderr.isatty() else 30,
    )
