"""Writes the metrics of training to ``metrics.jsonl`` and to TensorBoard event files."""

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import numpy as np
from tensorboardX import SummaryWriter

from interpjax import json_files, parallel, processes
from interpjax.atomic import write_atomic
from interpjax.errors import UserError
from interpjax.progress import progress_bar
from interpjax.training.diagnostics import GROUP_NORM, as_metrics

SKIPPED = "skipped_steps"  # the metric of a step that was left out
MOST_SKIPPED = 10  # steps in a row
LARGEST_SHOWN = 1e19  # of histograms: the last bin of tensorboardX ends above it
TIMINGS = ("images_per_second", "data_wait")  # metrics that differ from run to run
Log = Callable[[int, Mapping[str, float]], None]  # takes a step's number and its metrics
_Step = tuple[int, Any, Callable[[], float]]  # its number, its metrics, and the wait for its batch


class TrainingDivergedError(UserError):
    """The loss, or a parameter, is no longer a finite number."""


class MetricsWriter:
    """Appends metrics by step. Metrics of steps after the one that training goes on from are removed first.

    Of several processes only the first one writes.
    """

    def __init__(self, workdir: Path, *, from_step: int, log: Log | None = None):
        """Opens the files of a run.

        Args:
          workdir: the run's folder, which gets ``metrics.jsonl`` and TensorBoard event files.
          from_step: the step that training goes on from. Later steps of a session that was cut off are taken again.
          log: takes the metrics too, in the first process; None if nothing else does.
        """
        self._path = workdir / "metrics.jsonl"
        self._writes, self._log = processes.leads(), log
        if not self._writes:
            return
        kept = [line for line in read_metrics(self._path) if line["step"] <= from_step]
        write_atomic(self._path, json_files.to_lines(kept))
        self._file = self._path.open("a")
        self._events = SummaryWriter(str(workdir), purge_step=from_step + 1, write_to_disk=True)

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Writes one line of ``metrics.jsonl``, an event for each metric, and one for all group norms of a layer."""
        if not self._writes:
            return
        try:
            self._file.write(json_files.to_text({"step": step, **metrics}) + "\n")
            self._file.flush()
            for name, value in metrics.items():
                self._events.add_scalar(name, value, step)
            for layer, norms in _group_norms(metrics).items():
                self._events.add_histogram(f"group_norms/{layer}", np.array(norms), step)
        except OSError as error:
            reason = f"metrics cannot be written ({error.strerror}); mend this, and the same command goes on"
            raise OSError(error.errno, reason, str(self._path)) from error
        if self._log is not None:
            self._log(step, metrics)

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._writes:
            return
        # On a full disk, closing fails too, as it writes what is buffered; this must not hide why training ended.
        with contextlib.suppress(OSError) if error is not None else contextlib.nullcontext():
            self._file.close()
        with contextlib.suppress(OSError) if error is not None else contextlib.nullcontext():
            self._events.close()


class StepLog:
    """Collects the metrics of steps, and reads a line of them from the devices only while the next step is computed."""

    def __init__(self, writer: MetricsWriter, total: int, first: int, batch_size: int, skipped: int = 0):
        """Starts the clock of the first line, and the bar on stderr.

        Args:
          writer: writes the lines.
          total: number of steps of the whole training.
          first: number of steps that were taken in earlier sessions.
          batch_size: number of images in a step.
          skipped: number of the latest steps that earlier sessions left out, in a row.
        """
        self._writer, self._batch_size = writer, batch_size
        self._bar = progress_bar("train", total * batch_size, first * batch_size, shown=processes.leads())
        self._steps: list[_Step] = []  # since the latest line
        self._due: tuple[list[_Step], Any] | None = None
        self._since = time.monotonic()
        self._skipped = skipped  # steps in a row, up to the latest line

    def add(self, step: int, metrics: Any, waited: Callable[[], float] = lambda: 0.0) -> None:
        """Adds the metrics of a step that was sent to the devices, and writes a line that is due meanwhile.

        Args:
          step: the number of the step.
          metrics: its metrics, on the devices.
          waited: gives the seconds that the devices waited for its batch. It is called when the step is done.
        """
        self._write_due()
        self._steps.append((step, metrics, waited))
        self._bar.update(self._batch_size)

    def close_line(self, of_weights: Any) -> None:
        """Ends a line. It has means over its steps, the speed, and measures of the weights after its last step.

        ``data_wait`` is the share of the line's time in which the devices waited for a batch.

        Where training leaves out steps that are not finite, the means are without them, and ``skipped_steps`` is their
        number.
        """
        self._due, self._steps = (self._steps, of_weights), []

    def skipped_in_a_row(self) -> int:
        """The number of the latest steps that were left out, in a row. Waits for the steps that went to the devices."""
        self._write_due()
        count = self._skipped
        for row in parallel.first([{name: row[name] for name in row if name == SKIPPED} for _, row, _ in self._steps]):
            count = count + 1 if row.get(SKIPPED) else 0
        return count

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the time in the block out of the speed. Steps that went to the devices before are waited for."""
        self._write_due()
        jax.block_until_ready([metrics for _, metrics, _ in self._steps])
        start = time.monotonic()
        yield
        self._since += time.monotonic() - start

    def __enter__(self) -> "StepLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes a line that is due, even if an error or the user has ended the training."""
        self._bar.close()
        with contextlib.suppress(Exception) if error is not None else contextlib.nullcontext():
            self._write_due()  # if this fails as well, it must not hide why training ended

    def _write_due(self) -> None:
        if self._due is None:
            return
        (steps, of_weights), self._due = self._due, None
        rows = [
            {name: float(value) for name, value in row.items()} for row in parallel.first([row for _, row, _ in steps])
        ]
        numbers = [number for number, _, _ in steps]
        for number, row in zip(numbers, rows, strict=True):
            self._check(number, row)
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        speed = {"images_per_second": len(rows) * self._batch_size / seconds}
        speed["data_wait"] = min(1.0, sum(waited() for _, _, waited in steps) / seconds)
        kept = [row for row in rows if not row.get(SKIPPED)]
        means = {name: float(np.mean([row[name] for row in kept])) for name in rows[0] if kept}
        latest = {"learning_rate": rows[-1]["learning_rate"], **speed}
        skipped = {SKIPPED: float(len(rows) - len(kept))} if SKIPPED in rows[0] else {}
        self._writer.write(numbers[-1], means | latest | skipped | as_metrics(of_weights))
        if kept:
            shown = f"loss {means['loss']:.4f}, accuracy {means['accuracy']:.3f}"
            self._bar.set_postfix_str(shown, refresh=False)

    def _check(self, step: int, row: dict[str, float]) -> None:
        self._skipped = self._skipped + 1 if row.get(SKIPPED) else 0
        if self._skipped == 0 or self._skipped >= MOST_SKIPPED:
            _require_finite(step, row)


def _require_finite(step: int, row: dict[str, float]) -> None:
    skipped = row.get(SKIPPED)
    if skipped or not math.isfinite(row["loss"]):
        too_many = f"the loss or a gradient is not finite, for the {MOST_SKIPPED}th step in a row"
        terms = ", ".join(f"{name} = {value:g}" for name, value in row.items())
        raise TrainingDivergedError(
            f"step {step}: {too_many if skipped else 'the loss is not finite'} ({terms}); lower "
            "config.optimizer.learning_rate or the strength of the term that grew"
        )


def _group_norms(metrics: dict[str, float]) -> dict[str, list[float]]:
    """The norms of each layer's groups among some metrics, without those that no bin of a histogram holds."""
    norms: dict[str, list[float]] = {}
    for name, value in metrics.items():
        if name.startswith(GROUP_NORM) and value <= LARGEST_SHOWN:  # which no norm is that is not a number
            norms.setdefault(name.removeprefix(GROUP_NORM).rpartition("/")[0], []).append(value)
    return norms


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The lines of a ``metrics.jsonl``. Those that a kill or a broken disk has left half written are left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    return [row for line in lines if line.endswith("\n") and (row := _metrics_of(line))]


def set_aside_metrics(workdir: Path, after: int) -> None:
    """Moves the metrics of later steps, which are going to be taken anew, to ``metrics_after_STEP_1.jsonl``, or 2 …."""
    path = workdir / "metrics.jsonl"
    rows = read_metrics(path)
    later = [row for row in rows if row["step"] > after]
    if not later:
        return
    number = len(list(workdir.glob(f"metrics_after_{after}_*.jsonl"))) + 1
    aside = workdir / f"metrics_after_{after}_{number}.jsonl"
    for to, kept in ((aside, later), (path, [row for row in rows if row["step"] <= after])):
        write_atomic(to, json_files.to_lines(kept))
    print(f"the metrics after step {after} are moved to {aside}", file=sys.stderr)


def _metrics_of(line: str) -> dict[str, float]:
    """The metrics in a line; none if it is damaged. Null stands for a number that was not finite."""
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    if not isinstance(row, dict) or not isinstance(row.get("step"), int):
        return {}
    return {name: math.nan if value is None else value for name, value in row.items()}
