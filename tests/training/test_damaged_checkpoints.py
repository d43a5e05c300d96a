"""Checkpoints that were damaged after they were written are never read as if they were whole."""

import errno
import gc
import json
import os
import shutil

import numpy as np
import pytest

from interpjax.training.checkpoint import DAMAGED, Checkpoints
from interpjax.training.checkpoint_errors import CheckpointError
from interpjax.training.saved import Position, kept_steps
from interpjax.training.state import TrainState

# What orbax leaves of a read that failed, as tasks of a closed event loop, is collected in the test.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def state(step):
    kernel = np.random.default_rng(step).normal(size=(3, 3, 8, 10)).astype(np.float32)
    batch_stats = {"bn": {"mean": np.full(4, step, np.float32)}}
    return TrainState(np.asarray(step, np.int32), {"conv": {"kernel": kernel}}, batch_stats, (np.ones(3, np.float32),))


def position(step):
    return Position({"next_index": step}, 1.5 * step, ("bad.jpg",), skipped_steps=step)


@pytest.fixture
def workdir(tmp_path):
    with Checkpoints(tmp_path, keep=3) as checkpoints:
        for step in (2, 4):
            checkpoints.save(state(step), position(step))
    yield tmp_path
    gc.collect()


def same(found, expected):
    np.testing.assert_array_equal(found.params["conv"]["kernel"], expected.params["conv"]["kernel"])
    np.testing.assert_array_equal(found.batch_stats["bn"]["mean"], expected.batch_stats["bn"]["mean"])
    np.testing.assert_array_equal(found.opt_state[0], expected.opt_state[0])


def files(workdir):
    folder = workdir / "checkpoints" / "4"
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def flipped(content, rng):
    content = bytearray(content)
    content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
    return bytes(content)


@pytest.mark.long
def test_whatever_is_damaged_what_is_read_is_what_was_written(workdir, capsys):
    shutil.copytree(workdir / "checkpoints", workdir / "whole")
    rng, passed_over = np.random.default_rng(0), set()
    for file in files(workdir):
        for how in ("missing", "half", "empty", "flipped", "flipped", "flipped"):
            shutil.rmtree(workdir / "checkpoints")
            shutil.copytree(workdir / "whole", workdir / "checkpoints")
            path = workdir / "checkpoints" / "4" / file
            content = path.read_bytes()
            kept = {"half": content[: len(content) // 2], "empty": b"", "flipped": flipped(content, rng)}
            path.write_bytes(kept[how]) if how in kept else path.unlink()
            with Checkpoints(workdir) as reader:
                variables = reader.restore_variables(state(0).variables)
            with Checkpoints(workdir, keep=3) as checkpoints:
                restored, where = checkpoints.restore(state(0))
            step = int(restored.step)
            same(restored, state(step))
            assert where == position(step)
            np.testing.assert_array_equal(variables["params"]["conv"]["kernel"], state(step).params["conv"]["kernel"])
            told = capsys.readouterr().err
            assert (f"{workdir}/checkpoints/4 is passed over: " in told) == (step == 2)
            passed_over |= {file.name} if step == 2 else set()
    assert {"_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt"} < passed_over


def damage_note(workdir, step, change):
    """Changes what a checkpoint's own metadata say of it, so that they are still JSON."""
    path = workdir / "checkpoints" / str(step) / "_CHECKPOINT_METADATA"
    metadata = json.loads(path.read_text())
    change(metadata["custom_metadata"])
    path.write_text(json.dumps(metadata))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda note: note["checksums"].update({"params/conv/kernel": 1}), "params/conv/kernel: not the numbers"),
        (lambda note: note["checksums"].pop("params/conv/kernel"), "its arrays are not those that were written"),
        (lambda note: note.pop("checksums"), "its checksums or the position of training are not there"),
        (lambda note: note["data"].update({"next_index": 5}), "the position of training is not the one"),
        (lambda note: note.update({"skipped_steps": 0}), "the position of training is not the one"),
    ],
)
def test_a_damaged_one_is_passed_over_told_of_and_moved_away(workdir, capsys, change, message):
    damage_note(workdir, 4, change)
    with Checkpoints(workdir, keep=3) as checkpoints:
        restored, where = checkpoints.restore(state(0))
        assert int(restored.step) == 2
        assert where == position(2)
        checkpoints.save(state(3), position(3))
        assert checkpoints.latest == 3
    told = capsys.readouterr().err
    assert f"{workdir}/checkpoints/4 is passed over: {message}" in told
    assert f"{workdir}/checkpoints/4 is moved to {workdir}/{DAMAGED}\n" in told
    assert kept_steps(workdir) == (2, 3)
    assert (workdir / DAMAGED / "4" / "_CHECKPOINT_METADATA").is_file()


def test_no_other_than_the_step_asked_for_is_read_and_none_that_is_damaged(workdir):
    damage_note(workdir, 4, lambda note: note["checksums"].update({"params/conv/kernel": 1}))
    with Checkpoints(workdir) as reader:
        with pytest.raises(CheckpointError, match=r"checkpoints/4 is damaged: params/conv.* remove stages/train.json"):
            reader.restore_variables(state(0).variables, at=4)
        with pytest.raises(CheckpointError, match=r"checkpoints/5 is damaged: .*5"):
            reader.restore_variables(state(0).variables, at=5)
    damage_note(workdir, 2, lambda note: note["checksums"].update({"params/conv/kernel": 1}))
    with (
        Checkpoints(workdir) as reader,
        pytest.raises(CheckpointError, match=r"checkpoints/4 is damaged: .*checkpoints/2 is damaged: .*Put a copy"),
    ):
        reader.restore_variables(state(0).variables)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ESTALE, os.strerror(errno.ESTALE)),
        ValueError(f"Error opening file [OS error 24: {os.strerror(errno.EMFILE)}]"),
    ],
)
def test_what_the_machine_refuses_is_no_damage(workdir, monkeypatch, error):
    def refuse(*arguments, **named):
        raise error

    with Checkpoints(workdir, keep=3) as checkpoints:
        with monkeypatch.context() as patched:
            patched.setattr(checkpoints, "_load", refuse)
            with pytest.raises(CheckpointError, match=r"checkpoints/4 cannot be read: (the|too many)"):
                checkpoints.restore(state(0))
            error = MemoryError()  # which whoever reads knows how to mend
            with pytest.raises(MemoryError):
                checkpoints.restore(state(0))
        same(checkpoints.restore(state(0))[0], state(4))
    assert kept_steps(workdir) == (2, 4)


def test_a_checkpoint_can_be_required_to_be_whole(workdir):
    with Checkpoints(workdir) as reader:
        reader.require_whole(4)
        damage_note(workdir, 2, lambda note: note["checksums"].update({"params/conv/kernel": 1}))
        with pytest.raises(
            CheckpointError,
            match=r"checkpoints/2 cannot be read \(params/conv/.*\); .* step: 4",
        ):
            reader.require_whole(2)


def test_a_step_that_is_there_already_is_not_written_without_a_word(workdir):
    with Checkpoints(workdir, keep=3) as checkpoints:
        for step in (3, 4):
            with pytest.raises(CheckpointError, match=rf"checkpoint of step {step} could not be written"):
                checkpoints.save(state(step), position(step))


def test_one_of_an_older_version_without_checksums_is_read(workdir):
    def older(note):
        del note["checksums"], note["skipped_steps"]

    damage_note(workdir, 4, older)
    with Checkpoints(workdir, keep=3) as checkpoints:
        restored, where = checkpoints.restore(state(0))
    same(restored, state(4))
    assert where == Position({"next_index": 4}, 6.0, ("bad.jpg",))


def test_weights_that_are_not_finite_are_refused_by_name(workdir):
    wrong = state(6)
    wrong.params["conv"]["kernel"][0, 0, 0, :2] = np.nan
    with Checkpoints(workdir, keep=3) as checkpoints:
        checkpoints.save(wrong, position(6))
        with pytest.raises(CheckpointError, match=r"checkpoints/6 cannot be used: params/conv/kernel has 2 numbers"):
            checkpoints.restore_variables(state(0).variables)
