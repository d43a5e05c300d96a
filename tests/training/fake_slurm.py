#!/usr/bin/env python
"""Stands for srun and scontrol: starts the tasks of a step here, and notes what is put into the queue again."""

import os
import signal
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """As srun: starts SLURM_NTASKS tasks, passes SIGTERM on to them, and ends with their largest code."""
    name, *arguments = sys.argv
    if Path(name).name == "scontrol":
        Path(os.environ["FAKE_QUEUE"]).write_text(" ".join(arguments))
        return
    tasks = []
    signal.signal(signal.SIGTERM, lambda number, frame: [task.send_signal(number) for task in tasks])
    for number in range(int(os.environ["SLURM_NTASKS"])):
        told = {"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number), "SLURM_STEP_NODELIST": "localhost"}
        tasks.append(subprocess.Popen(arguments, env=os.environ | told))
    sys.exit(max(task.wait() for task in tasks))


if __name__ == "__main__":
    main()
