"""JSON as it is written, and files of a workdir that were damaged since."""

import json
import math
import shutil

import pytest
import tiny

import interpjax
from interpjax import json_files
from interpjax.errors import UserError
from interpjax.training.metrics import MetricsWriter, read_metrics


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    config = tiny.tiny_config(training__num_steps=2, data__directory=str(folder / "data"))
    interpjax.run(config, folder / "run", ("train",))
    return config, folder / "run"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_null(value):
    text = json_files.to_text({"a": [1.5, value, (value, 2)], "b": {"c": value}})
    assert json.loads(text, parse_constant=pytest.fail) == {"a": [1.5, None, [None, 2]], "b": {"c": None}}


@pytest.mark.parametrize("damage", [b'{"a": ', b"\xff\xfe", b""])
@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("config.json", "put a copy in its place, or give another folder"),
        ("data.json", "remove it if the data are those that the run was begun on"),
        ("stages/train.json", "remove it, and the stage train is done again"),
        ("summary.json", "remove it, and the same command makes it again"),
    ],
)
def test_damaged_files_are_named_with_what_to_do(finished, tmp_path, name, remedy, damage):
    config, run = finished
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / name
    path.write_bytes(damage)
    stages = ("train", "evaluate") if name.startswith("stages") else ("train",)
    with pytest.raises(UserError) as told:
        interpjax.run(config, tmp_path / "run", stages)
    assert str(told.value).startswith(f"{path}: damaged (")
    assert remedy in str(told.value)


@pytest.mark.parametrize("name", ["data.json", "stages/train.json", "summary.json"])
def test_the_run_goes_on_once_the_damaged_file_is_removed(finished, tmp_path, name):
    config, run = finished
    shutil.copytree(run, tmp_path / "run")
    kept = json.loads((run / "summary.json").read_text())
    (tmp_path / "run" / name).unlink()
    again = interpjax.run(config, tmp_path / "run", ("train",))
    assert again["num_steps"] == kept["num_steps"]


def test_damaged_lines_of_metrics_stop_nothing(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [b'{"step": 1, "loss": 2.0}', b'{"step": 2, "lo', b"\x00\x00\xff", b"3", b'{"step": 4, "loss": null}']
    path.write_bytes(b"\n".join(lines) + b'\n{"step": 5, "loss": 1.0}')
    assert [row["step"] for row in read_metrics(path)] == [1, 4]
    assert math.isnan(read_metrics(path)[1]["loss"])
    with MetricsWriter(tmp_path, from_step=4) as writer:
        writer.write(5, {"loss": math.nan})
    rows = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert rows == [{"step": 1, "loss": 2.0}, {"step": 4, "loss": None}, {"step": 5, "loss": None}]
