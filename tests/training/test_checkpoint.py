"""Checkpoints on a disk that is full, and of another network."""

import gc
import resource

import jax
import numpy as np
import pytest
import tiny

from interpjax import config as config_lib
from interpjax import models, training
from interpjax.training.checkpoint import Checkpoints
from interpjax.training.checkpoint_errors import CheckpointError
from interpjax.training.saved import Position
from interpjax.training.state import TrainState

POSITION = Position({"next_index": 24}, 1.5, ("bad.jpg",))


NETWORK = models.create_model("two_figures_cnn", num_classes=2, width=0.0625)


def latest_step(workdir):
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.latest


def state(step, filters=600):
    kernel = np.random.default_rng(step).normal(size=(3, 3, 64, filters)).astype(np.float32)
    return TrainState(np.asarray(step, np.int32), {"conv": {"kernel": kernel}}, {}, (np.zeros(3, np.float32),))


@pytest.fixture
def nothing_kept_of_compiling():
    """The folder of what was compiled is on the full disk, too: nothing takes so long that it is written there."""
    name = "jax_persistent_cache_min_compile_time_secs"
    before = getattr(jax.config, name)
    jax.config.update(name, 1e9)
    yield
    jax.config.update(name, before)


def test_state_and_progress_come_back_bit_for_bit(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(state(step), POSITION)
        assert checkpoints.latest == 3
        restored, progress = checkpoints.restore(state(0))
    np.testing.assert_array_equal(restored.params["conv"]["kernel"], state(3).params["conv"]["kernel"])
    assert int(restored.step) == 3
    assert progress == POSITION
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["2", "3"]


@pytest.fixture
def left_tasks():
    """What orbax leaves of a write or a read that failed, as tasks of a closed event loop, is collected in the test."""
    yield
    gc.collect()


@pytest.mark.usefixtures("left_tasks")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_full_disk_leaves_the_last_good_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(state(1), POSITION)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # no file may grow further: as on a full disk
    try:
        with pytest.raises(CheckpointError, match=r"(?i)step 2 .* written to .*file too large.*last good .* step 1"):
            checkpoints.save(state(2), POSITION)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with Checkpoints(tmp_path, keep=2) as again:
        restored, _ = again.restore(state(0))
        np.testing.assert_array_equal(restored.params["conv"]["kernel"], state(1).params["conv"]["kernel"])
        again.save(state(2), POSITION)  # room again: it goes on
        assert again.latest == 2


@pytest.mark.usefixtures("left_tasks")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_checkpoint_of_another_network_or_none_is_refused(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        with pytest.raises(CheckpointError, match="holds no checkpoint"):
            checkpoints.restore(state(0))
        checkpoints.save(state(1), POSITION)
        with pytest.raises(CheckpointError, match=r"checkpoints/1 cannot be used: params/conv/kernel has the shape"):
            checkpoints.restore(state(0, filters=10))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("left_tasks", "nothing_kept_of_compiling")
def test_full_disk_in_the_middle_of_a_run_says_so_and_loses_nothing(tmp_path):
    config = tiny.tiny_config(data__directory=str(tmp_path / "data"))
    (tmp_path / "run").mkdir()
    tiny.train(config_lib.override(config, {"training.num_steps": 2}), tmp_path / "run")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        with pytest.raises((CheckpointError, OSError), match=r"cannot be written|could not be written") as caught:
            tiny.train(config, tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(tmp_path / "run") in str(caught.value)
    assert latest_step(tmp_path / "run") == 2
    tiny.train(config, tmp_path / "run")
    assert latest_step(tmp_path / "run") == 6


def test_reading_changes_nothing_and_needs_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        Checkpoints(tmp_path)
    assert not list(tmp_path.iterdir())
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state(1), POSITION)
        unfinished = tmp_path / "checkpoints" / "2.orbax-checkpoint-tmp"
        unfinished.mkdir()  # as of a run that is writing
        with Checkpoints(tmp_path) as reader:
            assert reader.latest == 1
        assert unfinished.is_dir()


@pytest.mark.long
def test_parameters_that_are_not_finite_are_never_a_checkpoint(tmp_path):
    config = tiny.tiny_config(
        optimizer__name="sgd",
        optimizer__learning_rate=1e30,
        optimizer__schedule="constant",
        training__checkpoint_every_steps=1,
        data__directory=str(tmp_path / "data"),
    )
    with pytest.raises(training.TrainingDivergedError, match=r"step \d: (the loss|a parameter) is not finite"):
        tiny.train(config, tmp_path / "run")
    for folder in (tmp_path / "run" / "checkpoints").iterdir():
        variables = training.read_variables(NETWORK, 40, tmp_path / "run")
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables)), folder
