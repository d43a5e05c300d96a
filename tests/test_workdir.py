"""Who may have a folder, and what a kill leaves in it."""

import pytest
import tiny

from interpjax import atomic
from interpjax import config as config_lib
from interpjax import workdir as workdir_lib

DATA = {"class_names": ["a", "b"], "train_images": 10}


def test_killed_while_claiming_can_be_run_again(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data.json").write_text("[]")
    left = tmp_path / f"config.json.123{atomic.TEMPORARY}"
    left.write_text("{")
    config = config_lib.to_json(tiny.tiny_config())
    workdir_lib.check_workdir(config, tmp_path)
    with workdir_lib.lock_workdir(tmp_path):
        workdir_lib.claim_workdir(config, tmp_path, DATA)
    assert not left.exists()
    workdir_lib.check_workdir(config, tmp_path)


def test_run_does_not_go_on_with_other_data(tmp_path):
    config = config_lib.to_json(tiny.tiny_config())
    workdir_lib.claim_workdir(config, tmp_path, DATA)
    workdir_lib.claim_workdir(config, tmp_path, DATA)
    with pytest.raises(ValueError, match=r"begun on other data: train_images is now 11, it was 10"):
        workdir_lib.claim_workdir(config, tmp_path, DATA | {"train_images": 11})


def test_second_process_is_kept_out(tmp_path):
    with (
        workdir_lib.lock_workdir(tmp_path),
        pytest.raises(ValueError, match="another process is running in it"),
        workdir_lib.lock_workdir(tmp_path),
    ):
        pass
    with workdir_lib.lock_workdir(tmp_path):
        pass


def test_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    atomic.write_atomic(path, "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_finished_stage_is_read_and_a_failed_one_is_not_recorded(tmp_path):
    calls = []

    def stage():
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("cut off")
        return {"value": 7, "earlier_seconds": 100.0}

    with pytest.raises(RuntimeError, match="cut off"):
        workdir_lib.run_stage(tmp_path, "dissect", stage)
    for _ in range(2):
        result, seconds = workdir_lib.run_stage(tmp_path, "dissect", stage)
        assert result == {"value": 7}
        assert 100 <= seconds < 101
    assert len(calls) == 2
