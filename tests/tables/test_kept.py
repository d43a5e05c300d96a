"""Results of runs whose folders are gone: kept, shown, not made again, and never lost."""

import pandas as pd
import pytest
import tiny

from interpjax.config import digest, override
from interpjax.errors import UserError
from interpjax.tables import Row, Table, make, make_table, write_table
from interpjax.tables.make import times

STAGES = ("train", "evaluate", "dissect", "chance")


def small_table(**fields):
    config = tiny.tiny_config("two_figures_wd", **fields)
    rows = tuple(Row("a task", name, config, {"conv2": 10}) for name in ("1e-05, rate 1", "NA"))
    return Table("Kept", rows, (3, 4), ("accuracy", "interpretability_score", "by_chance"), STAGES)


def lines_of(table, workdir, without=()):
    """Made-up results of all runs, as the table writes them."""
    found = []
    for row, seed, each in table.planned(workdir):
        for layer, unique in (("conv1", seed), ("conv2", 3 + seed)):
            own = {"section": row.section, "row": row.name, "seed": seed, "layer": layer, "accuracy": 1 / 3}
            own |= {"units": 8, "unique_detectors": unique, "by_chance": 0.1 * unique, "seconds": 7.5}
            own |= {"config": digest(each.config), "version": "0123456789", "date": "2026-11-29T00:00:00+00:00"}
            found.append({name: value for name, value in own.items() if name not in without})
    return pd.DataFrame(found)


def written(table, workdir, **changes):
    found = lines_of(table, workdir)
    for name, value in changes.items():
        found[name] = value
    workdir.mkdir(exist_ok=True)
    found.to_csv(workdir / "results.csv", index=False)
    return (workdir / "results.csv").read_text()


def test_a_table_is_made_of_its_results_alone(tmp_path):
    table = small_table()
    before = written(table, tmp_path)
    assert make_table(table, tmp_path) == {}
    assert (tmp_path / "results.csv").read_text() == before
    cells = pd.read_csv(tmp_path / "table.csv", keep_default_na=False).set_index(["row", "column"])
    assert float(cells.loc[("NA", "interpretability_score"), "value"]) == 10  # of 3 + 6 and 4 + 7
    assert not (tmp_path / "a_task").exists()
    assert [(runs, done, seconds) for _, runs, done, seconds in times(table, tmp_path)] == [(2, 2, 7.5)] * 2


def test_what_decides_no_score_may_differ(tmp_path):
    written(small_table(), tmp_path)
    write_table(small_table(training__log_every_steps=7, data__directory=str(tmp_path / "elsewhere")), tmp_path)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"config": "0" * 10}, "a_task/1e-05_rate_1/seed=3, by another configuration than the table's"),
        ({"row": "another"}, "a_task/another/seed=3, which is not in the table"),
        ({"seed": 9}, "seed=9, which is not in the table"),
    ],
)
def test_results_that_would_be_lost_are_refused(tmp_path, changed, told):
    before = written(small_table(), tmp_path, **changed)
    for call in (make_table, write_table):
        with pytest.raises(UserError, match=f"results.csv alone has the results of .*{told}"):
            call(small_table(), tmp_path)
    assert (tmp_path / "results.csv").read_text() == before


def test_results_that_lie_in_the_folder_of_a_run_too_may_go(tmp_path):
    table = small_table()
    written(table, tmp_path, row="another")
    for seed in table.seeds:
        folder = tmp_path / "a_task" / "another" / f"seed={seed}"
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text("{}")
    write_table(table, tmp_path)
    assert "another" not in (tmp_path / "results.csv").read_text()


@pytest.mark.parametrize("text", ["", "a,b\n1\n1,2,3\n", "row,seed\nx,1\n"])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "results.csv").write_text(text)
    with pytest.raises(UserError, match=r"results\.csv (cannot be read|has no column 'section').*remove it"):
        write_table(small_table(), tmp_path)


@pytest.mark.parametrize("lacking", ["accuracy", "unique_detectors", "by_chance"])
def test_a_run_that_lacks_what_a_stage_measures_is_not_finished(tmp_path, monkeypatch, lacking):
    table = small_table()
    lines_of(table, tmp_path, without=(lacking,)).to_csv(tmp_path / "results.csv", index=False)
    asked = []
    monkeypatch.setattr(make, "unfinished", lambda planned, stages: asked.extend(planned) or [])
    make_table(table, tmp_path)
    assert len(asked) == 4


def test_digest_is_of_what_decides_the_scores():
    config = tiny.tiny_config("two_figures_wd")
    assert digest(config) == digest(override(config, {"data.directory": "/elsewhere", "data.num_threads": 3}))
    for name, value in {"seed": 5, "model.width": 0.3, "dissection.half": "test"}.items():
        assert digest(override(config, {name: value})) != digest(config)
