"""Checkpoints: the state of training and the position in the data, kept by orbax."""

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


class CheckpointError(UserError):
    """A checkpoint could not be written or read; the message names the folder."""


@dataclasses.dataclass(frozen=True)
class Position:
    """Where training stands, which a checkpoint holds beside the state.

    Attributes:
      data: where the training iterator stands.
      seconds: spent in training so far.
      skipped: names of the images that were left out so far.
    """

    data: dict[str, Any] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    skipped: tuple[str, ...] = ()


class Checkpoints:
    """The checkpoints of a run. One is either whole or not there: orbax renames it into place when it is done."""

    def __init__(self, workdir: Path, *, keep: int | None = None):
        """Opens ``workdir/checkpoints``.

        Args:
          workdir: the run's folder.
          keep: how many of the latest to keep, by the run that writes them; it also removes what a kill left
            unfinished. None for a reader, which changes nothing, so that it may read while a run writes.

        Raises:
          CheckpointError: if a reader finds no such folder.
        """
        self._folder = (workdir / "checkpoints").absolute()
        if keep is None and not self._folder.is_dir():
            raise CheckpointError(f"{self._folder} holds no checkpoint")
        policies = ocp.training.preservation_policies
        self._orbax = ocp.training.Checkpointer(
            self._folder,
            preservation_policy=policies.PreserveAll() if keep is None else policies.LatestN(keep),
            cleanup_tmp_directories=keep is not None,
        )

    @property
    def latest(self) -> int | None:
        """The step of the latest checkpoint, None if there is none."""
        return self._orbax.latest.step if self._orbax.latest else None

    def save(self, state: TrainState, position: Position) -> None:
        """Writes a checkpoint and waits until it is whole.

        Args:
          state: of one device, as numpy arrays.
          position: what else is needed to go on.

        Raises:
          CheckpointError: if it cannot be written, as on a full disk; earlier checkpoints stay.
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
          CheckpointError: if there is none, or it is of another network or optimizer.
        """
        tree = self._load(_as_tree(like), whole=True)
        stored = self._orbax.metadata().custom_metadata
        position = Position(stored["data"], stored["seconds"], tuple(stored["skipped"]))
        return _from_tree(tree, like), position

    def restore_variables(self, like: Mapping[str, PyTree]) -> dict[str, PyTree]:
        """Reads the network alone, whatever it was trained by, with what was trained beside it.

        Args:
          like: the network's variables, or their shapes.

        Raises:
          CheckpointError: if there is no checkpoint, or it is of another network.
        """
        self._require_one()
        stored: Any = self._orbax.metadata(self.latest).metadata
        found = {name: stored[name] for name in ("params", "batch_stats") if stored.get(name)}
        for path, leaf in flatten_dict(dict(like), sep="/").items():
            there = flatten_dict(found, sep="/").get(path)
            if there is None or tuple(there.shape) != tuple(leaf.shape):
                has = "is not there" if there is None else f"has the shape {tuple(there.shape)}"
                raise CheckpointError(
                    f"checkpoint {self._folder}/{self.latest} cannot be read: {path} {has}; expected {leaf.shape}"
                )
        return self._load(found, whole=False)

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
            raise CheckpointError(f"checkpoint {self._folder}/{self.latest} cannot be read: {error}") from error
        return jax.tree.map(np.asarray, tree)

    def _require_one(self) -> None:
        if self.latest is None:
            raise CheckpointError(f"{self._folder} holds no checkpoint")

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends orbax's threads; those of a write that failed say so a second time, which is not needed."""
        with _without_tracebacks(), contextlib.suppress(Exception) if error else contextlib.nullcontext():
            self._orbax.close()


@contextlib.contextmanager
def _without_tracebacks() -> Iterator[None]:
    """Keeps orbax's threads from printing a traceback each; the error that is raised says it once."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _as_tree(state: TrainState) -> dict[str, Any]:
    """As plain dictionaries that any orbax can read; the optimizer's memory by the paths in its own classes."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state.opt_state)
    memory = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
    return {"step": state.step, "params": state.params, "batch_stats": state.batch_stats, "opt_state": memory}


def _from_tree(tree: dict[str, Any], like: TrainState) -> TrainState:
    names = _as_tree(like)["opt_state"]
    memory = [tree["opt_state"][name] for name in names]
    opt_state = jax.tree.unflatten(jax.tree.structure(like.opt_state), memory)
    return TrainState(tree["step"], tree["params"], tree["batch_stats"], opt_state)


def _reason(error: BaseException) -> str:
    """What the system said; of a storage library's long account, the end, where the system's words are."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) < 200 else f"…{line[-160:]}"
