"""What was changed in a workdir since its run was begun, a line each in ``changes.jsonl``."""

import datetime
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interpjax import json_files
from interpjax.atomic import write_atomic
from interpjax.errors import UserError

CHANGES, MACHINE = "changes.jsonl", "machine.json"
REMEDY = "put a copy in its place, or give another folder"


def current_config(workdir: Path) -> str:
    """The configuration that a run in a folder goes by: that of ``config.json``, with all changes since.

    Raises:
      UserError: if a file is damaged.
    """
    config = json_files.read(workdir / "config.json", REMEDY)
    for change in _read(workdir):
        for name, values in change["fields"].items():
            *groups, last = name.split(".")
            at = config
            for group in groups:
                at = at.setdefault(group, {})
            at[last] = values["now"]
    return json.dumps(config, indent=2, sort_keys=True)


def restarted_from(workdir: Path) -> int | None:
    """The step from which training was last started again; None if it never was.

    Raises:
      UserError: if the file of changes is damaged.
    """
    steps = [change["restart_from"] for change in _read(workdir) if "restart_from" in change]
    return steps[-1] if steps else None


def record_changes(
    workdir: Path,
    fields: Mapping[str, tuple[Any, Any]],
    *,
    step: int,
    machine: Mapping[str, Any],
    restart_from: int | None = None,
) -> None:
    """Adds a line to ``changes.jsonl`` if anything has changed, and tells of it on standard error.

    Args:
      workdir: the run's folder.
      fields: ``{field: (now, before)}`` of all fields that changed.
      step: the step of the latest checkpoint.
      machine: the devices and the CPU that the run goes on with.
      restart_from: the step from which training starts again; None if it goes on from the latest checkpoint.
    """
    change: dict[str, Any] = {name: {"before": before, "now": now} for name, (now, before) in fields.items()}
    for name, values in change.items():
        print(f"config.{name} = {values['now']!r}, it was {values['before']!r}", file=sys.stderr)
    line: dict[str, Any] = {"time": datetime.datetime.now(datetime.UTC).isoformat(), "step": step, "fields": change}
    if restart_from is not None:
        line["restart_from"] = restart_from
    before = _machine(workdir)
    if before is None:
        write_atomic(workdir / MACHINE, json_files.to_text(machine) + "\n")
    elif before != machine:
        line["machine"] = machine
        print(
            f"this machine ({_words(machine)}) is another than before ({_words(before)}): from step {step} on, the run "
            "is no longer bit for bit the one that it would have been",
            file=sys.stderr,
        )
    if change or set(line) - {"time", "step", "fields"}:
        write_atomic(workdir / CHANGES, json_files.to_lines([*_read(workdir), line]))


def _machine(workdir: Path) -> dict[str, Any] | None:
    """The machine that the run was last on; None if it is not known."""
    if not (workdir / MACHINE).is_file():
        return None
    changed = [change["machine"] for change in _read(workdir) if "machine" in change]
    return changed[-1] if changed else json_files.read(workdir / MACHINE, "remove it")


def _words(machine: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items())


def _read(workdir: Path) -> list[dict[str, Any]]:
    path = workdir / CHANGES
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); {REMEDY}") from error
