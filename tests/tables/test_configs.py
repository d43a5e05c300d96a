"""The tables in ``configs/``: each row is an experiment that can be, and stands beside what was published."""

import re
from pathlib import Path

import pytest

from interpjax.commands import table as command
from interpjax.config import differing_fields, validate
from interpjax.config.files import config_directory, config_names, get_config
from interpjax.configs.table_small import CHOSEN
from interpjax.errors import UserError
from interpjax.tables import read_table

RESULTS = Path(__file__).parents[2] / "results"
TABLES = {
    "table_seed": 12,
    "table_cgl": 8,
    "table_cgl:imagenet": 5,
    "table_architectures": 9,
    "table_small": 11,
    "table_small:finetuned": 7,
    "table_small:search": 12,
    "table_small:finetuned_search": 12,
    "table_two_figures": 8,
    "table_two_figures:published_width": 5,
    "table_two_figures:controls": 12,
    "table_two_figures:exponents": 25,
    "table_two_figures:strengths": 14,
    "table_two_figures:search": 32,
}


@pytest.mark.parametrize(("name", "rows"), TABLES.items())
def test_every_row_is_a_valid_experiment(name, rows):
    table = read_table(name)
    assert len(table.rows) == rows
    for row in table.rows:
        validate(row.config)
    for section in table.sections:
        own = [row for row in table.rows if row.section == section]
        assert len({row.config.model.name for row in own}) == 1
    for row in table.rows:
        assert set(row.published) <= set(table.columns)


def test_every_table_of_the_project_is_known_here_and_none_is_an_experiment():
    assert {path.stem for path in config_directory().glob("table_*.py")} == {name.partition(":")[0] for name in TABLES}
    assert not [name for name in config_names() if name.startswith("table")]


def test_the_file_of_a_table_is_no_experiment():
    with pytest.raises(UserError, match=r"config 'table_seed': .* has no function get_config; .*`interpjax table`"):
        get_config("table_seed")


def test_published_sums_are_those_of_the_layers():
    for row in read_table("table_cgl").rows:
        layers = [row.published[name] for name in row.published if name.startswith("conv")]
        if layers:
            assert sum(layers) == row.published["interpretability_score"]


def test_search_gives_each_regularizer_the_same_number_of_candidates_and_looks_at_no_test_half():
    table = read_table("table_two_figures:search")
    assert {section: sum(row.section == section for row in table.rows) for section in table.sections} == dict.fromkeys(
        ("weight decay", "block norm", "all three", "proximal"), 8
    )
    assert {(row.config.dissection.half, row.config.data.validation) for row in table.rows} == {("validation", 0.1)}


OF_RESNET = {"model.name", "model.width", "dissection.layers"}  # what its experiments have other than AlexNet's
OWN = [name for name in TABLES if name.startswith(("table_two_figures", "table_small"))]


@pytest.mark.parametrize("name", OWN)
def test_what_is_reported_is_of_the_other_half_than_what_is_chosen_by(name):
    table = read_table(name)
    half = "validation" if table.search else "test"
    assert {(row.config.dissection.half, row.config.data.validation) for row in table.rows} == {(half, 0.1)}


@pytest.mark.parametrize("name", [name for name in OWN if "search" in name and "small" in name])
def test_scenes_are_searched_by_the_same_number_of_candidates(name):
    table = read_table(name)
    assert {sum(row.section == section for row in table.rows) for section in table.sections} == {4}


@pytest.mark.parametrize(
    ("name", "search"), [("", "search"), ("finetuned", "finetuned_search")], ids=["scratch", "finetuned"]
)
def test_rows_on_scenes_are_what_was_chosen_and_controls_differ_in_strength(name, search):
    searched = {(row.section, row.name): row.config for row in read_table(f"table_small:{search}").rows}
    for row in read_table(f"table_small:{name}").rows:
        regularizer, _, strength = row.name.partition(", ")
        section = f"{row.section if name else 'AlexNet'}, {regularizer}"
        field = f"regularizer.{regularizer.replace(' ', '_')}.strength"
        differing = {"dissection.half"} | ({field} if strength else set())
        differing |= {"AlexNet-B": {"model.name"}, "ResNet-18": OF_RESNET}.get(row.section, set())
        assert set(differing_fields(row.config, searched[section, CHOSEN[section]])) == differing
        assert not strength or row.config.regularizer[regularizer.replace(" ", "_")].strength == float(strength)


def test_controls_differ_from_their_base_by_what_they_say():
    rows = {row.name: row.config for row in read_table("table_two_figures:controls").rows}
    expected = {
        "no regularizer": ("weight decay", {"regularizer.weight_decay.strength"}),
        "block norm, groups permuted": ("block norm", {"regularizer.grouping.order"}),
        "block norm, groups of one filter, a third as strong": (
            "block norm",
            {"regularizer.grouping.group_size", "regularizer.block_norm.strength"},
        ),
        "weight decay, conv2 69 % pruned": (
            "weight decay",
            {"optimizer.pruning.sparsity", "optimizer.pruning.layers"},
        ),
        "weight decay, 90 % pruned": ("weight decay", {"optimizer.pruning.sparsity"}),
        "weight decay, labels shuffled": ("weight decay", {"data.shuffled_labels"}),
        "block norm, labels shuffled": ("block norm", {"data.shuffled_labels"}),
        "weight decay, rate 0.001": ("weight decay", {"optimizer.learning_rate"}),
    }
    for name, (base, fields) in expected.items():
        assert set(differing_fields(rows[name], rows[base])) == fields
    of_all_three = {f"regularizer.{name}.strength" for name in ("weight_decay", "group_activation", "spatial")}
    of_all_three |= {"regularizer.block_norm.strength"}
    assert set(differing_fields(rows["all three, rate 0.003"], rows["weight decay"])) == of_all_three
    wide = {row.name: row.config for row in read_table("table_two_figures:published_width").rows}
    rates = {wide[name].optimizer.learning_rate for name in ("weight decay, rate 0.001", "all three")}
    assert rates == {0.001}


def test_fields_are_set_in_all_rows_by_the_kind_of_the_field():
    table = read_table("table_seed")
    fields = {"dissection.broden": "b", "training.num_steps": "2", "optimizer.learning_rate": "1", "data.classes": "()"}
    for row in command.with_fields(table, fields).rows:
        assert (row.config.dissection.broden, row.config.training.num_steps) == ("b", 2)
        assert isinstance(row.config.optimizer.learning_rate, float)
    told = "Set in all experiments by the command: training.num_steps = 2, model.width = 0.5."
    assert command.with_fields(table, {"training.num_steps": "2", "model.width": "0.5"}).notes.endswith(told)
    assert command.with_fields(table, {}).notes == table.notes
    with pytest.raises(UserError, match=r"config.training.num_steps = 'two': expected a whole number, as 0"):
        command.with_fields(table, {"training.num_steps": "two"})
    with pytest.raises(UserError, match=r"config.data.folder: no such field"):
        command.with_fields(table, {"data.folder": "x"})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["table_none", "--workdir=x"], "table 'table_none': no file"),
        (
            ["table_none", "--workdir=x"],
            "or one of table_architectures, table_cgl, table_seed, table_small, table_two_figures",
        ),
        (
            ["table_two_figures:all", "--workdir=x"],
            "argument 'all' of table_two_figures: expected none, or one of publ",
        ),
        (["table_seed", "--workdir=x", "--seeds=a"], "'a': expected whole numbers, as 0,1,2"),
        (["table_seed", "--workdir=x", "--jobs=0"], "--jobs = 0: expected 1 at least"),
        (["table_seed", "--workdir=x", "--no_runs", "--only=a"], "--no_runs writes the table of all that is finished"),
        (["table_seed", "--workdir=x", "--task=3", "--no_runs"], "--no_runs writes the table of all that is finished"),
        (["table_seed", "--workdir=x", "--task=3", "--dry_run"], "--task makes one run; expected neither --dry_run"),
        (["table_seed", "--workdir=x", "--no_runs"], "x: neither results.csv nor a finished run of table 'Interpret"),
        (["table_seed", "--workdir=x", "--config.model.size=1", "--dry_run"], "config.model.size: no such field"),
        (
            ["table_seed", "--workdir=x", "--config.seed=7", "--dry_run"],
            "config.seed is set by table 'Interpretability",
        ),
        (
            ["table_seed", "--workdir=x", "--config.model.name"],
            "--config.model.name: expected --config.model.name=VALUE",
        ),
    ],
)
def test_mistakes_end_in_one_line(arguments, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        command.run(arguments)
    assert told in str(end.value)
    assert "\n" not in str(end.value)
    assert not list(tmp_path.iterdir())


def test_dry_run_tells_what_there_is_to_do_and_makes_nothing(tmp_path, capsys):
    command.run(["table_seed", f"--workdir={tmp_path / 'table'}", "--dry_run"])
    told = capsys.readouterr().out
    assert told.count("Places365") == 4
    assert "36 runs; make one by --only and --seeds, and the time of all is estimated from it" in told
    command.run(["table_seed", f"--workdir={tmp_path / 'table'}", "--dry_run", "--seeds=0", "--only=Places50₁"])
    told += capsys.readouterr().out
    assert "\n4 runs;" in told
    assert not list(tmp_path.iterdir())


def test_dry_run_reckons_from_what_is_finished(tmp_path, capsys):
    lines = (RESULTS / "two_figures_search" / "results.csv").read_text().splitlines(keepends=True)
    (tmp_path / "results.csv").write_text("".join(lines[:3]).replace("173.7", "90.0"))  # a run, of two layers
    command.run(["table_two_figures:search", f"--workdir={tmp_path}", "--dry_run", "--jobs=2"])
    told = capsys.readouterr().out
    assert re.search(r"weight_decay/1e-05_rate_0.001 +2 +1 +0 +90 +0.03\n", told)
    assert told.count("~90") == 31
    assert f"64 runs; {63 * 90 / 3600 / 2:.2f} hours at 2 at once, if each takes as long" in told
    assert "~: the mean of the other rows, for no run of this one is finished" in told


def test_small_tables_of_two_figures_share_their_images(tmp_path):
    table = read_table("table_two_figures:search")
    planned = [each for _, _, each in table.planned(tmp_path)]
    assert len({each.folder for each in planned}) == 64
    assert {each.config.data.directory for each in planned} == {str(tmp_path / "data")}
    assert {each.config.data.two_figures.seed for each in planned} == {each.config.seed for each in planned}
