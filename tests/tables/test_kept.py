"""Results of runs whose folders are gone: kept, shown, not made again, and never lost."""

import dataclasses
import json

import pandas as pd
import pytest
import tiny

import interpjax
from interpjax.config import digest, override, to_json
from interpjax.errors import UserError
from interpjax.tables import Row, Table, comparisons, make, make_table, write_table
from interpjax.tables.make import plan

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
            own |= {
                "units": 8,
                "unique_detectors": unique,
                "by_chance": 0.1 * unique,
                "untrained": 2,
                "layers": 2,
                "seconds": 7.5,
            }
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
    assert [each[1:] for each in plan(table, tmp_path)] == [(2, 2, 0, 0, 7.5, True)] * 2


def test_what_decides_no_score_may_differ(tmp_path):
    written(small_table(), tmp_path)
    write_table(small_table(training__log_every_steps=7, data__directory=str(tmp_path / "elsewhere")), tmp_path)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"config": "0" * 10},
            "a_task/1e-05_rate_1/seed=3, whose folder is gone, by the configuration 0000000000, and the ",
        ),
        ({"config": ""}, "a_task/1e-05_rate_1/seed=3, whose folder is gone, without the digest of its configuration"),
        ({"section": "another"}, "another/1e-05_rate_1/seed=3, which is not in the table"),
    ],
)
def test_results_that_would_be_lost_are_refused(tmp_path, changed, told):
    before = written(small_table(), tmp_path, **changed)
    for call in (make_table, write_table):
        with pytest.raises(UserError, match=f"results.csv has the results of .*{told}"):
            call(small_table(), tmp_path)
    assert (tmp_path / "results.csv").read_text() == before


def test_results_of_another_table_stay_though_the_folders_of_its_runs_are_there(tmp_path):
    table = small_table()
    before = written(table, tmp_path, section="another")
    for _, _, each in table.planned(tmp_path):
        folder = tmp_path / each.place.replace("a_task", "another")
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text("{}")
    with pytest.raises(UserError, match=r"results.csv has the results of another/.*, which is not in the table"):
        write_table(table, tmp_path)
    assert (tmp_path / "results.csv").read_text() == before


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda lines: [], "cannot be read"),
        (lambda lines: [*lines, "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"], "cannot be read"),
        (lambda lines: [lines[0].replace("section", "part"), *lines[1:]], "has no column 'section'"),
        (
            lambda lines: [lines[0], *(line.replace(",8,", ",eight,") for line in lines[1:])],
            "column 'units': .*'eight'",
        ),
        (
            lambda lines: [lines[0], *(line.replace(",8,", ",8.5,") for line in lines[1:])],
            "column 'units': 8.5; expected whole numbers",
        ),
        (lambda lines: [*lines, lines[1]], "has section a task, row 1e-05, rate 1, seed 3, layer conv1 twice"),
        (lambda lines: lines[:-1], "has 1 of the 2 layers of a_task/NA/seed=4"),
    ],
)
def test_a_damaged_file_is_named_and_kept(tmp_path, damage, told):
    written(small_table(), tmp_path)
    path = tmp_path / "results.csv"
    path.write_text("".join(damage(path.read_text().splitlines(keepends=True))))
    before = path.read_text()
    with pytest.raises(UserError, match=rf"results\.csv,? {told}"):
        make_table(small_table(), tmp_path)
    assert path.read_text() == before


def test_a_folder_that_is_removed_while_a_table_is_made_takes_no_results_along(tmp_path, monkeypatch):
    table = small_table()
    every = lines_of(table, tmp_path)
    every[every["row"] == "NA"].to_csv(tmp_path / "results.csv", index=False)

    def meanwhile(planned, stages, jobs, after_each):
        every.to_csv(tmp_path / "results.csv", index=False)  # as if two more were made, and their folders removed
        after_each()
        return {}

    monkeypatch.setattr(make, "unfinished", lambda planned, stages: planned)
    monkeypatch.setattr(make, "run_all", meanwhile)
    make_table(table, tmp_path)
    assert len(pd.read_csv(tmp_path / "results.csv")) == len(every)


def test_a_row_that_is_called_otherwise_in_the_same_folder_keeps_its_results(tmp_path):
    written(small_table(), tmp_path)
    old = small_table()
    rows = (dataclasses.replace(old.rows[0], name="1e-05: rate 1"), old.rows[1])
    write_table(dataclasses.replace(old, rows=rows), tmp_path)
    assert "| 1e-05: rate 1 | 2 |" in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize(
    ("failed", "chosen"), [("TrainingDivergedError: at step 3", {"s": "a"}), ("OSError: no space left at step 3", {})]
)
def test_a_candidate_that_diverged_is_not_chosen_and_one_that_is_to_be_made_again_is_waited_for(
    tmp_path, failed, chosen
):
    config = override(tiny.tiny_config("two_figures_wd"), {"dissection.half": "validation", "data.validation": 0.2})
    rows = tuple(Row("s", name, config) for name in ("a", "b"))
    search = Table("Search", rows, (3,), ("validation_accuracy",), STAGES, search=True)
    found = lines_of(search, tmp_path).assign(validation_accuracy=1.0, failed="")
    for column in ("accuracy", "validation_accuracy", "units", "unique_detectors", "by_chance", "layers", "seconds"):
        found.loc[found["row"] == "b", column] = None
    found.loc[found["row"] == "b", ["layer", "failed"]] = "", failed
    found.drop_duplicates(["row", "layer"]).to_csv(tmp_path / "results.csv", index=False)
    write_table(search, tmp_path)
    assert json.loads((tmp_path / "chosen.json").read_text()) == chosen
    assert "at step 3" in (tmp_path / "results.csv").read_text()
    diverged = failed.startswith("TrainingDiverged")  # which is not made again
    told = [(each.done, each.failed, each.left) for each in plan(search, tmp_path)]
    assert told == [(1, 0, 0), (0, 1, 0 if diverged else 1)]
    text = (tmp_path / "table.md").read_text()
    assert f"Failed: s/b/seed=3: {failed}" in text
    assert f"Chosen of s: {chosen.get('s', 'none, for')}" in text


@pytest.mark.parametrize("lacking", ["accuracy", "unique_detectors", "by_chance"])
def test_a_run_that_lacks_what_a_stage_measures_is_not_finished(tmp_path, monkeypatch, lacking):
    table = small_table()
    lines_of(table, tmp_path, without=(lacking,)).to_csv(tmp_path / "results.csv", index=False)
    asked = []
    monkeypatch.setattr(make, "unfinished", lambda planned, stages: asked.extend(planned) or [])
    make_table(table, tmp_path)
    assert len(asked) == 4
    assert [each.done for each in plan(table, tmp_path)] == [0, 0]


def test_digest_is_of_what_decides_the_scores():
    config = tiny.tiny_config("two_figures_wd")
    assert digest(config) == digest(override(config, {"data.directory": "/elsewhere", "data.num_threads": 3}))
    for name, value in {"seed": 5, "model.width": 0.3, "dissection.half": "test", "dissection.broden": "b"}.items():
        assert digest(override(config, {name: value})) != digest(config)
    large = interpjax.get_config("places365_gbn")
    same = {"data.directory": "/elsewhere"}
    assert digest(override(large, same)) == digest(large)
    for name, value in {"data.train": "train[:10%]", "model.weights": "w.npz", "data.mean_image": "m.npy"}.items():
        assert digest(override(large, {name: value})) != digest(large)
    brodens = [override(large, {"dissection.broden": place}) for place in ("/a/broden", "/b/broden")]
    assert digest(brodens[0]) == digest(brodens[1])
    weights = [override(large, {"model.weights": place}) for place in ("/a/one.npz", "/b/one.npz", "/b/two.npz")]
    assert digest(weights[0]) == digest(weights[1]) != digest(weights[2])


def with_folders(table, folder, seeds):
    """Makes folders of runs that have a summary, but nothing else of a dissection."""
    for _, seed, each in table.planned(folder):
        if seed in seeds:
            each.folder.mkdir(parents=True)
            (each.folder / "config.json").write_text(to_json(each.config))
            summary = {"layers": {"conv1": {"units": 8, "unique_detectors": 3}}, "seconds": {"train": 1.0}}
            (each.folder / "summary.json").write_text(json.dumps(summary))


def test_a_plan_refuses_folders_of_another_configuration(tmp_path):
    with_folders(small_table(), tmp_path, (3,))
    with pytest.raises(UserError, match=r"(?s)the run a_task/1e-05_rate_1/seed=3: .*num_steps = 7, there 6"):
        plan(small_table(training__num_steps=7), tmp_path)


@pytest.mark.parametrize(
    ("fields", "seeds"), [(("seed", "data.two_figures.seed"), [3, 4]), (("seed", "data.two_figures.train_images"), [3])]
)
def test_a_page_has_all_seeds_unless_each_is_a_setting_of_its_own(tmp_path, monkeypatch, fields, seeds):
    table = dataclasses.replace(small_table(), seed_fields=fields)
    with_folders(table, tmp_path, (3, 4))
    asked = []
    monkeypatch.setattr(comparisons, "compare", lambda runs, page: asked.append((runs, page)))
    comparisons.write_comparisons(table, tmp_path)
    ((runs, page),) = asked
    assert page == tmp_path / "a_task" / "comparison.html"
    assert runs == [each.folder for seed in seeds for _, own, each in table.planned(tmp_path) if own == seed]


def test_a_page_that_cannot_be_made_stops_no_table(tmp_path, capsys):
    table = small_table()
    written(table, tmp_path)
    with_folders(table, tmp_path, (4,))
    write_table(table, tmp_path)
    told = capsys.readouterr().err
    assert "a_task/comparison.html is not written: " in told
    assert "NA/seed=4" in told or "1e-05_rate_1/seed=4" in told
    assert "| NA | 2 |" in (tmp_path / "table.md").read_text()
    assert not (tmp_path / "a_task" / "comparison.html").exists()
