"""Checkpoints on a disk that is full, and of another network."""

import resource

import numpy as np
import pytest

from interpjax.training.checkpoint import CheckpointError, Checkpoints, Progress
from interpjax.training.state import TrainState

PROGRESS = Progress({"next_index": 24}, 1.5, ("bad.jpg",))


def state(step, filters=600):
    kernel = np.random.default_rng(step).normal(size=(3, 3, 64, filters)).astype(np.float32)
    return TrainState(np.asarray(step, np.int32), {"conv": {"kernel": kernel}}, {}, (np.zeros(3, np.float32),))


def test_state_and_progress_come_back_bit_for_bit(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 3):
        checkpoints.save(state(step), PROGRESS)
    assert checkpoints.latest == 3
    restored, progress = checkpoints.restore(state(0))
    checkpoints.close()
    np.testing.assert_array_equal(restored.params["conv"]["kernel"], state(3).params["conv"]["kernel"])
    assert int(restored.step) == 3
    assert progress == PROGRESS
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["2", "3"]


# Of the write that failed, orbax leaves a task on an event loop that is closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_full_disk_leaves_the_last_good_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(state(1), PROGRESS)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # no file may grow further: as on a full disk
    try:
        with pytest.raises(
            CheckpointError, match=r"step 2 could not be written to .*checkpoints \(.*last good .* step 1"
        ):
            checkpoints.save(state(2), PROGRESS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    again = Checkpoints(tmp_path, keep=2)
    restored, _ = again.restore(state(0))
    np.testing.assert_array_equal(restored.params["conv"]["kernel"], state(1).params["conv"]["kernel"])
    again.save(state(2), PROGRESS)  # room again: it goes on
    assert again.latest == 2
    again.close()


def test_checkpoint_of_another_network_or_none_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        checkpoints.restore(state(0))
    checkpoints.save(state(1), PROGRESS)
    with pytest.raises(CheckpointError, match="checkpoints/1 cannot be read"):
        checkpoints.restore(state(0, filters=10))
    checkpoints.close()
