"""The small job that benchmarks/faults.py disturbs: run to its end, with a fault in it, and compared."""

import dataclasses
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import interpjax

ROOT = Path(__file__).parents[1]
FIELDS = {
    "data.two_figures.train_images": 64,
    "data.two_figures.test_images": 64,
    "model.width": 0.0625,
    "training.batch_size": 8,
    "training.num_steps": 80,
    "training.log_every_steps": 10,
    "training.eval_every_steps": 40,
    "training.checkpoint_every_steps": 20,
    "dissection.batch_size": 8,
    "dissection.top_images": 2,
    "data.num_threads": 2,
}
LONGEST = 160  # characters of a message in the table
SECONDS = 300.0  # after which a run that hangs is ended


@dataclasses.dataclass
class Outcome:
    """What came of a fault.

    Attributes:
      code: exit code of the run with the fault in it, or what was done to it.
      told: the last line that it wrote to stderr.
      again: exit code of the same command given again.
      parameters: whether the parameters are in the end those of the undisturbed run; None if nothing can be compared.
      summary: whether the summary is, but for the seconds.
    """

    code: int | str
    told: str
    again: int | str = ""
    parameters: bool | None = None
    summary: bool | None = None


class Job:
    """The job, its undisturbed run, and a folder for each fault."""

    def __init__(self, folder: Path):
        """Takes note of the folder in which all runs are."""
        self.folder = folder

    @functools.cached_property
    def seconds(self) -> float:
        """How long the undisturbed run took, when what it compiles was at hand, as it is for all others."""
        for _ in range(2):
            workdir, start = self.fresh("whole"), time.monotonic()
            code, told = self.run(workdir)
            assert code == 0, told
        return time.monotonic() - start

    @functools.cached_property
    def whole(self) -> Path:
        """The folder of the undisturbed run."""
        print(f"the undisturbed run took {self.seconds:.0f} s", file=sys.stderr)
        return self.folder / "whole"

    @functools.cached_property
    def parameters(self) -> dict[str, Any]:
        """Those of the undisturbed run."""
        return _parameters(self.whole)

    def command(self, workdir: Path) -> list[str]:
        """The command of a run; the same for the first and for every later session."""
        flags = [f"--config.{name}={value}" for name, value in FIELDS.items()]
        return [sys.executable, str(ROOT / "launch.py"), *flags, f"--workdir={workdir}"]

    def environment(self, devices: int = 1) -> dict[str, str]:
        """In which runs are: on the CPU, with what was compiled before at hand."""
        cache = {
            "JAX_COMPILATION_CACHE_DIR": str(self.folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
        }
        here = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices), "PYTHONPATH": str(ROOT)}
        return os.environ | cache | here

    def start(
        self, workdir: Path, devices: int = 1, *, flags: Sequence[str] = (), told: Any = subprocess.PIPE
    ) -> subprocess.Popen:
        """Begins a run; it heeds signals even if this benchmark was told to ignore them, as by nohup.

        Args:
          workdir: its folder.
          devices: how many it has.
          flags: besides those of :meth:`command`.
          told: where its stderr goes.
        """
        return subprocess.Popen(
            [*self.command(workdir), *flags],
            env=self.environment(devices),
            stdout=subprocess.DEVNULL,
            stderr=told,
            text=True,
            preexec_fn=_heed,
        )

    def run(self, workdir: Path, devices: int = 1) -> tuple[int, str]:
        """Runs it to its end; gives the exit code and the last line of stderr."""
        process = self.start(workdir, devices)
        _, err = process.communicate(timeout=SECONDS)
        return process.returncode, self.last_line(err)

    def copy(self, name: str) -> Path:
        """A copy of the undisturbed run, for a fault in it."""
        workdir = self.fresh(name)
        shutil.copytree(self.whole, workdir)
        return workdir

    def fresh(self, name: str) -> Path:
        """The folder of a new run, which is not there yet."""
        workdir = self.folder / re.sub(r"\W+", "_", name)
        shutil.rmtree(workdir, ignore_errors=True)
        return workdir

    def last_line(self, err: str) -> str:
        """The last line of what a run told, but for bars, shortened; ``DIR`` stands for the folder of all runs."""
        lines = [line.strip() for line in re.split(r"[\r\n]", err) if line.strip() and "/s]" not in line]
        line = lines[-1].replace(str(self.folder), "DIR") if lines else ""
        return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"

    def compared(self, workdir: Path, code: int | str, told: str, again: int) -> Outcome:
        """The outcome of a fault, after the same command was given again."""
        if again:
            return Outcome(code, told, again)
        found = _parameters(workdir)
        same = jax.tree.all(jax.tree.map(np.array_equal, self.parameters, found))
        return Outcome(code, told, again, bool(same), _summary(workdir) == _summary(self.whole))

    def disturbed(
        self, name: str, number: int, ready: Callable[[Path, str], bool], *, devices_after: int = 1
    ) -> Outcome:
        """Sends a signal to a run as soon as ``ready`` says so of its folder and of what it has told, then goes on."""
        workdir, told = self.fresh(name), self.folder / "told"
        with told.open("w") as file:
            process = self.start(workdir, told=file)
            deadline = time.monotonic() + SECONDS
            while process.poll() is None and time.monotonic() < deadline:
                if ready(workdir, told.read_text(errors="replace")):
                    process.send_signal(number)
                    break
                time.sleep(0.01)
            process.wait(SECONDS)
        words = self.last_line(told.read_text(errors="replace"))
        again, after = self.run(workdir, devices_after)
        return self.compared(workdir, process.returncode, words if not again else f"{words}; then {after}", again)


def _parameters(workdir: Path) -> dict[str, Any]:
    return interpjax.load(workdir)[2]


def _summary(workdir: Path) -> dict[str, Any]:
    found = json.loads((workdir / "summary.json").read_text())
    return {name: value for name, value in found.items() if name != "seconds"}


def _heed() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
