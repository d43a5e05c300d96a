"""Checkpoints, which hold the state of training and the position in the data. Orbax writes and reads them."""

import contextlib
import dataclasses
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import SingleDeviceSharding
from orbax.checkpoint import v1 as ocp

from interpjax import parallel, processes
from interpjax.errors import OUT_OF_MEMORY, refused
from interpjax.training.checkpoint_errors import CheckpointError, DamagedError, reason, root, without_tracebacks
from interpjax.training.checksums import by_name, checksum_of_json, checksums, misfit, not_finite
from interpjax.training.optimizer import memory_at
from interpjax.training.saved import AVERAGE, FOLDER, MEMORY, Position, Stored, as_tree, from_tree, memory_by_name
from interpjax.training.state import TrainState

PyTree = Any
T = TypeVar("T")
DAMAGED = "damaged_checkpoints"  # in a workdir
CHECKSUMS, POSITION = "checksums", "position"  # beside the position: of every array by its name, and of the position


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
        self._workdir = workdir.absolute()
        self._folder = self._workdir / FOLDER
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
        step, tree, stands = int(state.step), as_tree(state), dataclasses.asdict(position)
        sums = checksums(by_name(tree)) | {POSITION: checksum_of_json(stands)}
        try:
            with without_tracebacks():
                saved = self._orbax.save(step, tree, custom_metadata=stands | {CHECKSUMS: sums})
            if not saved:
                raise RuntimeError(f"a checkpoint of step {self.latest} is there already")
        except Exception as error:  # orbax passes on whatever its storage libraries raise
            kept = f"the last good one is of step {self.latest}" if self.latest is not None else "there is none yet"
            raise CheckpointError(
                f"checkpoint of step {step} could not be written to {self._folder} ({reason(error)}); {kept}. "
                "If the disk is full, make room; the same command goes on from there."
            ) from error

    def restore(self, like: TrainState, *, anew_at: int | None = None) -> tuple[TrainState, Position]:
        """Reads the latest checkpoint that is not damaged. Damaged ones are told of, and moved out of the way.

        Args:
          like: a state of the same network and optimizer, at its start.
          anew_at: the step from which training was started again, perhaps with another optimizer: if the memory of this
            one is not of the form in the checkpoint of that step, it begins anew, which is told.

        Raises:
          CheckpointError: if there is no checkpoint, all are damaged, one cannot be read for want of a right or of
            memory or the like, or it is of another network or optimizer.
          UserError: if processes that run together can read different ones.
        """

        def read(step: int) -> tuple[TrainState, Position]:
            stored, tree = self._stored(step), as_tree(like)
            shapes = dict(stored.shapes)
            anew = step == anew_at and bool(misfit(by_name(shapes.get(MEMORY, {})), tree[MEMORY]))
            if anew:
                del tree[MEMORY]
                shapes.pop(MEMORY, None)
            self._require_fit(step, misfit(by_name(shapes), by_name(tree)))
            found = self._load(stored, tree, whole=not anew)
            if anew:
                print(f"another optimizer: its memory begins anew at step {step}", file=sys.stderr)
                found[MEMORY] = memory_by_name(memory_at(like.opt_state, step))
            return from_tree(found, like), stored.position

        state, position = processes.together(lambda: self._of_latest_whole(read))
        processes.agreed("latest checkpoint that can be read", int(state.step))
        self._set_aside(after=int(state.step))
        return state, position

    def require_whole(self, step: int) -> None:
        """Raises CheckpointError, naming the others, if the checkpoint of a step is damaged or cannot be read."""
        try:
            stored = self._stored(step)
            self._load(stored, dict(stored.shapes), whole=True)
        except Exception as error:  # orbax passes on whatever its storage libraries raise
            others = ", ".join(str(each) for each in self._steps() if each != step) or "none"
            raise CheckpointError(
                f"checkpoint {self._folder}/{step} cannot be read ({reason(error)}); put a copy in its place, or take "
                f"that of another step: {others}"
            ) from error

    def restore_variables(self, like: Mapping[str, PyTree], *, at: int | None = None) -> dict[str, PyTree]:
        """Reads only the variables of the latest checkpoint that is not damaged, whatever the optimizer was.

        Where training kept an average of them, it is this average.

        Parameters that were trained beside the network are read with them.

        Args:
          like: the network's variables, or their shapes.
          at: the step that the checkpoint has to be of; by default, damaged ones are told of and passed over.

        Raises:
          CheckpointError: if there is no such checkpoint, it is damaged or of another network, or the variables in it
            are not finite.
        """

        def read(step: int) -> dict[str, PyTree]:
            stored = self._stored(step)
            averaged = bool(stored.shapes.get(AVERAGE))
            held = stored.shapes[AVERAGE] if averaged else stored.shapes
            shapes = {name: held[name] for name in ("params", "batch_stats") if held.get(name)}
            self._require_fit(step, misfit(by_name(shapes), by_name(like), surplus=True))
            found = self._load(stored, {AVERAGE: shapes} if averaged else shapes, whole=False)
            found = found[AVERAGE] if averaged else found
            self._require_fit(step, not_finite(by_name(found)))
            return found

        return self._of_latest_whole(read, at)

    def _steps(self) -> list[int]:
        return [each.step for each in self._orbax.checkpoints]

    def _of_latest_whole(self, read: Callable[[int], T], at: int | None = None) -> T:
        """What ``read`` gives of the latest checkpoint that is not damaged, or of that of one step."""
        if self.latest is None:
            raise CheckpointError(f"{self._folder} holds no checkpoint; run the stage train first")
        damaged = {}
        for step in reversed(self._steps()) if at is None else [at]:
            try:
                return read(step)
            except (CheckpointError, MemoryError):
                raise
            except Exception as error:  # of damage, orbax passes on whatever its storage libraries raise
                if OUT_OF_MEMORY in str(error):
                    raise
                told = refused(root(error))
                if told is not None:  # the checkpoint is none the worse for it
                    raise CheckpointError(f"checkpoint {self._folder}/{step} cannot be read: {told}") from error
                damaged[step] = reason(error)
            if at is None:
                print(f"checkpoint {self._folder}/{step} is passed over: {damaged[step]}", file=sys.stderr)
        told = "; ".join(f"checkpoint {self._folder}/{step} is damaged: {why}" for step, why in damaged.items())
        raise CheckpointError(
            f"{told}. Put a copy in its place; or remove stages/train.json in the workdir, and training goes on from "
            f"an earlier checkpoint, or begins anew if {FOLDER} is removed too"
        )

    def _stored(self, step: int) -> Stored:
        """What a checkpoint tells of itself, which is checked as far as it can be without its arrays."""
        found: Any = self._orbax.metadata(step)
        if not isinstance(found.custom_metadata, dict) or not isinstance(found.metadata, dict):
            raise DamagedError("its metadata cannot be read")
        notes, shapes = dict(found.custom_metadata), dict(found.metadata)
        sums = notes.pop(CHECKSUMS, None)
        if sums is None and set(notes) != {"data", "seconds", "skipped"}:  # which an older version wrote without them
            raise DamagedError("its checksums or the position of training are not there")
        if sums is not None and set(sums) != {*by_name(shapes), POSITION}:
            raise DamagedError("its arrays are not those that were written")
        if sums is not None and sums[POSITION] != checksum_of_json(notes):
            raise DamagedError("the position of training is not the one that was written")
        return Stored(step, shapes, sums, Position(**notes | {"skipped": tuple(notes.get("skipped", ()))}))

    def _load(self, stored: Stored, like: PyTree, *, whole: bool) -> dict[str, PyTree]:
        one_device = SingleDeviceSharding(jax.local_devices()[0])
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=one_device), like)
        context = ocp.Context()
        context.pytree.loading.partial_load = not whole
        if processes.several():  # each reads for itself: one that fails must not leave the others waiting in orbax
            own, _ = parallel.shard()
            context.multiprocessing.primary_host, context.multiprocessing.active_processes = own, {own}
        with context:
            tree = jax.tree.map(np.asarray, self._orbax.load(stored.step, shapes))
        found, written = checksums(by_name(tree)), stored.sums
        differing = [name for name in found if written is not None and written[name] != found[name]]
        if differing:
            raise DamagedError(f"{', '.join(differing)}: not the numbers that were written")
        return tree

    def _require_fit(self, step: int, wrong: str) -> None:
        if wrong:
            raise CheckpointError(f"checkpoint {self._folder}/{step} cannot be used: {wrong}")

    def _set_aside(self, after: int) -> None:
        """Moves the damaged checkpoints of later steps away, so that training can write these steps again."""

        def move() -> bool:
            later = [step for step in self._steps() if step > after]
            for step in later:
                aside = self._workdir / DAMAGED / str(step)
                aside.parent.mkdir(exist_ok=True)
                if aside.exists():
                    shutil.rmtree(aside)
                (self._folder / str(step)).rename(aside)
                print(f"checkpoint {self._folder}/{step} is moved to {aside.parent}", file=sys.stderr)
            return bool(later)

        if processes.lead(move):
            self._orbax.reload()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends orbax's threads. Those of a write that failed raise its error once more, which is left out."""
        with without_tracebacks(), contextlib.suppress(Exception) if error else contextlib.nullcontext():
            self._orbax.close()
