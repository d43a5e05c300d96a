"""One run in a process of its own, on some of the cores: ``python -m interpjax.running.worker``.

What it makes comes by standard input, as a line of JSON: ``config`` (as text), ``folder``, ``stages``, ``cores``, and
the ``version`` of the code, which it puts down in the file ``note`` when the run is made. It stops as by SIGTERM where
its input ends, for then the process that has started it is no more.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from interpjax.commands.endings import told_in_one_line
from interpjax.imports import look_in_working_folder
from interpjax.running.reasons import tell


def main() -> None:
    """Makes the run; where it fails, the last line that it tells says why."""
    given = json.loads(sys.stdin.readline())
    threading.Thread(target=_stop_with_the_parent, daemon=True).start()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, given["cores"])  # before JAX counts them
    look_in_working_folder()
    from interpjax import run
    from interpjax.config import from_json
    from interpjax.running.notes import note_end

    with told_in_one_line():  # of a stop
        try:
            run(from_json(given["config"]), given["folder"], given["stages"])
            note_end(Path(given["note"]), given["version"])
        except Exception as error:
            tell(error)
            sys.exit(1)


def _stop_with_the_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
