"""What is noted beside a run: which version of the code made it, when, and in what it failed."""

import datetime
from collections.abc import Mapping
from pathlib import Path

from interpjax import json_files
from interpjax.atomic import write_atomic
from interpjax.config import digest
from interpjax.running.planned import Planned


def note_of(planned: Planned) -> dict[str, str]:
    """Of a run the ``version`` of the code and the ``date`` of its end; empty before.

    If it failed also in what (``failed``), and the digest of the configuration that did (``config``).

    Raises:
      UserError: if the note is damaged.
    """
    path = planned.log("json")
    return json_files.read(path, "remove it") if path.is_file() else {}


def note_end(path: Path, version: str) -> None:
    """Writes down that a run is made, in place of what was noted before.

    Args:
      path: of the note.
      version: of the code.
    """
    _write(path, {"version": version})


def note_failure(planned: Planned, version: str, why: str) -> None:
    """Writes down in what a run failed, in place of what was noted before."""
    _write(planned.log("json"), {"version": version, "failed": why, "config": digest(planned.config)})


def _write(path: Path, made: Mapping[str, str]) -> None:
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_atomic(path, json_files.to_text({**made, "date": date}) + "\n")
