"""Profiles of chosen steps: the files, the same training, and what is refused."""

import jax
import numpy as np
import pytest
import tiny

from interpjax import stopping
from interpjax.config.checks import validate
from interpjax.prepare import prepare
from interpjax.training import profiling
from interpjax.training.checkpoint import Checkpoints
from interpjax.training.profiling import Profile


@pytest.fixture
def traced(monkeypatch):
    """What the profiler was told to do, instead of its doing it."""
    told = []
    monkeypatch.setattr(profiling.jax.profiler, "start_trace", lambda folder: told.append(("start", folder.name)))
    monkeypatch.setattr(profiling.jax.profiler, "stop_trace", lambda: told.append(("stop",)))
    return told


@pytest.mark.parametrize(("steps", "first"), [((3, 4), 1), ((3, 4), 4), ((5, 5), 1), ((1, 6), 1)])
def test_the_steps_from_first_to_last_are_recorded(traced, tmp_path, steps, first):
    recorded = []
    with Profile(tmp_path / "profile", steps) as profile:
        for step in range(first, 7):
            profile.before(step)
            if traced and traced[-1][0] == "start":
                recorded.append(step)
            profile.after(step, np.float32(0))
    assert recorded == list(range(max(first, steps[0]), steps[1] + 1))
    assert traced == [("start", "profile"), ("stop",)]


@pytest.mark.parametrize(("steps", "first"), [((), 1), ((1, 2), 3)])
def test_without_steps_or_behind_them_nothing_is_recorded(traced, tmp_path, steps, first):
    with Profile(tmp_path, steps) as profile:
        for step in range(first, 5):
            profile.before(step)
            profile.after(step, np.float32(0))
    assert traced == []


def test_a_training_that_is_stopped_ends_its_profile(traced, tmp_path):
    def run():
        with Profile(tmp_path / "profile", (2, 9)) as profile:
            profile.before(2)
            raise stopping.Stopped(2)

    with pytest.raises(stopping.Stopped):
        run()
    assert traced == [("start", "profile"), ("stop",)]


@pytest.mark.long
def test_the_files_are_there_and_the_training_is_the_same(tmp_path):
    states = []
    for name, steps in (("plain", ()), ("profiled", (2, 3))):
        config = tiny.tiny_config(training__profile_steps=steps, data__directory=str(tmp_path / "data"))
        (tmp_path / name).mkdir()
        tiny.train(config, tmp_path / name)
        with Checkpoints(tmp_path / name) as checkpoints:
            states.append(checkpoints.restore(tiny.initial_state(config))[0])
    jax.tree.map(np.testing.assert_array_equal, *states)
    (found,) = (tmp_path / "profiled" / "profile").rglob("*.xplane.pb")
    assert b"train_step" in found.read_bytes()
    assert not (tmp_path / "plain" / "profile").exists()


@pytest.mark.parametrize("steps", [(3,), (0, 2), (4, 3), (1, 2, 3), (1.5, 2), "12"])
def test_steps_that_are_no_first_and_last_are_refused(steps, untyped):
    config = tiny.tiny_config()
    with config.unlocked():
        config.training.profile_steps = steps if isinstance(steps, tuple) else tuple(steps)
    with pytest.raises(
        ValueError, match=r"config.training.profile_steps = \(.*\): expected the numbers of a first and"
    ):
        validate(config)


def test_steps_beyond_the_training_are_refused(tmp_path):
    config = tiny.tiny_config(training__profile_steps=(5, 7), data__directory=str(tmp_path))
    with pytest.raises(
        ValueError,
        match=r"config.training.profile_steps = \(5, 7\): expected steps of the training, which has 6 of them",
    ):
        prepare(config, tmp_path / "run", ("train",))
