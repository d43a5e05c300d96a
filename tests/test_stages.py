"""What the stages open, forget, keep and evaluate: the parts of the main job, one by one."""

import json
import re
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import broden_layout
import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import tiny

import interpjax
from interpjax import config as config_lib
from interpjax import dissection, models, stages, training
from interpjax.data.splits import Deferred
from interpjax.dissection.chance import calibrated
from interpjax.finished import load_results
from interpjax.prepare import memory, prepare
from interpjax.running import Planned, unfinished
from interpjax.training.metrics import read_metrics

SIDE = 16


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two classes of images and labelled ones, all small."""
    folder, rng = tmp_path_factory.mktemp("folders"), np.random.default_rng(0)
    for split in ("train", "test"):
        for label, name in enumerate(("dark", "light")):
            (folder / split / name).mkdir(parents=True)
            for i in range(4):
                image = rng.integers(100 * label, 100 * label + 100, (SIDE, SIDE, 3)).astype(np.uint8)
                cv2.imwrite(str(folder / split / name / f"{i}.png"), image)
    broden_layout.make_broden(folder / "broden", side=SIDE)
    return folder


def configure(folders, **fields):
    small = {
        "data__image_size": SIDE,
        "data__resize_size": SIDE,
        "model__name": "two_figures_cnn",
        "training__num_steps": 2,
        "dissection__layers": ("conv1",),
        "dissection__protocol": "cgl",  # whose maps may be negative
    }
    paths = {f"data__{split}": str(folders / split) for split in ("train", "test")}
    paths["dissection__broden"] = str(folders / "broden")
    return tiny.tiny_config("image_folder_gbn", **(small | paths | fields))


@pytest.fixture(scope="module")
def finished(folders):
    config = configure(folders)
    return config, interpjax.run(config, folders / "finished")


@pytest.fixture
def copy(finished, folders, tmp_path):
    """A workdir of its own for a test, finished."""
    shutil.copytree(folders / "finished", tmp_path / "run")
    return tmp_path / "run"


def moved(path, function):
    """Calls a function while a folder is elsewhere."""
    hidden = path.with_name(f"{path.name}.hidden")
    path.rename(hidden)
    try:
        return function()
    finally:
        hidden.rename(path)


def test_a_trained_run_is_dissected_without_any_data_to_train_on(finished, folders, copy):
    config, before = finished
    (copy / "stages" / "dissect.json").unlink()
    again = moved(folders / "train", lambda: moved(folders / "test", lambda: interpjax.run(config, copy)))
    assert again["layers"] == before["layers"]


def test_evaluation_needs_no_training_images(finished, folders, copy):
    config, before = finished
    (copy / "stages" / "evaluate.json").unlink()
    again = moved(folders / "train", lambda: interpjax.run(config, copy))
    assert again["accuracy"] == before["accuracy"]
    assert again["groups"] == before["groups"]


def test_a_stage_that_is_redone_forgets_what_was_made_from_it(finished, copy):
    config, _ = finished
    untouched = {name: (copy / "stages" / f"{name}.json").stat().st_mtime_ns for name in ("train", "evaluate")}
    redone = {name: (copy / "stages" / f"{name}.json").stat().st_mtime_ns for name in ("visualize", "report")}
    (copy / "stages" / "dissect.json").unlink()
    interpjax.run(config, copy)
    for name, moment in untouched.items():
        assert (copy / "stages" / f"{name}.json").stat().st_mtime_ns == moment
    for name, moment in redone.items():
        assert (copy / "stages" / f"{name}.json").stat().st_mtime_ns > moment
    assert not (copy / "stages" / "dissect").exists()


def test_what_was_counted_is_kept_until_the_dissection_has_its_record(finished, copy, monkeypatch):
    config, before = finished
    (copy / "stages" / "dissect.json").unlink()

    def cut_off(workdir, name, function):
        function()
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "run_stage", cut_off)
    with pytest.raises(KeyboardInterrupt):
        interpjax.run(config, copy)
    assert list((copy / "stages" / "dissect").rglob("*.npz"))
    monkeypatch.undo()
    assert interpjax.run(config, copy)["layers"] == before["layers"]
    assert not (copy / "stages" / "dissect").exists()


def test_results_that_are_gone_are_named(finished, copy):
    config, _ = finished
    shutil.rmtree(copy / "dissection")
    (copy / "stages" / "report.json").unlink()
    with pytest.raises(ValueError, match=r"results of the dissection cannot be read: .*iou.npz.*remove stages/dissect"):
        interpjax.run(config, copy)


def test_the_finished_network_is_evaluated_once(folders, tmp_path, monkeypatch):
    calls = []
    real = training.evaluate

    def counted(*arguments):
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr("interpjax.training.evaluation.evaluate", counted)
    monkeypatch.setattr("interpjax.training.evaluate", counted)
    summary = interpjax.run(configure(folders, training__num_steps=3), tmp_path / "run", ("train", "evaluate"))
    assert len(calls) == 1
    (row,) = (row for row in read_metrics(tmp_path / "run" / "metrics.jsonl") if "eval/accuracy" in row)
    assert row["eval/accuracy"] == summary["accuracy"]
    assert row["eval/cross_entropy"] == summary["cross_entropy"]


def test_all_that_is_missing_is_told_at_once(tmp_path):
    config = config_lib.override(
        interpjax.get_config("places365_gbn"),
        {"data.directory": str(tmp_path), "dissection.broden": "/nowhere", "dissection.protocol": "papier"},
    )
    with pytest.raises(ValueError, match="3 things are wrong") as caught:
        interpjax.run(config, tmp_path / "run")
    for part in ("places365_small", "/nowhere: no Broden directory there", "config.dissection.protocol = 'papier'"):
        assert part in str(caught.value)
    assert not (tmp_path / "run").exists()
    wrong = {"training.batch_size": 0, "data.augment": "mirror", "regularizer.block_norm.p": 0.5}
    with pytest.raises(ValueError, match=r"3 things are wrong.*augment = 'mirror'.*batch_size = 0.*block_norm.p = 0.5"):
        interpjax.run(config_lib.override(config, wrong), tmp_path / "run")


def test_nothing_is_written_before_the_lock(tmp_path):
    made = prepare(tiny.tiny_config(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert (len(made.source.train), len(made.labelled.concepts.records)) == (40, 12)
    assert not (tmp_path / "run").exists()
    assert made.source.test[0]["name"] == "two_figures/test[0]"
    assert (tmp_path / "run" / "data").is_dir()


def test_memory_that_the_machine_has_not_got_is_named_before_training(finished, folders, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(memory, "SPREAD", 1e12)  # of thresholds alone: a batch and the parameters have room
    with pytest.raises(ValueError, match=r"config.dissection.layers: dissecting 1 layers on 3 images .*the largest is"):
        interpjax.run(configure(folders), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_memory_of_published_layers_on_broden():
    sides = {"conv1": (55, 64), "conv2": (27, 192), "conv3": (13, 384), "conv4": (13, 256), "conv5": (13, 256)}
    alexnet = memory.estimate({name: (side, side, units) for name, (side, units) in sides.items()}, 63_305, 64)
    assert 30e6 < alexnet.thresholds < 150e6
    config = interpjax.get_config("places365:model=vgg16")
    assert config.dissection.layers == ("conv3_3", "conv4_3", "conv5_1", "conv5_2", "conv5_3")


def test_sweep_checks_all_runs_before_the_first(folders, tmp_path):
    config = configure(folders, training__num_steps=1)
    with pytest.raises(ValueError, match=r"the run dissection.layers=\('conv9',\): .*has no 'conv9'"):
        interpjax.sweep(config, {"dissection.layers": [("conv1",), ("conv9",)]}, tmp_path)
    with pytest.raises(ValueError, match=r"config.regularizer.q: no such field"):
        interpjax.sweep(config, {"regularizer.q": [1.0]}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("untyped")
def test_what_is_no_configuration_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"config = 'two_figures_gbn': expected a configuration"):
        interpjax.run("two_figures_gbn", tmp_path / "run")


@pytest.mark.long
def test_sweep_gives_each_run_a_folder_and_a_row(folders, tmp_path):
    config = configure(folders, training__num_steps=1)
    shutil.copytree(folders / "test", tmp_path / "a" / "b")
    shutil.copytree(folders / "test", tmp_path / "a_b")
    choices = {"data.test": [str(tmp_path / "a" / "b"), str(tmp_path / "a_b")], "seed": [0]}
    table = interpjax.sweep(config, choices, tmp_path / "runs")
    assert table["data.test"].tolist() == choices["data.test"]
    assert {"accuracy", "interpretability_score", "rud", "conv1"} <= set(table.columns)
    assert table["workdir"].nunique() == len(list((tmp_path / "runs").glob("data.test=*"))) == 2
    records = pd.read_csv(tmp_path / "runs" / "results.csv")
    assert records["data.test"].tolist() == choices["data.test"]
    assert records["layer"].tolist() == ["conv1"] * 2
    assert records["unique_detectors"].tolist() == table["conv1"].tolist()


def test_a_finished_run_of_which_other_pictures_are_asked_for_is_unfinished(finished, copy):
    def left(config):
        planned = Planned("one", "one", config, copy.parent, copy.name)
        return unfinished([planned, planned], ("train", "evaluate", "dissect", "visualize", "report"))

    assert left(finished[0]) == []
    assert len(left(config_lib.override(finished[0], {"visualization.most": 3}))) == 2
    (copy / "stages" / "report.json").unlink()
    assert len(left(finished[0])) == 2


def test_the_report_calls_a_unit_dead_only_if_it_was_never_active(finished, folders):
    results = load_results(folders / "finished")
    assert results["conv1"].protocol.tap == "pre"
    dead = int((results["conv1"].top_values.max(axis=1) <= 0).sum())
    page = (folders / "finished" / "report.html").read_text()
    assert page.count("Never active on any image.") == dead


def test_a_bar_and_a_line_of_memory_are_told_on_stderr(finished, capsys, copy):
    (copy / "stages" / "dissect.json").unlink()
    interpjax.run(finished[0], copy)
    told = capsys.readouterr().err
    assert "dissecting 1 layers on 3 images will take about" in told
    assert "dissect:" in told
    assert Path(copy / "summary.json").is_file()


def test_evaluation_that_is_asked_for_again_is_made_again(finished, copy, monkeypatch):
    config, before = finished
    (copy / "stages" / "evaluate.json").unlink()
    other = training.Evaluated({"accuracy": 0.125, "top5": 1.0, "cross_entropy": 2.0}, ())
    monkeypatch.setattr("interpjax.training.evaluate", lambda *arguments: other)
    assert interpjax.run(config, copy)["accuracy"] == 0.125 != before["accuracy"]


def test_a_stage_is_not_finished_where_what_it_was_made_from_is_gone(finished, copy):
    (copy / "stages" / "dissect.json").unlink()
    with pytest.raises(ValueError, match="stages: report is made from dissect, which"):
        interpjax.run(finished[0], copy, ("report",))


def test_a_batch_is_shared_by_devices_only_where_there_is_one(finished, copy):
    config = config_lib.override(finished[0], {"training.batch_size": 6})  # of four devices
    (copy / "config.json").write_text(config_lib.to_json(config))
    (copy / "stages" / "dissect.json").unlink()
    assert interpjax.run(config, copy, ("dissect",))["layers"]
    (copy / "stages" / "evaluate.json").unlink()
    with pytest.raises(ValueError, match=r"config.training.batch_size = 6: expected a multiple of the 4 devices"):
        interpjax.run(config, copy, ("evaluate",))


def test_imported_networks_are_not_dissected_on_figures_by_default(tmp_path):
    np.savez(tmp_path / "weights.npz", a=np.zeros(1, np.float32))
    config = config_lib.override(
        interpjax.get_config("imported"),
        {"model.weights": str(tmp_path / "weights.npz"), "data.source": "two_figures"},
    )
    with pytest.raises(ValueError, match=r"config.dissection.broden = '': expected a directory in Broden's layout"):
        interpjax.run(config, tmp_path / "run", ("dissect",))


def test_a_run_of_an_older_version_without_a_field_goes_on(finished, copy):
    config, before = finished
    stored = json.loads((copy / "config.json").read_text())
    del stored["regularizer"]["own"]
    (copy / "config.json").write_text(json.dumps(stored))
    assert interpjax.run(config, copy) == before


def test_what_is_made_first_by_several_threads_is_made_once():
    made = []

    def slowly():
        made.append(threading.get_ident())
        time.sleep(0.05)
        return list(range(8))

    deferred = Deferred(slowly, 8)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda i: deferred[i], range(8))) == list(range(8))
    assert len(made) == 1


@pytest.mark.long
def test_learned_fields_are_loaded_with_the_network(tmp_path):
    config = tiny.tiny_config(
        regularizer__spatial__strength=0.1, regularizer__soft_receptive_field__learned=True, training__num_steps=2
    )
    interpjax.run(config, tmp_path / "run", ("train",))
    _, model, variables = interpjax.load(tmp_path / "run")
    assert set(variables["params"]["soft_receptive_field"]) == {"scale", "shift"}
    assert model.apply(variables, jnp.zeros((1, 40, 40, 3))).shape == (1, 2)


@pytest.mark.long
def test_chance_is_drawn_where_it_is_asked_for_and_shown_beside_the_score(finished, copy):
    config, before = finished
    assert "chance" not in before
    config = config_lib.override(config, {"dissection.chance.kinds": ("labels", "rotation", "untrained")})
    config = config_lib.override(config, {"dissection.chance.draws": 5})
    (copy / "config.json").write_text(config_lib.to_json(config))
    result = interpjax.run(config, copy, ("dissect", "chance", "report"))
    assert {name: result[name] for name in before if name != "seconds"} == {
        name: before[name] for name in before if name != "seconds"
    }
    dissected = dissection.Dissection.load(copy / "dissection" / "conv1" / "iou.npz")
    for kind, draws in {"labels": 5, "rotation": 5, "untrained": 1}.items():
        chance = dissection.Chance.load(copy / "dissection" / "conv1" / f"chance_{kind}.npz")
        assert (chance.kind, chance.draws) == (kind, draws)
        low, high = chance.interval()
        layer = {
            "unique_detectors": chance.mean,
            "low": low,
            "high": high,
            "calibrated_detectors": calibrated(dissected, chance),
            "calibrated_unique_detectors": calibrated(dissected, chance, unique=True),
        }
        whole = {"draws": draws, "interpretability_score": chance.mean, "low": low, "high": high}
        assert result["chance"][kind] == whole | {"layers": {"conv1": layer}}
    page = (copy / "report.html").read_text()
    row = re.search(r'<tr><th scope="row"><a href="#layer-conv1">.*?</tr>', page, re.DOTALL)[0]
    for kind, own in result["chance"].items():
        assert f'<th scope="col">chance: {kind}</th><th scope="col">units above {kind}</th>' in page
        layer = own["layers"]["conv1"]
        drawn = f" ({layer['low']}–{layer['high']})" if own["draws"] > 1 else ""
        told = f"<td>{layer['unique_detectors']:.1f}{drawn}</td><td>{layer['calibrated_detectors']}</td>"
        assert told in row
    assert "the score by chance: a network of random weights" in page
    assert f"The score of {result['interpretability_score']} is no more than what chance gave" in page
    assert not (copy / "stages" / "chance").exists()
    (copy / "stages" / "dissect.json").unlink()
    interpjax.run(config, copy, ("dissect",))
    assert not (copy / "stages" / "chance.json").exists()


@pytest.mark.long
def test_an_untrained_network_is_that_of_the_first_step(folders):
    config = configure(folders)
    experiment = prepare(config, folders / "untrained", ("train", "chance"))
    state = tiny.initial_state(config)
    images = np.random.default_rng(0).integers(0, 255, (2, SIDE, SIDE, 3)).astype(np.uint8)
    variables = training.initial_variables(experiment.model, image_size=SIDE, seed=config.seed)
    jax.tree.map(np.testing.assert_array_equal, variables, state.variables)
    found = experiment.untrained_network(images)["conv1"]
    inputs = jnp.asarray(experiment.preprocessing(images))
    expected = models.apply_with_taps(
        models.outside_of_devices(experiment.model), variables, inputs, layers=("conv1",), stage="pre"
    )[1]["conv1"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)  # compiled apart


def test_chance_needs_a_dissection(folders, tmp_path):
    with pytest.raises(ValueError, match="stages: chance is made from dissect, which has not been run"):
        stages.pending_stages(("chance",), tmp_path, {})


def test_half_of_the_labelled_images_is_dissected_with(tmp_path):
    fields = {"data__two_figures__test_images": 40, "data__directory": str(tmp_path)}
    names = []
    for half in ("validation", "test", "all"):
        made = prepare(tiny.tiny_config(dissection__half=half, **fields), tmp_path / half, ("dissect",))
        names.append({record.name for record in made.labelled.concepts.records})
    assert names[0] | names[1] == names[2]
    assert not names[0] & names[1]
    assert 10 < len(names[0]) < 30
    with pytest.raises(ValueError, match=r"config.dissection.half = 'validation': none of the 1 images"):
        prepare(
            tiny.tiny_config(**fields | {"data__two_figures__test_images": 1}, dissection__half="validation"),
            tmp_path / "one",
            ("dissect",),
        )
