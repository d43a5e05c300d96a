"""One run in a process of its own, on some of the cores: ``python -m interpjax.running.worker``.

What it makes comes as JSON by standard input: ``config`` (as text), ``folder``, ``stages`` and ``cores``.
"""

import json
import os
import sys
from pathlib import Path

from interpjax.commands.endings import told_in_one_line


def main() -> None:
    """Makes the run; a mistake of the user ends the process with one line."""
    given = json.load(sys.stdin)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, given["cores"])  # before JAX counts them
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # where networks, data and losses of one's own are looked for
    from interpjax import run
    from interpjax.config import from_json

    with told_in_one_line():
        run(from_json(given["config"]), given["folder"], given["stages"])


if __name__ == "__main__":
    main()
