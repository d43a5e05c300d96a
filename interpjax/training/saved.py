"""What a checkpoint holds: the state of training as plain dictionaries, and the position that it stands at."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from interpjax.training.state import TrainState

PyTree = Any
FOLDER = "checkpoints"  # in a workdir
AVERAGE = "average"  # its name in a checkpoint, which only a training that keeps one has
MEMORY = "opt_state"  # what the optimizer remembers, likewise


@dataclasses.dataclass(frozen=True)
class Position:
    """Where training stands, which a checkpoint holds beside the state.

    Attributes:
      data: the position of the training iterator, as the iterator gives it.
      seconds: the seconds that training has taken so far.
      skipped: names of the images that were left out so far.
      skipped_steps: how many steps, the latest in a row, were left out as not finite.
    """

    data: dict[str, Any] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    skipped: tuple[str, ...] = ()
    skipped_steps: int = 0


@dataclasses.dataclass(frozen=True)
class Stored:
    """What a checkpoint tells of itself: the shapes in it, their checksums (None of an older version), the position."""

    step: int
    shapes: Mapping[str, PyTree]
    sums: Mapping[str, int] | None
    position: Position


def kept_steps(workdir: Path) -> tuple[int, ...]:
    """The steps of the checkpoints in a workdir, the latest last."""
    folder = workdir / FOLDER
    return tuple(sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())) if folder.is_dir() else ()


def drop_checkpoints(workdir: Path, *, after: int) -> None:
    """Removes the checkpoints of later steps. Where this is cut off, what is left is damaged, and is passed over."""
    for step in reversed([step for step in kept_steps(workdir) if step > after]):
        shutil.rmtree(workdir / FOLDER / str(step))


def as_tree(state: TrainState) -> dict[str, Any]:
    """The state as plain dictionaries, with the optimizer's memory by its paths, so that any orbax can read them."""
    tree = {"step": state.step, "params": state.params, "batch_stats": state.batch_stats}
    tree[MEMORY] = memory_by_name(state.opt_state)
    return tree if state.average is None else tree | {AVERAGE: state.average}


def memory_by_name(opt_state: PyTree) -> dict[str, Any]:
    """What an optimizer remembers, by the paths of its leaves."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(opt_state)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def from_tree(tree: dict[str, Any], like: TrainState) -> TrainState:
    """The inverse of :func:`as_tree`, with the form of another state."""
    memory = [tree[MEMORY][name] for name in memory_by_name(like.opt_state)]
    opt_state = jax.tree.unflatten(jax.tree.structure(like.opt_state), memory)
    return TrainState(tree["step"], tree["params"], tree["batch_stats"], opt_state, tree.get(AVERAGE))
