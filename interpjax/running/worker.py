"""One run in a process of its own, on some of the cores: ``python -m interpjax.running.worker FOLDER STAGES CORES``.

The configuration comes as JSON by standard input.
"""

import os
import sys
from pathlib import Path

from interpjax.commands.endings import told_in_one_line


def main() -> None:
    """Makes the run; a mistake of the user ends the process with one line."""
    folder, stages, own = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(core) for core in own.split(",")])  # before JAX counts them
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # where networks, data and losses of one's own are looked for
    from interpjax import run
    from interpjax.config import from_json

    with told_in_one_line():
        run(from_json(sys.stdin.read()), folder, stages.split(","))


if __name__ == "__main__":
    main()
