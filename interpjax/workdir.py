"""The folder of one run: its configuration, and what its finished stages left in it."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from interpjax import config as config_lib


# What a run that was killed before it claimed its folder may have left there.
BEFORE_CLAIM = ("data", "classes.json")


def write_atomic(path: Path, content: str | bytes) -> None:
    """Writes a file so that it is either there in full or not at all, also after a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # of a write that failed, as on a full disk


def check_workdir(config: ConfigDict, workdir: Path) -> None:
    """Refuses a folder that this run cannot have.

    Raises:
      ValueError: if it holds a run of another configuration (the differing fields are named), or other things
        than a run.
    """
    stored = workdir / "config.json"
    if stored.is_file():
        differing = config_lib.differing_fields(config, stored.read_text())
        if differing:
            fields = "\n".join(f"  config.{k} = {ours!r}, there {theirs!r}" for k, (ours, theirs) in differing.items())
            raise ValueError(
                f"workdir {workdir} holds a run of another configuration:\n{fields}\n"
                "Give another --workdir, or remove that one."
            )
    elif workdir.exists() and not workdir.is_dir():
        raise ValueError(f"workdir {workdir} is a file; give a folder")
    elif workdir.is_dir() and any(path.name not in BEFORE_CLAIM for path in workdir.iterdir()):
        raise ValueError(f"workdir {workdir} is not empty and holds no config.json: it is not a run of interpjax")


def claim_workdir(config: ConfigDict, workdir: Path, class_names: tuple[str, ...]) -> None:
    """Stores in a folder which run it holds; from now on it is refused to any other."""
    write_atomic(workdir / "classes.json", json.dumps(class_names) + "\n")
    write_atomic(workdir / "config.json", config_lib.to_json(config) + "\n")


def run_stage(workdir: Path, name: str, function: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], float]:
    """Runs a stage once: its result is kept in ``stages/NAME.json`` and read from there the next time.

    Args:
      workdir: the run's folder.
      name: of the stage.
      function: does the work and returns a JSON-serializable result.

    Returns:
      The result, and the seconds that the stage took when it ran.
    """
    record = workdir / "stages" / f"{name}.json"
    if not record.is_file():
        start = time.monotonic()
        result = function()
        # A stage that goes on after a kill knows of the seconds spent before it.
        seconds = time.monotonic() - start + result.pop("earlier_seconds", 0.0)
        write_atomic(record, json.dumps({"seconds": seconds, "result": result}, indent=2) + "\n")
    stored = json.loads(record.read_text())
    return stored["result"], stored["seconds"]
