"""The folder of one run: its configuration, and what its finished stages left in it."""

import contextlib
import fcntl
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from interpjax.atomic import TEMPORARY, write_atomic
from interpjax.config import differing_fields
from interpjax.errors import UserError

# What a run that was killed before it claimed its folder may have left there.
ERROR_LOG = "error.log"
BEFORE_CLAIM = ("data", "data.json", ".lock", ERROR_LOG)


def check_workdir(config_text: str, workdir: Path) -> None:
    """Refuses a folder that this run cannot have.

    Args:
      config_text: the run's configuration, as it is stored.
      workdir: the folder.

    Raises:
      UserError: if it holds a run of another configuration (the differing fields are named), or other things
        than a run.
    """
    stored = workdir / "config.json"
    if stored.is_file():
        differing = differing_fields(config_text, stored.read_text())
        if differing:
            fields = "\n".join(f"  config.{k} = {ours!r}, there {theirs!r}" for k, (ours, theirs) in differing.items())
            raise UserError(
                f"workdir {workdir} holds a run of another configuration:\n{fields}\n"
                "Give another --workdir, or remove that one."
            )
    elif workdir.exists() and not workdir.is_dir():
        raise UserError(f"workdir {workdir} is a file; give a folder")
    elif workdir.is_dir() and any(not _is_ours_before_claim(path) for path in workdir.iterdir()):
        raise UserError(f"workdir {workdir} is not empty and holds no config.json: it is not a run of interpjax")


def _is_ours_before_claim(path: Path) -> bool:
    return path.name in BEFORE_CLAIM or path.name.endswith(TEMPORARY)


def claim_workdir(config_text: str, workdir: Path, data: dict[str, Any]) -> None:
    """Stores in a folder which run it holds, on which data; from now on it is refused to any other.

    Args:
      config_text: the run's configuration, as it is stored.
      workdir: its folder, which :func:`check_workdir` has passed.
      data: what must stay the same for the run to go on: names of classes, numbers of images, files by their content.
        What stages of an earlier call did not need is noted now.

    Raises:
      UserError: if the run was begun on other data.
    """
    stored = workdir / "data.json"
    if (workdir / "config.json").is_file() and stored.is_file():
        begun = check_data(workdir, data)
        if set(data) - set(begun):
            write_atomic(stored, json.dumps(begun | data) + "\n")
        return
    write_atomic(stored, json.dumps(data) + "\n")
    write_atomic(workdir / "config.json", config_text + "\n")


def check_data(workdir: Path, data: dict[str, Any]) -> dict[str, Any]:
    """What a folder's run was begun on, nothing if there is none.

    Raises:
      UserError: naming what differs from ``data``.
    """
    stored = workdir / "data.json"
    begun = json.loads(stored.read_text()) if (workdir / "config.json").is_file() and stored.is_file() else {}
    differing = [name for name in data if name in begun and data[name] != begun[name]]
    if differing:
        name = differing[0]
        raise UserError(
            f"workdir {workdir} was begun on other data: {name} is now {data[name]!r}, it was {begun[name]!r}. "
            "Put the data back, or give another --workdir."
        )
    return begun


@contextlib.contextmanager
def lock_workdir(workdir: Path) -> Iterator[None]:
    """Keeps a second process from running in the same folder; a killed one's lock is gone with it.

    Raises:
      UserError: if another process is running in it.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    with (workdir / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"workdir {workdir}: another process is running in it") from error
        for left in workdir.rglob(f"*{TEMPORARY}"):
            left.unlink()
        yield


@contextlib.contextmanager
def keeping_tracebacks(workdir: Path) -> Iterator[None]:
    """Keeps the traceback of an error that is no user's in ``error.log``; the error goes on."""
    try:
        yield
    except UserError:
        raise
    except Exception:
        with contextlib.suppress(OSError):  # where the disk is full, that is the error to tell
            write_atomic(workdir / ERROR_LOG, traceback.format_exc())
        raise
    (workdir / ERROR_LOG).unlink(missing_ok=True)  # of an earlier session


def run_stage(workdir: Path, name: str, function: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], float]:
    """Runs a stage once: its result is kept in ``stages/NAME.json`` and read from there the next time.

    Args:
      workdir: the run's folder.
      name: of the stage.
      function: does the work and returns a JSON-serializable result.

    Returns:
      The result, and the seconds that the stage took when it ran.
    """
    if not stage_is_done(workdir, name):
        print(f"{name} …", file=sys.stderr, flush=True)
        start = time.monotonic()
        result = function()
        # A stage that goes on after a kill knows of the seconds spent before it.
        seconds = time.monotonic() - start + result.pop("earlier_seconds", 0.0)
        write_atomic(_record(workdir, name), json.dumps({"seconds": seconds, "result": result}, indent=2) + "\n")
    stored = read_stage(workdir, name)
    return stored["result"], stored["seconds"]


def read_stage(workdir: Path, name: str) -> dict[str, Any]:
    """The ``result`` and the ``seconds`` of a stage that is done."""
    return json.loads(_record(workdir, name).read_text())


def stage_is_done(workdir: Path, name: str) -> bool:
    """Whether a stage has its record."""
    return _record(workdir, name).is_file()


def forget_stage(workdir: Path, name: str) -> None:
    """Removes the record of a stage, if there is one, so that it is run again."""
    _record(workdir, name).unlink(missing_ok=True)


def _record(workdir: Path, name: str) -> Path:
    return workdir / "stages" / f"{name}.json"
