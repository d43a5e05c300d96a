"""Checkpoints, which hold the state of training and the position in the data. Orbax writes and reads them."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jax.sharding import SingleDeviceSharding
from orbax.checkpoint import v1 as ocp

from interpjax.errors import UserError
from interpjax.training.state import TrainState

PyTree = Any
AVERAGE = "average"  # its name in a checkpoint, which only a training that keeps one has


class CheckpointError(UserError):
    """A checkpoint could not be written or read; the message names the folder."""


@dataclasses.dataclass(frozen=True)
class Position:
    """Where training stands, which a checkpoint holds beside the state.

    Attributes:
      data: the position of the training iterator, as the iterator gives it.
      seconds: the seconds that training has taken so far.
      skipped: names of the images that were left out so far.
    """

    data: dict[str, Any] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    skipped: tuple[str, ...] = ()


class Checkpoints:
    """The checkpoints of a run. Each is whole or not there at all, for orbax renames it into place when it is whole."""

    def __init__(self, workdir: Path, *, keep: int | None = None):
        """Opens ``workdir/checkpoints``.

        Args:
          workdir: the run's folder.
          keep: how many of the latest checkpoints the run that writes them keeps; with it, checkpoints that were left
            unfinished are removed. None is for a reader, which changes nothing and so may read while a run writes.

        Raises:
          CheckpointError: if ``keep`` is None and there is no such folder.
        """
        self._folder = (workdir / "checkpoints").absolute()
        if keep is None and not self._folder.is_dir():
            raise CheckpointError(f"{self._folder} holds no checkpoint; run the stage train first")
        policies = ocp.training.preservation_policies
        self._orbax = ocp.training.Checkpointer(
            self._folder,
            preservation_policy=policies.PreserveAll() if keep is None else policies.LatestN(keep),
            cleanup_tmp_directories=keep is not None,
        )

    @property
    def latest(self) -> int | None:
        """The step of the latest checkpoint; None if there is none."""
        return self._orbax.latest.step if self._orbax.latest else None

    def save(self, state: TrainState, position: Position) -> None:
        """Writes a checkpoint and waits until it is whole.

        Args:
          state: the state of training on one device, as NumPy arrays.
          position: where training stands.

        Raises:
          CheckpointError: if the checkpoint cannot be written, as on a full disk. Earlier checkpoints stay.
        """
        step = int(state.step)
        try:
            with _without_tracebacks():
                self._orbax.save(step, _as_tree(state), custom_metadata=dataclasses.asdict(position))
        except Exception as error:  # orbax passes on whatever its storage libraries raise
            kept = f"the last good one is of step {self.latest}" if self.latest is not None else "there is none yet"
            raise CheckpointError(
                f"checkpoint of step {step} could not be written to {self._folder} ({_reason(error)}); {kept}. "
                "If the disk is full, make room; the same command goes on from there."
            ) from error

    def restore(self, like: TrainState) -> tuple[TrainState, Position]:
        """Reads the latest checkpoint.

        Args:
          like: a state (or its shapes) of the same network and optimizer.

        Raises:
          CheckpointError: if there is no checkpoint, or it is of another network or optimizer.
        """
        tree = self._load(_as_tree(like), whole=True)
        stored = self._orbax.metadata().custom_metadata
        position = Position(stored["data"], stored["seconds"], tuple(stored["skipped"]))
        return _from_tree(tree, like), position

    def restore_variables(self, like: Mapping[str, PyTree]) -> dict[str, PyTree]:
        """Reads only the variables of the latest checkpoint, whatever optimizer the network was trained with.

        Where training kept an average of them, it is this average.

        Parameters that were trained beside the network are read with them.

        Args:
          like: the network's variables, or their shapes.

        Raises:
          CheckpointError: if there is no checkpoint, or it is of another network.
        """
        self._require_one()
        stored: Any = self._orbax.metadata(self.latest).metadata
        averaged = bool(stored.get(AVERAGE))
        held = stored[AVERAGE] if averaged else stored
        found = {name: held[name] for name in ("params", "batch_stats") if held.get(name)}
        shapes = flatten_dict(found, sep="/")
        for path, leaf in flatten_dict(dict(like), sep="/").items():
            there = shapes.get(path)
            if there is None or tuple(there.shape) != tuple(leaf.shape):
                has = "is not there" if there is None else f"has the shape {tuple(there.shape)}"
                raise CheckpointError(
                    f"checkpoint {self._folder}/{self.latest} cannot be read: {path} {has}; expected {leaf.shape}"
                )
        return self._load({AVERAGE: found}, whole=False)[AVERAGE] if averaged else self._load(found, whole=False)

    def _load(self, like: PyTree, *, whole: bool) -> PyTree:
        self._require_one()
        one_device = SingleDeviceSharding(jax.local_devices()[0])
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=one_device), like)
        context = ocp.Context()
        context.pytree.loading.partial_load = not whole
        try:
            with context:
                tree = self._orbax.load(None, shapes)
        except (ValueError, KeyError, OSError) as error:
            raise CheckpointError(
                f"checkpoint {self._folder}/{self.latest} cannot be read; expected a whole one of this network and "
                f"optimizer: {error}"
            ) from error
        return jax.tree.map(np.asarray, tree)

    def _require_one(self) -> None:
        if self.latest is None:
            raise CheckpointError(f"{self._folder} holds no checkpoint; run the stage train first")

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends orbax's threads. Those of a write that failed raise its error once more, which is left out."""
        with _without_tracebacks(), contextlib.suppress(Exception) if error else contextlib.nullcontext():
            self._orbax.close()


@contextlib.contextmanager
def _without_tracebacks() -> Iterator[None]:
    """Keeps each of orbax's threads from printing a traceback of an error that is raised anyway."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _as_tree(state: TrainState) -> dict[str, Any]:
    """The state as plain dictionaries, with the optimizer's memory by its paths, so that any orbax can read them."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state.opt_state)
    memory = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
    tree = {"step": state.step, "params": state.params, "batch_stats": state.batch_stats, "opt_state": memory}
    return tree if state.average is None else tree | {AVERAGE: state.average}


def _from_tree(tree: dict[str, Any], like: TrainState) -> TrainState:
    names = _as_tree(like)["opt_state"]
    memory = [tree["opt_state"][name] for name in names]
    opt_state = jax.tree.unflatten(jax.tree.structure(like.opt_state), memory)
    return TrainState(tree["step"], tree["params"], tree["batch_stats"], opt_state, tree.get(AVERAGE))


def _reason(error: BaseException) -> str:
    """The operating system's words for an error. In a long message of a storage library they are at the end."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) < 200 else f"…{line[-160:]}"
