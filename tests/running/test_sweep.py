"""Sweeps: their folders, their locks, and what becomes of runs that fail."""

import sys

import pandas as pd
import pytest
import tiny

import interpjax
from interpjax.atomic import locked
from interpjax.errors import UserError
from interpjax.running.records import to_csv


def test_folders_have_names_that_file_systems_take():
    folder_name = sys.modules["interpjax.sweep"]._folder_name
    names = [folder_name({"data.test": "日" * 120, "seed": seed}) for seed in (1, 2)]
    assert all(len(f"{name}.json".encode()) <= 255 for name in names)
    assert names[0] != names[1]
    assert folder_name({"seed": 1, "model.width": 0.5}) == "seed=1,model.width=0.5"


def test_a_second_process_makes_no_runs(tmp_path):
    with locked(tmp_path, "unused"), pytest.raises(UserError, match="another process makes runs in it"):
        interpjax.sweep(tiny.tiny_config(), {"seed": [0]}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.usefixtures("untyped")
def test_what_is_no_choice_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"choices\['seed'\] = 3: expected a sequence of values, as \[3\]"):
        interpjax.sweep(tiny.tiny_config(), {"seed": 3}, tmp_path)


@pytest.mark.parametrize("jobs", [0, 10_000])
def test_a_number_of_jobs_that_cannot_be_makes_no_folder(tmp_path, jobs):
    with pytest.raises(UserError, match=f"jobs = {jobs}: "):
        interpjax.sweep(tiny.tiny_config(), {"seed": [0]}, tmp_path / "runs", jobs=jobs)
    assert not (tmp_path / "runs").exists()


def test_counts_are_written_as_whole_numbers_beside_a_run_that_failed():
    made = {"layer": "conv1", "units": 8, "unique_detectors": 3, "by_chance": 1.0, "calibrated": 2, "layers": 1}
    text = to_csv(pd.DataFrame([made, {"layer": "", "failed": "the disk is full"}]))
    assert text.splitlines()[1:] == ["conv1,8,3,1.0,2,1,", ",,,,,,the disk is full"]


@pytest.mark.long
def test_a_run_of_a_sweep_that_fails_is_told_of_and_the_others_are_made(tmp_path, capsys):
    fields = {"optimizer__name": "sgd", "training__num_steps": 2, "data__directory": str(tmp_path / "data")}
    rates = [1e30, 0.1]
    table = interpjax.sweep(
        tiny.tiny_config(**fields), {"optimizer.learning_rate": rates}, tmp_path / "runs", ("train", "evaluate")
    )
    assert table["failed"].isna().tolist() == [False, True]
    assert "TrainingDivergedError" in table["failed"][0]
    assert table["accuracy"].isna().tolist() == [True, False]
    assert "failed: optimizer.learning_rate=1e+30: TrainingDivergedError" in capsys.readouterr().err
    records = pd.read_csv(tmp_path / "runs" / "results.csv")
    assert records["optimizer.learning_rate"].tolist() == rates
    assert records["accuracy"].isna().tolist() == records["failed"].notna().tolist() == [True, False]
