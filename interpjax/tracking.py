"""Logs a run to Weights & Biases too, where the package wandb is installed and a project is named."""

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from interpjax import json_files, processes
from interpjax.atomic import write_atomic
from interpjax.errors import LONGEST, UserError

T = TypeVar("T")
ID_FILE = "wandb.json"  # in the workdir: which run of wandb it is


class Tracker:
    """Where metrics and scores go beside the workdir: to a run of wandb, or nowhere."""

    def __init__(self, project: str = "", run: Any = None):
        """Takes over an open run.

        Args:
          project: its name, for errors.
          run: of ``wandb.init``; None if nothing is to be logged.
        """
        self._project, self._run = project, run
        self._first = 0 if run is None else _told(project, lambda: run.step)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Logs metrics of a step; those of steps that an earlier session has logged are there already.

        Raises:
          UserError: naming ``config.wandb``, if wandb cannot take them.
        """
        if self._run is not None and step >= self._first:
            _told(self._project, lambda: self._run.log(dict(metrics), step=step))

    def summarize(self, scores: Mapping[str, float]) -> None:
        """Notes the scores of the run, as wandb's summary has them.

        Raises:
          UserError: as :meth:`log`.
        """
        if self._run is not None:
            _told(self._project, lambda: self._run.summary.update(dict(scores)))


def check(project: str) -> None:
    """Checks that a project can be logged to, as far as that shows without the network.

    Args:
      project: ``config.wandb``; empty if nothing is to be logged.

    Raises:
      UserError: naming the field, if the package wandb is not installed.
    """
    if not project or not processes.leads():
        return
    try:
        import wandb
    except ImportError as error:
        raise UserError(_missing(project, str(error))) from error
    if not hasattr(wandb, "init"):  # a folder of wandb's logs in the current folder is taken for a package, too
        raise UserError(_missing(project, "there is only a folder of this name"))


def _missing(project: str, words: str) -> str:
    return (
        f"config.wandb = {project!r}: expected the package wandb ({words}); install it (pip install wandb), or leave "
        "the field empty"
    )


@contextlib.contextmanager
def tracked(project: str, workdir: Path, config: Mapping[str, Any]) -> Iterator[Tracker]:
    """Opens the run of wandb that belongs to a workdir, and closes it at the end of the block.

    Of several processes only the first logs.

    Args:
      project: of wandb; empty if nothing is to be logged.
      workdir: the run's folder. It gives the run its name, and keeps its id, by which later sessions go on in it.
      config: the configuration, by field.

    Raises:
      UserError: naming ``config.wandb``, where wandb refuses: without a login, a network, or a right to the project.
    """
    if not project:
        yield Tracker()
        return
    run = processes.together(lambda: _opened(project, workdir, config) if processes.leads() else None)
    try:
        yield Tracker(project, run)
    except BaseException:
        with contextlib.suppress(Exception):  # this must not hide why the run ended
            if run is not None:
                run.finish(exit_code=1)
        raise
    if run is not None:
        _told(project, run.finish)


def _opened(project: str, workdir: Path, config: Mapping[str, Any]) -> Any:
    """The run of wandb, begun or gone on with."""
    import wandb

    own = _id(workdir)
    return _told(
        project,
        lambda: wandb.init(
            project=project,
            name=workdir.name,
            id=own,
            resume="allow",
            dir=str(workdir),
            config=dict(config),
            allow_val_change=True,  # fields that change no result may be others in a later session
        ),
    )


def _id(workdir: Path) -> str:
    path = workdir / ID_FILE
    if not path.is_file():
        write_atomic(path, json_files.to_text({"id": secrets.token_hex(8)}) + "\n")
    return json_files.read(path, "remove it, and another run of wandb is begun", keys=("id",))["id"]


def _told(project: str, call: Callable[[], T]) -> T:
    """What a call of wandb gives; whatever it raises is told in one line."""
    try:
        return call()
    except Exception as error:  # its errors have no class in common, and those of its connection pass through it
        words = " ".join(str(error).split())[:LONGEST] or type(error).__name__
        raise UserError(
            f"config.wandb = {project!r}: Weights & Biases refuses ({words}); expected a login (wandb login) and a "
            "network, or WANDB_MODE=offline in the environment, or the field empty; the same command then goes on"
        ) from error
