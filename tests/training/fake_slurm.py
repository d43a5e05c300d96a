#!/usr/bin/env python
"""Stands for srun, scancel and scontrol: starts the tasks of a step here, and notes what goes back into the queue."""

import os
import signal
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Does what the command of its name does."""
    name, *arguments = sys.argv
    commands = {"srun": srun, "scancel": scancel, "scontrol": scontrol}
    commands[Path(name).name](arguments)


def srun(arguments: list[str]) -> None:
    """Starts SLURM_NTASKS tasks, and ends with their largest code. On SIGTERM it kills them, as SLURM's own does."""
    assert arguments[0].startswith("--cpus-per-task="), arguments
    tasks = []
    signal.signal(signal.SIGTERM, lambda number, frame: [task.kill() for task in tasks])
    for number in range(int(os.environ["SLURM_NTASKS"])):
        told = {"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number), "SLURM_STEP_NODELIST": "localhost"}
        tasks.append(subprocess.Popen(arguments[1:], env=os.environ | told))
    _step().write_text(" ".join(str(task.pid) for task in tasks))
    sys.exit(max(task.wait() for task in tasks))


def scancel(arguments: list[str]) -> None:
    """Signals every task of the job."""
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{task}" if task else os.environ["SLURM_JOB_ID"]
    assert arguments == ["--signal=TERM", job], arguments  # the number of an array stands for all of its tasks
    for process in _step().read_text().split():
        os.kill(int(process), signal.SIGTERM)


def scontrol(arguments: list[str]) -> None:
    """Notes the command."""
    Path(os.environ["FAKE_QUEUE"]).write_text(" ".join(arguments))


def _step() -> Path:
    return Path(__file__).with_name(f"step-{os.environ['SLURM_JOB_ID']}")


if __name__ == "__main__":
    main()
