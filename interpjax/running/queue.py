"""Makes many runs, so many at once; one that fails is noted, and the others go on."""

import contextlib
import datetime
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from tqdm import tqdm

from interpjax import json_files, stopping
from interpjax.atomic import write_atomic
from interpjax.config import to_json
from interpjax.errors import UserError
from interpjax.experiment import run
from interpjax.progress import progress_bar
from interpjax.running.cores import shares
from interpjax.running.planned import Planned
from interpjax.running.version import code_version

LOGS = "logs"  # the folder of what each run has told, beside those of the runs
POLL_SECONDS = 0.2


def run_all(
    planned: Sequence[Planned], stages: Sequence[str], workdir: Path, *, jobs: int = 1, cache: Path | None = None
) -> dict[str, str]:
    """Makes some runs, and shows how many are done in one line.

    What a run tells goes to ``workdir/logs/NAME.txt``. Which version of the code has made it, and when, is noted
    beside, in ``NAME.json``.

    Args:
      planned: the runs.
      stages: of each, in their order.
      workdir: that the logs are in.
      jobs: how many at once. One is made in this process; several are made in processes of their own, which share the
        cores out among themselves.
      cache: the folder that these processes keep in what JAX compiles; None leaves it to the environment.

    Returns:
      ``{name: what went wrong}`` of the runs that failed, in the last line that they told.

    Raises:
      UserError: if there are fewer cores than ``jobs``.
      Stopped: on a signal, after the runs under way have saved what they have.
    """
    with progress_bar("runs", len(planned), unit="run") as bar:
        if jobs == 1:
            return _one_by_one(planned, stages, workdir, bar)
        return _at_once(planned, stages, workdir, shares(jobs, os.environ), cache, bar)


def _one_by_one(planned: Sequence[Planned], stages: Sequence[str], workdir: Path, bar: tqdm) -> dict[str, str]:
    failed = {}
    for each in planned:
        bar.set_postfix_str(each.name)
        version = code_version()
        with _log(each, workdir) as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            try:
                run(each.config, each.folder, stages)
                _note(each, workdir, version)
            except Exception as error:  # whatever it is, it is told at the end, and the other runs are made
                failed[each.name] = f"{type(error).__name__}: {error}".partition("\n")[0]
                if not isinstance(error, UserError):
                    traceback.print_exc()
        bar.update()
    return failed


def _at_once(
    planned: Sequence[Planned],
    stages: Sequence[str],
    workdir: Path,
    places: Sequence[tuple[list[int], dict[str, str]]],
    cache: Path | None,
    bar: tqdm,
) -> dict[str, str]:
    failed: dict[str, str] = {}
    left, busy = list(planned), dict[int, tuple[Planned, str, subprocess.Popen]]()
    with stopping.on_signals(), stopping.deferred():
        while (left or busy) and not stopping.requested():
            for number, (cores, variables) in enumerate(places):
                if left and number not in busy:
                    each = left.pop(0)
                    busy[number] = (
                        each,
                        code_version(),
                        _start(each, stages, workdir, cores, variables | _caching(cache)),
                    )
            time.sleep(POLL_SECONDS)
            for number, (each, version, process) in list(busy.items()):
                if process.poll() is not None:
                    del busy[number]
                    bar.update()
                    if process.returncode:
                        failed[each.name] = _last_line(each, workdir, process.returncode)
                        bar.set_postfix_str(f"{len(failed)} failed")
                    else:
                        _note(each, workdir, version)
        for _, _, process in busy.values():
            process.terminate()
        for _, _, process in busy.values():
            process.wait()
    return failed


def _start(
    each: Planned, stages: Sequence[str], workdir: Path, cores: Sequence[int], variables: dict[str, str]
) -> subprocess.Popen:
    """A run in a process that no signal of the terminal reaches: this one passes it on, once."""
    with _log(each, workdir) as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "interpjax.running.worker"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=os.environ | variables,
            start_new_session=True,
            text=True,
        )
    given = {"config": to_json(each.config), "folder": str(each.folder), "stages": list(stages), "cores": list(cores)}
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:  # of a process that has ended, whose log tells why
        json.dump(given, process.stdin)
    return process


def _caching(cache: Path | None) -> dict[str, str]:
    """The variables by which JAX keeps all that it compiles in a folder."""
    if cache is None:
        return {}
    always = ("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES")
    return {"JAX_COMPILATION_CACHE_DIR": str(cache), **dict.fromkeys(always, "0")}


def note_of(each: Planned, workdir: Path) -> dict[str, str]:
    """The ``version`` of the code that made a run and the ``date`` when it was done; empty if that was not noted.

    Raises:
      UserError: if the note is damaged.
    """
    path = _path(each, workdir, "json")
    return json_files.read(path, "remove it") if path.is_file() else {}


def _path(each: Planned, workdir: Path, ending: str) -> Path:
    return workdir / LOGS / f"{each.folder.relative_to(workdir).as_posix().replace('/', '--')}.{ending}"


@contextlib.contextmanager
def _log(each: Planned, workdir: Path) -> Iterator[IO[str]]:
    path = _path(each, workdir, "txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        yield file


def _last_line(each: Planned, workdir: Path, code: int) -> str:
    told = _path(each, workdir, "txt").read_text(encoding="utf-8", errors="replace").strip()
    return told.splitlines()[-1] if told else f"ended with exit code {code}, and told nothing"


def _note(each: Planned, workdir: Path, version: str) -> None:
    """Writes down which code has made a run, and when it was done; of one that was made before, nothing is changed."""
    path = _path(each, workdir, "json")
    if not path.is_file():
        made = {"version": version, "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
        write_atomic(path, json_files.to_text(made) + "\n")
