"""The folder of one run, which holds its configuration and the records of its finished stages."""

import contextlib
import functools
import json
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from interpjax import json_files, parallel, processes
from interpjax.atomic import TEMPORARY, locked, write_atomic
from interpjax.changes import current_config
from interpjax.config import differing_fields, may_change, without_spelling
from interpjax.errors import UserError, refusals

# The files that a run may have left in its folder if it was killed before it claimed the folder.
ERROR_LOG = "error.log"
DISSECTING = ("dissect", "chance")  # the stages that read the fields of the dissection first
BEFORE_CLAIM = ("data", "data.json", ".lock")
# What to lower where a stage takes more memory than there is.
TRAINED, DISSECTED = "config.training.batch_size or config.data.image_size", "config.dissection.batch_size"
LESS = {"train": TRAINED, "evaluate": TRAINED}


def check_workdir(
    config_text: str, workdir: Path, *, restart: bool = False, remedy: str = ""
) -> dict[str, tuple[Any, Any]]:
    """Checks that a folder is free for a run, or holds this very run.

    Args:
      config_text: the run's configuration, as it is stored.
      workdir: the folder.
      restart: whether training starts again from an earlier checkpoint, for which the optimizer may be another.
      remedy: what to do where the folder holds a run of another configuration; empty for what a single run can do.

    Returns:
      ``{field: (now, before)}`` of the fields that differ and may do so; of those that name files or folders it has
      still to be checked that their content is the same.

    Raises:
      UserError: if the folder holds a run of another configuration (the differing fields are named), or anything else
        than a run.
    """
    if (workdir / "config.json").is_file():
        changed = differing_fields(config_text, current_config(workdir))
        source = json.loads(config_text)["data"]["source"]
        dissected = any(stage_is_done(workdir, name) or counts_folder(workdir, name).exists() for name in DISSECTING)
        allowed = functools.partial(may_change, source=source, restart=restart, dissected=dissected)
        differing = {name: both for name, both in changed.items() if not allowed(name, *both)}
        if differing:
            fields = "\n".join(f"  config.{k} = {ours!r}, there {theirs!r}" for k, (ours, theirs) in differing.items())
            raise UserError(
                f"workdir {workdir} holds a run of another configuration:\n{fields}\n"
                f"{remedy or f'Give what it has there, or another folder.{_hint(differing)}'}"
            )
        return without_spelling(changed)
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"workdir {workdir} is a file; give a folder")
    if workdir.is_dir() and any(not _is_ours_before_claim(path) for path in workdir.iterdir()):
        raise UserError(
            f"workdir {workdir} is not empty and holds no config.json; expected an empty or new folder, or one of an "
            "earlier run"
        )
    return {}


def _hint(differing: Collection[str]) -> str:
    """What else may be done where these fields differ."""
    if all(name.startswith("optimizer.") for name in differing):
        return " --restart_from=STEP starts training again from a checkpoint, by another optimizer."
    if all(name.startswith("dissection.") for name in differing):
        return " Its network can be dissected otherwise too: interpjax.load, and docs/dissection.md."
    return ""


def read_facts(workdir: Path) -> dict[str, Any]:
    """What :func:`claim_workdir` has stored of the data.

    Raises:
      UserError: if the file is damaged.
    """
    path = workdir / "data.json"
    return json_files.read(
        path, "remove it if the data are those that the run was begun on, and give the command again"
    )


def _is_ours_before_claim(path: Path) -> bool:
    return path.name in BEFORE_CLAIM or path.name.endswith((TEMPORARY, ERROR_LOG))


def claim_workdir(config_text: str, workdir: Path, data: dict[str, Any]) -> None:
    """Stores in a folder which run it holds and on which data; from then on the folder is refused to any other run.

    Args:
      config_text: the run's configuration, as it is stored.
      workdir: the run's folder, which :func:`check_workdir` has passed.
      data: the facts of the data that have to stay the same for the run to go on: names of classes, numbers of images,
        digests of files. Facts that the stages of an earlier call did not use are added.

    Raises:
      UserError: if the run was begun on other data.
    """
    stored = workdir / "data.json"
    if (workdir / "config.json").is_file() and stored.is_file():
        begun = check_data(workdir, data)
        if set(data) - set(begun):
            write_atomic(stored, json_files.to_text(begun | data) + "\n")
        return
    write_atomic(stored, json_files.to_text(data) + "\n")
    write_atomic(workdir / "config.json", config_text + "\n")


def check_data(workdir: Path, data: dict[str, Any]) -> dict[str, Any]:
    """The facts of the data that the run in a folder was begun on; empty if the folder holds no run.

    Raises:
      UserError: naming the first fact that differs from ``data``.
    """
    stored = workdir / "data.json"
    begun = read_facts(workdir) if (workdir / "config.json").is_file() and stored.is_file() else {}
    differing = [name for name in data if name in begun and data[name] != begun[name]]
    if differing:
        name = differing[0]
        raise UserError(
            f"workdir {workdir} was begun on other data: {name} is now {data[name]!r}, it was {begun[name]!r}. "
            "Put the data back, or give another folder."
        )
    return begun


@contextlib.contextmanager
def lock_workdir(workdir: Path) -> Iterator[None]:
    """Keeps another run out of the same folder. The lock of a process that is killed ends with it.

    Of processes that run together, the first one has the lock.

    Raises:
      UserError: if another run is in the folder.
    """
    told = f"workdir {workdir}: another process is running in it; wait for its end, or give another folder"
    with contextlib.ExitStack() as held:

        def lock() -> None:
            try:
                workdir.mkdir(parents=True, exist_ok=True)
            except FileNotFoundError as error:  # although its parents were to be made
                raise UserError(f"workdir {workdir}: cannot be made ({error.strerror}); give another folder") from error
            held.enter_context(locked(workdir, told))
            for left in workdir.rglob(f"*{TEMPORARY}"):
                left.unlink()

        processes.lead(lock)
        yield


@contextlib.contextmanager
def keeping_tracebacks(workdir: Path) -> Iterator[None]:
    """Writes the traceback of any error but a UserError to ``error.log``; the error is raised all the same.

    Of processes that run together, those after the first write to ``process-1-error.log`` and so on.
    """
    number, _ = parallel.shard()
    log = workdir / (f"process-{number}-{ERROR_LOG}" if number else ERROR_LOG)
    try:
        yield
    except UserError:
        raise
    except Exception:
        with contextlib.suppress(OSError):  # on a full disk, the first error is the one to tell
            write_atomic(log, traceback.format_exc())
        raise
    log.unlink(missing_ok=True)  # left by an earlier session


def run_stage(workdir: Path, name: str, function: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], float]:
    """Runs a stage once. Its result is kept in ``stages/NAME.json``, and is read from there the next time.

    Args:
      workdir: the run's folder.
      name: name of the stage.
      function: does the work and returns a JSON-serializable result; that of the first process is kept.

    Returns:
      The result, and the seconds that the stage took when it ran.
    """
    if not processes.lead(lambda: stage_is_done(workdir, name)):
        if processes.leads():
            print(f"{name} …", file=sys.stderr, flush=True)
        start = time.monotonic()
        with refusals(f"stage {name} in {workdir}", less=LESS.get(name, DISSECTED)):
            result = function()
            # A stage that goes on after it was killed returns the seconds that earlier sessions spent in it.
            seconds = time.monotonic() - start + result.pop("earlier_seconds", 0.0)
            record = json_files.to_text({"seconds": seconds, "result": result}, indent=2)
            processes.lead(lambda: write_atomic(_record(workdir, name), record + "\n"))
    stored = processes.lead(lambda: read_stage(workdir, name))
    return stored["result"], stored["seconds"]


def read_stage(workdir: Path, name: str) -> dict[str, Any]:
    """The ``result`` and the ``seconds`` of a stage that is done.

    Raises:
      UserError: if its record is damaged.
    """
    remedy = f"remove it, and the stage {name} is done again"
    return json_files.read(_record(workdir, name), remedy, keys=("result", "seconds"))


def stage_is_done(workdir: Path, name: str) -> bool:
    """Whether a stage is done, that is, has its record."""
    return _record(workdir, name).is_file()


def forget_stage(workdir: Path, name: str) -> None:
    """Removes the record of a stage, if there is one, so that it is run again."""
    _record(workdir, name).unlink(missing_ok=True)


def counts_folder(workdir: Path, stage: str) -> Path:
    """The folder in which a dissection keeps its counts so far, so that it can go on if it is cut off."""
    return workdir / "stages" / stage


def _record(workdir: Path, name: str) -> Path:
    return workdir / "stages" / f"{name}.json"
