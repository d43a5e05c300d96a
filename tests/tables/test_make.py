"""Tables of small experiments: made, stopped, failing and gone on with."""

import dataclasses
import json
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import tiny

from interpjax.config import override, to_json
from interpjax.errors import UserError
from interpjax.running import queue
from interpjax.tables import Row, Table, make_table, read_table
from interpjax.tables.make import plan

COLUMNS = ("accuracy", "validation_accuracy", "interpretability_score", "conv2", "calibrated", "untrained", "rud")


def small_table(**fields):
    """Two rows of seconds, and one whose loss becomes infinite."""
    given = {"data__validation": 0.2, "dissection__chance__draws": 3, "training__num_steps": 3} | fields
    rows = [
        Row("task", name, tiny.tiny_config(f"two_figures_{name}", **given), {"conv2": number})
        for name, number in (("wd", 10.0), ("gbn", 12.0))
    ]
    diverging = override(rows[0].config, {"optimizer.name": "sgd", "optimizer.learning_rate": 1e30})
    return Table("Small & quick", (*rows, Row("task", "diverging", diverging)), (3, 4), COLUMNS)


def without_the_last(table):
    return dataclasses.replace(table, rows=table.rows[:-1])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a table that was made two runs at once, and what failed."""
    folder = tmp_path_factory.mktemp("table")
    return folder, make_table(small_table(), folder, jobs=2)


@pytest.mark.long
def test_runs_that_fail_are_told_and_the_others_are_made(made):
    folder, failed = made
    assert set(failed) == {"task/diverging/seed=3", "task/diverging/seed=4"}
    assert all("TrainingDivergedError" in why and "\n" not in why for why in failed.values())
    note = json.loads((folder / "logs" / "task--diverging--seed=3.json").read_text())
    assert note["failed"] == failed["task/diverging/seed=3"]
    table = pd.read_csv(folder / "results.csv")
    failures = table[table["failed"].notna()]
    assert failures[["row", "seed"]].values.tolist() == [["diverging", 3], ["diverging", 4]]
    assert failures["failed"].tolist() == [failed[f"task/diverging/seed={seed}"] for seed in (3, 4)]
    assert failures[["accuracy", "units", "seconds"]].isna().all(axis=None)
    table = table.drop(index=failures.index)
    assert table[["row", "seed", "layer"]].values.tolist() == [
        [name, seed, layer] for seed in (3, 4) for name in ("wd", "gbn") for layer in ("conv1", "conv2")
    ]
    for row, seed in (("wd", 3), ("gbn", 4)):
        summary = json.loads((folder / "task" / row / f"seed={seed}" / "summary.json").read_text())
        own = table[(table["row"] == row) & (table["seed"] == seed)].set_index("layer")
        assert (own["accuracy"] == summary["accuracy"]).all()
        for layer, scores in summary["layers"].items():
            assert own.loc[layer, "unique_detectors"] == scores["unique_detectors"]
            chance = summary["chance"]
            assert own.loc[layer, "untrained"] == chance["untrained"]["layers"][layer]["unique_detectors"]
            assert own.loc[layer, "calibrated"] == chance["labels"]["layers"][layer]["calibrated_unique_detectors"]
    assert table["version"].notna().all()
    assert table["date"].str.match(r"20\d\d-\d\d-\d\dT").all()


@pytest.mark.long
def test_table_has_all_rows_and_the_published_numbers(made):
    folder, _ = made
    text = (folder / "table.md").read_text()
    assert "| task | wd | 2 |" in text
    assert "|  | diverging | 0 |" in text
    assert "| 12 |" in text
    cells = pd.read_csv(folder / "table.csv").set_index(["row", "column"])
    runs = pd.read_csv(folder / "results.csv")
    scores = runs.groupby(["row", "seed"])["unique_detectors"].sum()
    assert cells.loc[("gbn", "interpretability_score"), "value"] == scores["gbn"].mean()
    difference = (scores["gbn"] - scores["wd"]).mean()
    assert cells.loc[("gbn", "interpretability_score"), "difference_value"] == difference
    assert cells.loc[("gbn", "conv2"), "published"] == 12
    assert (folder / "table.tex").read_text().count(r"\\") == 4
    page = (folder / "task" / "comparison.html").read_text()
    assert "regularizer.block_norm.strength" in page
    assert all(f"{row}/seed={seed}" in page for row in ("wd", "gbn") for seed in (3, 4))


@pytest.mark.long
def test_what_is_finished_is_not_made_again_and_other_fields_are_refused(made):
    folder, _ = made
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("seed=*/summary.json")}
    assert len(before) == 4
    table = without_the_last(small_table())
    assert make_table(table, folder) == {}
    assert {path: path.stat().st_mtime_ns for path in before} == before
    told = {each.row.slug: (each.runs, each.done) for each in plan(table, folder)}
    assert told == {"task/wd": (2, 2), "task/gbn": (2, 2)}
    written = (folder / "table.md").read_text()
    changed = without_the_last(small_table(training__num_steps=5))
    with pytest.raises(UserError, match=r"(?s)the run task/wd/seed=3: .*config.training.num_steps = 5, there 3"):
        make_table(changed, folder)
    other = dataclasses.replace(table, rows=(table.rows[0], changed.rows[1]))  # of which no run is asked for
    with pytest.raises(UserError, match=r"(?s)the run task/gbn/seed=3: .*config.training.num_steps = 5, there 3"):
        make_table(other, folder, only="wd")
    assert (folder / "table.md").read_text() == written


@pytest.mark.long
def test_in_one_process_runs_are_those_of_many(made, tmp_path):
    folder, _ = made
    failed = make_table(small_table(), tmp_path, seeds=(4,), only="wd")
    assert failed == {}
    one, many = (pd.read_csv(place / "results.csv") for place in (tmp_path, folder))
    many = many[(many["row"] == "wd") & (many["seed"] == 4)].reset_index(drop=True)
    volatile = ["seconds", "date", "version"]
    pd.testing.assert_frame_equal(one.drop(columns=volatile), many.drop(columns=volatile), rtol=1e-5)
    assert "train" in (tmp_path / "logs" / "task--wd--seed=4.txt").read_text()


@pytest.mark.long
def test_a_signal_stops_the_runs_and_the_same_command_goes_on(tmp_path):
    config = tiny.tiny_config("two_figures_wd", training__num_steps=4000, training__checkpoint_every_steps=4000)
    (tmp_path / "config.json").write_text(to_json(config))
    process, metrics = started(tmp_path)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM; the same command goes on" in told
    assert "stopped by SIGTERM" in (tmp_path / "table" / "logs" / "s--r--seed=0.txt").read_text()
    assert list((metrics.parent / "checkpoints").iterdir())
    # Killed, it can tell them nothing; they stop all the same, and save.
    process, _ = started(tmp_path)
    log = tmp_path / "table" / "logs" / "s--r--seed=1.txt"
    before = log.read_text().count("stopped by SIGTERM")
    process.kill()
    process.communicate()
    wait_until(lambda: log.read_text().count("stopped by SIGTERM") > before)


def started(tmp_path):
    """The command, and the metrics of its first run, which are being written."""
    metrics = tmp_path / "table" / "s" / "r" / "seed=0" / "metrics.jsonl"
    size = metrics.stat().st_size if metrics.is_file() else 0
    (tmp_path / "long.py").write_text(LONG)
    command = [sys.executable, "-m", "interpjax", "table", "long.py", "--workdir=table", "--jobs=2"]
    process = tiny.start_command(command, tmp_path)
    other = metrics.parents[1] / "seed=1" / "metrics.jsonl"
    wait_until(lambda: all(path.is_file() and path.stat().st_size > size for path in (metrics, other)))
    assert process.poll() is None, process.communicate()[1]
    return process, metrics


def wait_until(true):
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < 120
        time.sleep(0.2)


LONG = """
import pathlib
from interpjax.config import from_json
from interpjax.running import queue
from interpjax.tables import Row, Table

def get_table():
    config = from_json(pathlib.Path("config.json").read_text())
    return Table("long", (Row("s", "r", config),), (0, 1), ("accuracy",), ("train", "evaluate"))
"""


def test_mistakes_are_told_before_anything_is_made(tmp_path):
    with pytest.raises(UserError, match=r"only = 'none', .* its rows are task/wd, task/gbn, task/diverging"):
        make_table(small_table(), tmp_path, only="none")
    with pytest.raises(UserError, match="two rows have the folder 'task/wd'"):
        Table("twice", (small_table().rows[0],) * 2, (0,))
    row = small_table().rows[0]
    alike = (dataclasses.replace(row, section="a--b", name="c"), dataclasses.replace(row, section="a", name="b--c"))
    with pytest.raises(UserError, match="two rows have the log 'a--b--c'"):
        Table("alike", alike, (0,))
    with pytest.raises(UserError, match=r"'日{40}'… have 304 bytes; expected 200 at most"):
        Table("long", (dataclasses.replace(row, section="日" * 100, name="wd"),), (0,))
    with pytest.raises(UserError, match=r"stages = \('train', 'dissect'\): expected evaluate and dissect among"):
        Table("search", (row,), (0,), ("conv1",), stages=("train", "dissect"), search=True)
    with pytest.raises(UserError, match=r"columns is 'accuracy'; expected a tuple of one at least"):
        Table("columns", (row,), (0,), columns="accuracy")
    with pytest.raises(UserError, match=r"seeds is 3; expected a tuple of one at least"):
        Table("seeds", (row,), 3)
    with pytest.raises(UserError, match=r"rows is a list of 1; expected a tuple"):
        Table("rows", [row], (0,))
    with pytest.raises(UserError, match=r"column 'conv9' is measured in the stage dissect"):
        Table("stages", (row,), (0,), ("zero_groups", "conv9"), stages=("train", "evaluate"))
    with pytest.raises(UserError, match=r"column 'calibrated/conv1' is measured in the stage chance; expected it"):
        Table("stages", (row,), (0,), columns=("calibrated/conv1",), stages=("train", "dissect"))
    with pytest.raises(UserError, match="'tain' is not a stage"):
        dataclasses.replace(small_table(), stages=("tain",))
    with pytest.raises(UserError, match=r"jobs = 1000: this machine has \d+ cores"):
        make_table(small_table(), tmp_path / "jobs", jobs=1000)
    assert not (tmp_path / "jobs").exists()
    with pytest.raises(UserError, match=r"seeds = .*: 9 of table .*; expected some of 3, 4, none twice"):
        make_table(small_table(), tmp_path, seeds=(3, 9))
    with pytest.raises(UserError, match=r"seeds = .*: 3 of table"):
        make_table(small_table(), tmp_path, seeds=(3, 3))
    with pytest.raises(UserError, match=r"seeds = \(1, 1\): expected none of them twice"):
        dataclasses.replace(small_table(), seeds=(1, 1))
    wrong = small_table(model__name="none")
    with pytest.raises(UserError, match=r"the run task/wd/seed=3: config.model.name = 'none'"):
        make_table(wrong, tmp_path / "wrong")
    assert [path.name for path in (tmp_path / "wrong").iterdir()] == [".lock"]
    with pytest.raises(UserError, match="has no function get_table"):
        read_table("two_figures_wd")


def test_files_and_columns_that_make_no_table_are_told_of(tmp_path):
    row = small_table().rows[0]
    with pytest.raises(UserError, match="row task/wd has the config 'two_figures_wd'; expected an experiment"):
        Table("text", (dataclasses.replace(row, config="two_figures_wd"),), (0,))
    with pytest.raises(UserError, match="row 5 has the config None; expected an experiment"):
        Table("number", (5,), (0,))
    for slip, meant in (("acuracy", "accuracy"), ("calibratd/conv1", "calibrated")):
        with pytest.raises(
            UserError, match=f"column '{slip}': did you mean '{meant}'. Expected a layer, or one of accuracy, "
        ):
            Table("slip", (row,), (0,), (slip,))
    assert Table("layers", (row,), (0,), ("calibrated/fc6", "fc6", "conv")).columns == ("calibrated/fc6", "fc6", "conv")
    (tmp_path / "rows.py").write_text("def get_table():\n    return []\n")
    with pytest.raises(UserError, match=r"rows.py': get_table returns a list; expected a Table"):
        read_table(str(tmp_path / "rows.py"))


def test_runs_under_way_are_stopped_where_what_follows_one_fails(tmp_path, monkeypatch):
    table = small_table(training__num_steps=4000)
    planned = [each for _, _, each in table.planned(tmp_path)][:2]
    processes = []
    stand_in = "import sys, time; time.sleep(int(sys.argv[1]))"

    def start(each, *_):
        seconds = "0" if not processes else "600"
        command = [sys.executable, "-c", stand_in, seconds]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, text=True))
        return processes[-1]

    monkeypatch.setattr(queue, "_start", start)
    with pytest.raises(OSError, match="disk"):
        queue.run_all(planned, ("train",), jobs=2, after_each=raise_full)
    assert processes[1].returncode == -signal.SIGTERM


def raise_full():
    raise OSError("the disk is full")
