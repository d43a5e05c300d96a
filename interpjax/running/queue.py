"""Makes many runs, so many at once; one that fails is noted, and the others go on."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from tqdm import tqdm

from interpjax import stopping
from interpjax.compiling import compiling_into, has_cache
from interpjax.config import to_json
from interpjax.experiment import run
from interpjax.progress import progress_bar
from interpjax.running.cores import shares
from interpjax.running.notes import note_end, note_failure
from interpjax.running.planned import Planned
from interpjax.running.reasons import tell
from interpjax.running.version import code_version

CACHE = "compilation_cache"  # the folder of what JAX has compiled, beside those of the runs
POLL_SECONDS = 0.2


def run_all(
    planned: Sequence[Planned],
    stages: Sequence[str],
    *,
    jobs: int = 1,
    after_each: Callable[[], object] = lambda: None,
    keep_compiled: bool = True,
) -> dict[str, str]:
    """Makes some runs, and shows how many are done in one line.

    What a run tells goes to ``logs/NAME.txt`` in the folder that holds all. Which version of the code has made it, and
    when, is noted beside, in ``NAME.json``. What JAX compiles for one run is used again by the others: it is kept in
    ``compilation_cache`` beside them, unless ``config.compilation_cache`` or JAX itself names another folder.

    Args:
      planned: the runs.
      stages: of each, in their order.
      jobs: how many at once. One is made in this process; several are made in processes of their own, which share the
        cores out among themselves.
      after_each: is called after each run that has ended.
      keep_compiled: whether that folder is used, which is only good where all runs are made on machines of one kind.

    Returns:
      ``{name: what went wrong}`` of the runs that failed, in the last line that they told.

    Raises:
      UserError: if there are runs, and ``jobs`` is below 1 or above the number of cores, or of the GPUs that are named.
      Stopped: on a signal, after the runs under way have saved what they have.
    """
    if not planned:
        return {}
    named = has_cache() or any(each.config.compilation_cache for each in planned)
    cache = None if named or not keep_compiled else planned[0].root / CACHE
    failed: dict[str, str] = {}
    with progress_bar("runs", len(planned), unit="run") as bar:
        if jobs == 1:
            ended = _one_by_one(planned, stages, cache, bar)
        else:
            places = [(cores, own | _caching(cache)) for cores, own in shares(jobs, os.environ)]
            ended = _at_once(planned, stages, places)
        with contextlib.closing(ended):  # so that runs under way are stopped at once, whatever goes wrong here
            for name, why in ended:
                if why:
                    failed[name] = why
                    bar.set_postfix_str(f"{len(failed)} failed")
                after_each()
                bar.update()
    return failed


def _one_by_one(
    planned: Sequence[Planned], stages: Sequence[str], cache: Path | None, bar: tqdm
) -> Generator[tuple[str, str], None, None]:
    """Makes one after the other; gives the name of each and what went wrong, if anything did."""
    version = code_version()  # that is loaded, whatever is committed meanwhile
    with compiling_into(cache, "the folder of runs"):
        for each in planned:
            bar.set_description_str(each.name)
            yield each.name, _made_here(each, stages, version)


def _made_here(each: Planned, stages: Sequence[str], version: str) -> str:
    """Makes a run in this process; returns what went wrong, if anything did."""
    with _log(each) as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        try:
            run(each.config, each.folder, stages)
        except Exception as error:  # whatever it is, it is told at the end, and the other runs are made
            why = tell(error)
            note_failure(each, version, why)
            return why
    note_end(each.log("json"), version)
    return ""


class _Busy(NamedTuple):
    planned: Planned
    version: str
    told_before: int  # bytes of its log, by earlier runs
    process: subprocess.Popen


def _at_once(
    planned: Sequence[Planned], stages: Sequence[str], places: Sequence[tuple[list[int], dict[str, str]]]
) -> Generator[tuple[str, str], None, None]:
    """As :func:`_one_by_one`, in processes: one in each place, which has cores and variables of its own."""
    left, busy = list(planned), dict[int, _Busy]()
    with stopping.on_signals(), stopping.deferred():
        try:
            while (left or busy) and not stopping.requested():
                for number, (cores, variables) in enumerate(places):
                    if left and number not in busy:
                        each, version = left.pop(0), code_version()
                        told_before = _log_size(each)
                        busy[number] = _Busy(
                            each, version, told_before, _start(each, stages, version, cores, variables)
                        )
                time.sleep(POLL_SECONDS)
                for number in [number for number, own in busy.items() if own.process.poll() is not None]:
                    yield _ended(busy.pop(number))
        finally:
            for own in busy.values():
                own.process.terminate()
            for own in busy.values():
                own.process.wait()
                _ended(own, stopped=True)


def _ended(own: _Busy, stopped: bool = False) -> tuple[str, str]:
    """The name of a run whose process has ended and what went wrong, which is noted unless it was stopped.

    That it is made, if it is, its own process has noted: it may live a moment longer than this one.
    """
    code = own.process.returncode
    assert own.process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        own.process.stdin.close()
    if code == 0:
        return own.planned.name, ""
    if code < 0:
        why = f"ended by {_signal_name(-code)}, as where memory is used up"
    else:
        told = own.planned.log("txt").read_bytes()[own.told_before :].decode(errors="replace").strip()
        why = told.splitlines()[-1] if told else f"ended with exit code {code}, and told nothing"
    if code == 1 or (code < 0 and not stopped):
        note_failure(own.planned, own.version, why)
    return own.planned.name, why


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of those for real time have none
        return f"signal {number}"


def _start(
    each: Planned, stages: Sequence[str], version: str, cores: Sequence[int], variables: Mapping[str, str]
) -> subprocess.Popen:
    """A run in a process that no signal of the terminal reaches: this one passes it on, once."""
    with _log(each) as log:
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
    given |= {"note": str(each.log("json")), "version": version}
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # of a process that has ended, whose log tells why
        process.stdin.write(json.dumps(given) + "\n")
        process.stdin.flush()  # it stays open: the run stops where this process ends, however that is
    return process


def _caching(cache: Path | None) -> dict[str, str]:
    """The variables by which JAX keeps all that it compiles in a folder."""
    if cache is None:
        return {}
    always = ("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES")
    return {"JAX_COMPILATION_CACHE_DIR": str(cache), **dict.fromkeys(always, "0")}


def _log_size(each: Planned) -> int:
    path = each.log("txt")
    return path.stat().st_size if path.is_file() else 0


@contextlib.contextmanager
def _log(each: Planned) -> Iterator[IO[str]]:
    path = each.log("txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        yield file
