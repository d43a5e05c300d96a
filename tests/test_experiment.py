"""The main job from end to end, on small data: what it leaves, what it refuses, what it does twice."""

import html.parser
import json
import re
import shutil
from urllib.parse import unquote

import broden_layout
import cv2
import event_files
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import tiny

import interpjax
from interpjax import config as config_lib
from interpjax.data.images import BadImageError
from interpjax.training.metrics import TIMINGS, read_metrics


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "<b>tiny & co"
    config = tiny.tiny_config(visualization__pictures=("filters", "causes"))
    return config, workdir, interpjax.run(config, workdir)


def test_workdir_holds_what_it_promises(finished):
    config, workdir, summary = finished
    assert json.loads((workdir / "summary.json").read_text()) == summary
    assert config_lib.differing_fields(config, (workdir / "config.json").read_text()) == {}
    assert len(list(workdir.glob("events.out.tfevents.*"))) == 1
    for layer, units in (("conv1", 8), ("conv2", 16)):
        table = pd.read_csv(workdir / "dissection" / layer / "tally.csv", keep_default_na=False)
        assert len(table) == units == summary["layers"][layer]["units"]
        with np.load(workdir / "dissection" / layer / "iou.npz", allow_pickle=False) as stored:
            assert stored["iou"].shape == (units, 15)
            detectors = stored["iou"].max(axis=1) >= 0.04
        assert summary["layers"][layer]["detectors"] == detectors.sum()
        assert summary["layers"][layer]["unique_detectors"] == table["label"][table["score"] >= 0.04].nunique()
        assert sum(summary["layers"][layer]["by_category"].values()) == summary["layers"][layer]["unique_detectors"]
    unique = [layer["unique_detectors"] for layer in summary["layers"].values()]
    assert summary["interpretability_score"] == sum(unique)
    np.testing.assert_allclose(summary["rud"], sum(unique) / 24)
    assert set(summary["seconds"]) == {"train", "evaluate", "dissect", "visualize", "report"}


def test_metrics_are_written_by_term(finished):
    rows = read_metrics(finished[1] / "metrics.jsonl")
    terms = {"loss", "cross_entropy", "penalty/block_norm", "accuracy", "learning_rate", *TIMINGS}
    steps = [row for row in rows if "loss" in row]
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    groups = {f"group_norm/{layer}/{number}" for layer in ("conv1", "conv2") for number in range(1, 6)}
    groups |= {f"groups/{name}/{layer}" for name in ("zero_groups", "hoyer") for layer in ("conv1", "conv2")}
    assert all(set(row) == terms | groups | {"step"} for row in steps)
    assert rows[-1]["eval/accuracy"] == finished[2]["accuracy"]


def test_tensorboard_gets_group_norms_top_images_and_final_scores(finished):
    _, workdir, summary = finished
    last = read_metrics(workdir / "metrics.jsonl")[-2]
    held = {
        value.tag: value.histo for step, value in event_files.read(workdir) if step == 6 and value.HasField("histo")
    }
    assert set(held) == {"group_norms/conv1", "group_norms/conv2"}
    for layer in ("conv1", "conv2"):
        norms = [last[f"group_norm/{layer}/{number}"] for number in range(1, 6)]
        np.testing.assert_allclose(held[f"group_norms/{layer}"].sum, sum(norms))
    values = [value for _, value in event_files.read(workdir / "events")]
    scores = {value.tag: value.simple_value for value in values if value.HasField("simple_value")}
    np.testing.assert_allclose(scores["final/accuracy"], summary["accuracy"], rtol=1e-6)  # float32
    assert scores["final/unique_detectors/conv2"] == summary["layers"]["conv2"]["unique_detectors"]
    images = {value.tag: value.image for value in values if value.HasField("image")}
    for layer in ("conv1", "conv2"):
        table = pd.read_csv(workdir / "dissection" / layer / "tally.csv", keep_default_na=False)
        best = table[table["score"] > 0].iloc[:8]  # in falling order of score
        named = {f"{layer}/unit-{row.unit}-{row.label}" for row in best.itertuples()}
        assert named == {name for name in images if name.startswith(f"{layer}/")}
    for image in images.values():
        decoded = cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape == (image.height, image.width, 3) == (160, 2 * 160 + 4, 3)  # of two top images


def test_report_is_one_offline_file_that_escapes_names(finished):
    page = (finished[1] / "report.html").read_text()
    assert "<b>tiny" not in page
    assert "&lt;b&gt;tiny &amp; co" in page
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*\"", page)
    html.parser.HTMLParser().feed(page)
    addresses = {
        f"{layer}-unit-{unit}" for layer, units in (("conv1", 8), ("conv2", 16)) for unit in range(1, units + 1)
    }
    addresses |= {f"{layer}-group-{group}" for layer in ("conv1", "conv2") for group in range(1, 6)}
    assert addresses <= set(re.findall(r' id="([^"]*)"', page))
    stored = json.loads(re.search(r'id="data-pictures">(.*?)</script>', page)[1])
    views = json.loads(re.search(r'id="data-views">(.*?)</script>', page)[1])
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert {unquote(address) for address in re.findall(r'href="#([^"]*)"', page)} <= set(ids)
    assert page.count("Set to zero: accuracy") == 2 * (8 + 5)  # of two layers the best detectors and all groups
    assert len(re.findall(r"<figure><img [^>]*><figcaption><a href=\"#conv1-unit-", page)) == 8  # the first filters
    assert {
        str(number) for own in views["layers"].values() for row in own["images"] for number in row if number >= 0
    } == set(stored)


def test_figures_come_as_pdf_and_png_with_their_numbers(finished):
    _, workdir, summary = finished
    drawn = {"detectors_by_category", "iou_distribution", "training_curves", "groups_over_training"}
    for name in drawn:
        assert (workdir / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (workdir / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(workdir / "figures" / "detectors_by_category.csv")
    assert table["unique_detectors"].sum() == summary["interpretability_score"]
    spread = pd.read_csv(workdir / "figures" / "iou_distribution.csv").groupby("layer")["units"].sum()
    assert spread.to_dict() == {"conv1": 8, "conv2": 16}


def test_finished_workdir_is_only_read(finished, capsys):
    config, workdir, summary = finished
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    assert interpjax.run(config, workdir) == summary
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before
    assert "interpretability score" in capsys.readouterr().out


@pytest.mark.long
def test_other_pictures_are_made_where_the_finished_run_is_asked_for_them(finished, tmp_path):
    config, workdir, summary = finished
    folder = tmp_path / workdir.name
    shutil.copytree(workdir, folder)
    assert "Set to zero: accuracy" in (folder / "report.html").read_text()
    fewer = interpjax.config.override(config, {"visualization.pictures": ("filters",)})
    again = interpjax.run(fewer, folder)
    assert "Set to zero: accuracy" not in (folder / "report.html").read_text()
    assert (again["layers"], again["seconds"]["train"]) == (summary["layers"], summary["seconds"]["train"])
    before = (folder / "report.html").stat().st_mtime_ns
    assert interpjax.run(fewer, folder) == again
    assert (folder / "report.html").stat().st_mtime_ns == before


def test_workdir_of_another_config_is_refused_by_field(finished):
    _, workdir, _ = finished
    other = tiny.tiny_config(seed=3, regularizer__block_norm__p=4.0)
    with pytest.raises(
        ValueError, match=r"(?s)config.regularizer.block_norm.p = 4.0, there 2.0.*config.seed = 3, there 0"
    ):
        interpjax.run(other, workdir)


def test_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match=r"is not empty and holds no config.json"):
        interpjax.run(tiny.tiny_config(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_loaded_network_is_the_one_that_was_evaluated(finished):
    config, workdir, summary = finished
    loaded, model, variables = interpjax.load(workdir)
    assert loaded == config
    records = tiny.open_source(config, workdir).test
    correct = 0
    for i in range(len(records)):
        image = cv2.imdecode(np.frombuffer(records[i]["image"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        logits = model.apply(variables, jnp.asarray((image / 255 - 0.5) / 0.25)[None])
        correct += int(np.argmax(logits)) == records[i]["label"]
    assert correct / len(records) == summary["accuracy"]


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for label, name in enumerate(("dark", "light")):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(8):
                image = rng.integers(100 * label, 100 * label + 100, (40, 50, 3)).astype(np.uint8)
                cv2.imwrite(str(tmp_path / split / name / f"{i}.jpg"), image)
    broden_layout.make_broden(tmp_path / "broden", side=32)
    return tmp_path


ALEXNET = {"model__name": "alexnet", "model__width": 0.125, "data__image_size": 64, "data__resize_size": 64}


def image_config(folders, **fields):
    small = {"data__image_size": 32, "data__resize_size": 32, "model__name": "two_figures_cnn"}
    paths = {f"data__{split}": str(folders / split) for split in ("train", "test")}
    return tiny.tiny_config(
        "image_folder_gbn", **(small | paths | {"dissection__broden": str(folders / "broden")} | fields)
    )


@pytest.mark.long
def test_unreadable_images_are_named_or_skipped_and_counted(folders):
    bad = [folders / "train/dark/3.jpg", folders / "test/light/0.jpg", folders / "broden/images/b.jpg"]
    for path in bad:
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadImageError, match=r"train/dark/3.jpg: cannot be decoded"):
        interpjax.run(image_config(folders), folders / "run1")
    summary = interpjax.run(image_config(folders, data__on_bad_image="skip"), folders / "run2")
    assert summary["skipped_images"] == {
        "train": [str(bad[0])],
        "test": [str(bad[1])],
        "dissection": [f"{folders}/broden/index.csv row 3 (b.jpg): images/b.jpg"],
    }
    assert 0 <= summary["accuracy"] <= 1
    assert "unreadable images of train, skipped" in (folders / "run2" / "report.html").read_text()


@pytest.mark.long
def test_bad_label_map_stops_the_dissection_and_loses_nothing(folders):
    config, workdir = image_config(folders), folders / "run"
    broden_layout.write_map(folders / "broden/images/b_color.png", np.ones((16, 15), int))
    with pytest.raises(ValueError, match=r"index.csv row 3 \(b.jpg\): label map .* is \(16, 15\)"):
        interpjax.run(config, workdir)
    assert not (workdir / "dissection").exists()
    assert not (workdir / "summary.json").exists()
    trained = [path.stat().st_mtime_ns for path in sorted((workdir / "checkpoints").rglob("*"))]
    broden_layout.write_map(folders / "broden/images/b_color.png", np.ones((16, 16), int))
    interpjax.run(config, workdir)
    assert trained == [path.stat().st_mtime_ns for path in sorted((workdir / "checkpoints").rglob("*"))]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dissection__broden": ""}, "config.dissection.broden = ''"),
        ({"dissection__broden": "/nowhere"}, "/nowhere: no Broden directory there"),
        (
            {"dissection__layers": ("conv1", "conv1")},
            r"config.dissection.layers = .*'conv1'\): 'conv1' is twice in it; expected each layer once",
        ),
        ({"dissection__layers": ("conv9",)}, "config.dissection.layers: alexnet has no 'conv9'; choose from conv1"),
        ({"dissection__protocol": "papier"}, "config.dissection.protocol = 'papier': choose one of paper"),
        ({"regularizer__grouping__num_groups": 9}, "config.regularizer.block_norm: layer conv1: num_groups = 9"),
        ({"data__image_size": 32}, "config.data.image_size = 32: AlexNet: images of .*; expected at least 63 a side"),
        ({"model__name": "alexnett"}, "config.model.name = 'alexnett': choose one of alexnet"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(folders, fields, message):
    with pytest.raises(ValueError, match=message):
        interpjax.run(image_config(folders, **(ALEXNET | fields)), folders / "run")
    assert not (folders / "run").exists()


@pytest.mark.long
def test_loaded_network_with_batch_norm_can_be_trained_on_outside_of_the_run(folders):
    config = image_config(folders, **(ALEXNET | {"model__name": "alexnet_b", "training__num_steps": 1}))
    interpjax.run(config, folders / "run", ("train",))
    _, model, variables = interpjax.load(folders / "run")
    images = jnp.ones((2, 64, 64, 3))
    _, updated = model.apply(
        variables, images, train=True, mutable=["batch_stats"], rngs={"dropout": jax.random.key(0)}
    )
    assert set(updated["batch_stats"]) == {f"bn{i}" for i in range(1, 6)}
