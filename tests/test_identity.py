"""A workdir refuses what would change results, and no more; what else changes is recorded."""

import json
import shutil
from pathlib import Path

import cv2
import jax
import numpy as np
import optax
import pytest
import tiny

import interpjax
from interpjax import changes, tracking
from interpjax import config as config_lib
from interpjax import workdir as workdir_lib
from interpjax.config.identity import DEFAULTS, WITHOUT_EFFECT
from interpjax.config.values import flatten
from interpjax.errors import UserError
from interpjax.models import create_model, outline
from interpjax.training.checkpoint import DAMAGED
from interpjax.training.checkpoint_errors import CheckpointError
from interpjax.training.metrics import read_metrics
from interpjax.training.optimizer import memory_at
from interpjax.training.saved import kept_steps

MACHINE = {"devices": 1, "cpu": "A"}


def recorded(workdir):
    path = workdir / "changes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


@pytest.fixture
def claimed(tmp_path):
    """A workdir of a run that was begun on image folders, and its configuration."""
    fields = {"data__train": str(tmp_path / "a"), "data__test": str(tmp_path / "b"), "data__source": "image_folder"}
    config = tiny.tiny_config(**fields)
    workdir_lib.claim_workdir(config_lib.to_json(config), tmp_path / "run", {})
    return config, tmp_path / "run"


def check(config, workdir, fields, **arguments):
    changed = config_lib.override(config, fields)
    return workdir_lib.check_workdir(config_lib.to_json(changed), workdir, **arguments)


def another(value):
    others = {"error": "skip", "": "folder", (): (1, 2)}
    return others[value] if isinstance(value, str | tuple) else value + 1


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_fields_without_effect_may_change(claimed, name):
    config, workdir = claimed
    before = config_lib.get_field(config, name)
    now, then = (json.loads(json.dumps(value)) for value in (another(before), before))  # tuples are lists in JSON
    assert check(config, workdir, {name: another(before)}) == {name: (now, then)}


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer.learning_rate": 0.5},
        {"training.on_nonfinite": "rollback"},
        {"training.num_steps": 7},
        {"seed": 1},
        {"model.weights": "w.npz"},
        {"data.source": "tfds"},
    ],
)
def test_other_fields_may_not(claimed, fields):
    config, workdir = claimed
    with pytest.raises(UserError, match=f"another configuration:\n  config.{next(iter(fields))} = "):
        check(config, workdir, fields)


def test_fields_of_the_dissection_are_free_until_it_is_made(claimed):
    config, workdir = claimed
    fields = {"dissection.protocol": "lite", "dissection.top_images": 3}
    assert set(check(config, workdir, fields)) == set(fields)
    (workdir / "stages").mkdir()
    (workdir / "stages" / "dissect").mkdir()  # a dissection that was cut off
    with pytest.raises(
        UserError, match=r"another configuration(.|\n)*Its network can be dissected otherwise too: inte"
    ):
        check(config, workdir, fields)
    with pytest.raises(UserError, match=r"optimizer.nesterov(.|\n)*--restart_from=STEP starts training again"):
        check(config, workdir, {"optimizer.nesterov": True})


def test_a_restart_may_have_another_optimizer_and_no_more(claimed):
    config, workdir = claimed
    fields = {"optimizer.learning_rate": 0.5, "optimizer.clip_norm": 1.0, "training.on_nonfinite": "rollback"}
    assert set(check(config, workdir, fields, restart=True)) == set(fields)
    with pytest.raises(UserError, match=r"config.seed = 1"):
        check(config, workdir, fields | {"seed": 1}, restart=True)


def test_another_spelling_of_a_path_is_no_change(claimed, tmp_path, monkeypatch):
    config, workdir = claimed
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    for spelled in ("a", "./a/", f"{tmp_path}/b/../a", str(tmp_path / "link")):
        assert check(config, workdir, {"data.train": spelled}) == {}
    assert set(check(config, workdir, {"data.train": "c"})) == {"data.train"}  # whose content is still to be looked at


def test_splits_of_tfds_are_names(tmp_path):
    config = tiny.tiny_config(data__source="tfds", data__train="train", data__directory="d")
    workdir_lib.claim_workdir(config_lib.to_json(config), tmp_path, {})
    assert set(check(config, tmp_path, {"data.directory": "e"})) == {"data.directory"}
    with pytest.raises(UserError, match=r"config.data.train = 'validation', there 'train'"):
        check(config, tmp_path, {"data.train": "validation"})


def test_changes_are_recorded_once_and_count_from_then_on(claimed, capsys):
    config, workdir = claimed
    fields = {"training.eval_every_steps": 7}
    for _ in range(2):
        changed = check(config, workdir, fields)
        changes.record_changes(workdir, changed, step=3, machine=MACHINE)
    assert "config.training.eval_every_steps = 7, it was 4\n" in capsys.readouterr().err
    (line,) = recorded(workdir)
    assert (line["step"], line["fields"]) == (3, {"training.eval_every_steps": {"before": 4, "now": 7}})
    assert config_lib.differing_fields(config, (workdir / "config.json").read_text()) == {}
    assert check(config, workdir, {}) == {"training.eval_every_steps": (4, 7)}
    (workdir / "changes.jsonl").write_text('{"fie')
    with pytest.raises(UserError, match=r"changes.jsonl: damaged \(.*\); put a copy in its place"):
        changes.current_config(workdir)


def test_another_machine_is_told_in_one_line_and_recorded(claimed, capsys):
    _, workdir = claimed
    for machine in (MACHINE, MACHINE, MACHINE | {"devices": 2}, MACHINE | {"devices": 2}):
        changes.record_changes(workdir, {}, step=5, machine=machine)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("this machine (devices 2, cpu A) is another than before (devices 1, cpu A): from step 5 on")
    assert [line["machine"] for line in recorded(workdir)] == [MACHINE | {"devices": 2}]
    assert json.loads((workdir / "machine.json").read_text()) == MACHINE


def test_clipping_can_be_added_without_losing_the_memory():
    model = create_model("two_figures_cnn", num_classes=2, width=0.0625)
    configs = [tiny.tiny_config(optimizer__clip_norm=norm) for norm in (0.0, 1.0)]
    params = outline(model, 40).variables["params"]
    memories = [jax.eval_shape(tiny.optimizer(config, model).init, params) for config in configs]
    assert jax.tree.structure(memories[0]) == jax.tree.structure(memories[1])


def test_new_memory_has_its_schedule_at_the_step():
    adam, schedule = memory_at(optax.adam(optax.constant_schedule(0.1)).init({"w": np.ones(2, np.float32)}), 7)
    assert (int(adam.count), int(schedule.count)) == (0, 7)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished training of six steps with three checkpoints, and the configuration."""
    folder = tmp_path_factory.mktemp("trained")
    config = tiny.tiny_config(training__keep_checkpoints=3, data__directory=str(folder / "data"))
    interpjax.run(config, folder / "run", ("train", "evaluate"))
    return config, folder / "run"


@pytest.fixture
def copy(trained, tmp_path):
    shutil.copytree(trained[1], tmp_path / "run")
    return tmp_path / "run"


def same(left, right):
    jax.tree.map(np.testing.assert_array_equal, interpjax.load(left)[2], interpjax.load(right)[2])


@pytest.mark.long
def test_intervals_and_threads_change_no_parameter(trained, tmp_path):
    config, workdir = trained
    fields = {f"training.{name}_every_steps": 1 for name in ("log", "eval", "checkpoint")}
    fields |= {"data.num_threads": 1, "training.keep_checkpoints": 1, "data.on_bad_image": "skip"}
    interpjax.run(config_lib.override(config, fields), tmp_path / "run", ("train",))
    same(workdir, tmp_path / "run")


@pytest.mark.long
def test_a_restart_goes_back_to_the_step_and_loses_nothing(trained, copy, capsys):
    config, _ = trained
    before = read_metrics(copy / "metrics.jsonl")
    slower = config_lib.override(config, {"optimizer.learning_rate": 1e-5, "optimizer.clip_norm": 1.0})
    (copy / tracking.ID_FILE).write_text('{"id": "of the metrics before"}')
    for _ in range(2):  # the second time it is finished
        interpjax.run(slower, copy, ("train", "evaluate"), restart_from=2)
    (line,) = recorded(copy)
    assert line["restart_from"] == line["step"] == 2
    assert set(line["fields"]) == {"optimizer.learning_rate", "optimizer.clip_norm"}
    aside = read_metrics(copy / "metrics_after_2_1.jsonl")
    assert aside == [row for row in before if row["step"] > 2]
    assert not (copy / tracking.ID_FILE).exists()
    after = read_metrics(copy / "metrics.jsonl")
    assert [row["learning_rate"] for row in after if "loss" in row][:2] == [
        row["learning_rate"] for row in before if "loss" in row
    ][:2]
    assert all(row["learning_rate"] < 1e-5 for row in after if row["step"] > 2 and "loss" in row)
    assert kept_steps(copy) == (2, 4, 6)
    assert interpjax.load(copy)[0] == slower
    told = capsys.readouterr().err
    assert told.count("going on from step 2 of 6") == 1
    assert "already finished" in told
    with pytest.raises(UserError, match=r"config.optimizer.clip_norm = 0.0, there 1.0"):
        interpjax.run(config, copy, ("train", "evaluate"))


@pytest.mark.long
def test_a_restart_with_the_same_fields_ends_bit_for_bit_where_it_was(trained, copy):
    config, workdir = trained
    interpjax.run(config, copy, ("train",), restart_from=4)
    same(workdir, copy)


@pytest.mark.long
def test_a_restart_with_an_optimizer_of_another_kind_tells_that_its_memory_is_new(trained, copy, capsys):
    config, _ = trained
    sgd = config_lib.override(config, {"optimizer.name": "sgd", "optimizer.momentum": 0.9})
    interpjax.run(sgd, copy, ("train",), restart_from=4)
    assert "another optimizer: its memory begins anew at step 4\n" in capsys.readouterr().err
    rates = {row["step"]: row["learning_rate"] for row in read_metrics(copy / "metrics.jsonl") if "loss" in row}
    assert rates[1] > rates[5] > rates[6] > 0


@pytest.mark.long
def test_a_restart_from_a_damaged_checkpoint_loses_none_of_the_others(trained, copy):
    config, _ = trained
    path = copy / "checkpoints" / "2" / "_CHECKPOINT_METADATA"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"checkpoints/2 cannot be read \(.*\); .* that of another step: 4, 6"):
        interpjax.run(config, copy, ("train",), restart_from=2)
    assert kept_steps(copy) == (2, 4, 6)
    assert not list(copy.glob("metrics_after*"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("stages", "step", "message"),
    [
        (("train",), 3, r"restart_from = 3: workdir .* has no checkpoint of this step; expected one of 2, 4, 6"),
        (("evaluate",), 2, r"restart_from = 2: the stages are evaluate; expected train among them"),
    ],
)
def test_a_restart_that_cannot_be_is_refused(trained, copy, stages, step, message):
    with pytest.raises(UserError, match=message):
        interpjax.run(trained[0], copy, stages, restart_from=step)
    assert recorded(copy) == []


def test_a_restart_needs_a_run(tmp_path):
    with pytest.raises(UserError, match=r"restart_from = 3: workdir .* holds no run"):
        interpjax.run(tiny.tiny_config(), tmp_path / "run", restart_from=3)
    assert not (tmp_path / "run").exists()


def damage_latest(workdir):
    path = workdir / "checkpoints" / "6" / "_CHECKPOINT_METADATA"
    path.write_bytes(path.read_bytes()[:50])


@pytest.mark.long
def test_a_finished_run_is_not_evaluated_at_an_earlier_step(trained, copy, capsys):
    config, workdir = trained
    damage_latest(copy)
    interpjax.load(copy)
    assert f"checkpoint {copy}/checkpoints/6 is passed over: " in capsys.readouterr().err
    (copy / "stages" / "evaluate.json").unlink()
    with pytest.raises(CheckpointError, match=r"checkpoints/6 is damaged: .*remove stages/train.json"):
        interpjax.run(config, copy, ("evaluate",))
    (copy / "stages" / "train.json").unlink()
    with pytest.raises(UserError, match=r"the training in workdir .* has not come to its end; add train"):
        interpjax.run(config, copy, ("evaluate",))
    interpjax.run(config, copy, ("train", "evaluate"))
    assert (copy / DAMAGED / "6").is_dir()
    same(workdir, copy)


@pytest.mark.long
def test_moved_images_are_the_same_and_swapped_classes_are_not(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("dark", "light"):
            (tmp_path / "old" / split / name).mkdir(parents=True)
            for i in range(8):
                image = rng.integers(0, 255, (40, 50, 3)).astype(np.uint8)
                cv2.imwrite(str(tmp_path / "old" / split / name / f"{i}.png"), image)
    size = {"data__image_size": 32, "data__resize_size": 32, "data__source": "image_folder", "training__num_steps": 2}

    def config(folder):
        return tiny.tiny_config(data__train=str(folder / "train"), data__test=str(folder / "test"), **size)

    interpjax.run(config(tmp_path / "old"), tmp_path / "run", ("train",))
    shutil.move(tmp_path / "old", tmp_path / "new")
    interpjax.run(config(tmp_path / "new"), tmp_path / "run", ("train", "evaluate"))
    assert set(recorded(tmp_path / "run")[0]["fields"]) == {"data.train", "data.test"}
    capsys.readouterr()
    shutil.copytree(tmp_path / "new", tmp_path / "swapped")
    for old, new in (("dark", "x"), ("light", "dark"), ("x", "light")):
        (tmp_path / "swapped" / "test" / old).rename(tmp_path / "swapped" / "test" / new)
    for stages in (("train", "evaluate"), ("evaluate",)):  # though they are finished
        with pytest.raises(UserError, match=r"begun on other data: test_images by name, order, label and size is now"):
            interpjax.run(config(tmp_path / "swapped"), tmp_path / "run", stages)
    with pytest.raises(UserError, match=r"config.data.train = '.*nowhere/train': no such folder"):
        interpjax.run(config(tmp_path / "nowhere"), tmp_path / "run", ("train",))


def test_a_default_that_changes_changes_the_digests():
    """Where this fails for a default that was changed, raise DEFAULTS and write down the new one here."""
    known = json.loads((Path(__file__).parent / "defaults.json").read_text())
    now = flatten(json.loads(config_lib.to_json(config_lib.default_config())))
    assert known["DEFAULTS"] == DEFAULTS
    assert {name: value for name, value in now.items() if known["fields"].get(name, value) != value} == {}
    assert sorted(known["fields"]) == sorted(now)  # where this alone fails, a field was added: write it down too
