"""Networks that were trained elsewhere: dissected without data to train on, and told apart by their weights."""

import json
import shutil

import broden_layout
import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

import interpjax
from interpjax import config as config_lib
from interpjax import data, dissection, models
from interpjax.data.images import read_image
from interpjax.prepare import prepare

ONLY = ("dissect", "report")
CLASSES = 3


@pytest.fixture(scope="module")
def published(shared, tmp_path_factory):
    """A configuration of the published SqueezeNet, and a folder of the twelve images that it has references for."""
    folder, mini = shared / "data" / "squeezenet_places365", shared / "data" / "mini_broden"
    names = [output["image"] for output in json.loads((folder / "reference_outputs.json").read_text())["outputs"]]
    broden = tmp_path_factory.mktemp("broden") / "few"
    broden.mkdir()
    for table in mini.glob("*.csv"):
        shutil.copyfile(table, broden / table.name)
    (broden / "images").symlink_to(mini / "images")
    header, *rows = (mini / "index.csv").read_text().splitlines()
    kept = [row for row in rows if row.partition(",")[0] in names]
    (broden / "index.csv").write_text("\n".join([header, *kept]) + "\n")
    fields = {
        "model.weights": str(folder / "squeezenet_places365.npz"),
        "data.mean_image": str(folder / "places365_mean_bgr_3x256x256.npy"),
        "dissection.broden": str(broden),
        "dissection.layers": ("fire5", "fire9"),
        "dissection.batch_size": 12,
        "dissection.top_images": 2,
    }
    config = interpjax.get_config("imported:squeezenet_places365")
    return config_lib.override(config, fields), folder, names


@pytest.mark.long
def test_published_network_is_dissected_as_by_hand(published, tmp_path):
    config, folder, _ = published
    summary = interpjax.run(config, tmp_path / "run", ONLY)
    mean = np.load(folder / "places365_mean_bgr_3x256x256.npy")[:, 16:240, 16:240].transpose(1, 2, 0)
    model = models.create_model("squeezenet_places365", num_classes=365)
    network = dissection.from_jax(
        lambda v, x: models.apply_with_taps(model, v, x, layers=("fire5", "fire9"))[1],
        models.load_weights("squeezenet_places365", folder / "squeezenet_places365.npz"),
        layers=("fire5", "fire9"),
        preprocessing=dissection.Preprocessing(mean, 255, "BGR"),
    )
    by_hand = dissection.dissect(
        network, data.load_broden(config.dissection.broden), layers=network.layers, batch_size=12, image_size=224
    )
    for layer, expected in by_hand.items():
        stored = dissection.Dissection.load(tmp_path / "run" / "dissection" / layer / "iou.npz")
        np.testing.assert_array_equal(stored.iou, expected.iou)
        np.testing.assert_array_equal(stored.thresholds, expected.thresholds)
        assert stored.iou.shape[0] == len(stored.thresholds) == {"fire5": 256, "fire9": 512}[layer]
        assert summary["layers"][layer]["unique_detectors"] == expected.unique_detectors() > 0
    assert set(summary["seconds"]) == {"dissect", "report"}


def test_experiment_reproduces_the_reference_outputs(published, tmp_path):
    config, folder, names = published
    prepared = prepare(config, tmp_path, ONLY)
    images = np.stack([read_image(folder.parent / "mini_broden" / "images" / name) for name in names])
    prepared_images = prepared.preprocessing(images)
    logits = jax.jit(prepared.model.clone(axis_name=None).apply)(prepared.variables, jnp.asarray(prepared_images))
    maps = prepared.network(images)
    for number, output in enumerate(json.loads((folder / "reference_outputs.json").read_text())["outputs"]):
        assert np.argsort(-np.asarray(logits[number]))[:5].tolist() == [row[1] for row in output["top5"]]
        for layer in ("fire5", "fire9"):  # written down with six decimals
            np.testing.assert_allclose(maps[layer][number].mean(), output[f"{layer}_mean"], atol=5e-6)
    # What the stage evaluate feeds, compiled; values up to 1.
    compiled = jax.jit(prepared.preprocessing.__call__)(jnp.asarray(images))
    np.testing.assert_allclose(compiled, prepared_images, atol=1e-6)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A small network's weights under PyTorch's names, labelled images, and a configuration of them."""
    folder = tmp_path_factory.mktemp("own")
    model = models.create_model("two_figures_cnn", num_classes=CLASSES, width=0.125)
    variables = jax.tree.map(np.asarray, model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3))))
    np.savez(folder / "weights.npz", **models.export_torch("two_figures_cnn", variables, width=0.125))
    broden_layout.make_broden(folder / "broden")
    for label in range(CLASSES):
        (folder / "images" / str(label)).mkdir(parents=True)
        image = np.random.default_rng(label).integers(0, 255, (40, 50, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / str(label) / "a.png"), image)
    fields = {
        "data.image_size": 32,
        "data.resize_size": 32,
        "model.name": "two_figures_cnn",
        "model.width": 0.125,
        "model.weights": str(folder / "weights.npz"),
        "dissection.broden": str(folder / "broden"),
        "dissection.top_images": 2,
        "dissection.batch_size": 4,
        "training.batch_size": 4,
        "visualization.pictures": ("causes",),
        "visualization.most": 1,
    }
    return config_lib.override(interpjax.get_config("imported"), fields), folder, variables


@pytest.mark.long
def test_no_data_are_needed_and_what_was_not_measured_is_left_out(own, tmp_path, capsys):
    config = config_lib.override(own[0], {"data.train": "/nowhere", "data.source": "two_figures"})
    summary = interpjax.run(config, tmp_path / "run", ["report", "dissect"])
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == summary
    assert not {"accuracy", "top5", "cross_entropy", "groups", "num_steps"} & set(summary)
    assert summary["skipped_images"] == {"dissection": []}
    page, printed = (tmp_path / "run" / "report.html").read_text(), capsys.readouterr().out
    assert 'id="conv1-unit-4"' in page
    assert "interpretability score" in printed
    for absent in ("test accuracy", "Norms and activity", "#training", 'id="gallery"', "Set to zero: accuracy"):
        assert absent not in page
        assert absent not in printed


def test_further_stages_can_be_asked_for_later(own, tmp_path):
    folders = {"data.train": str(own[1] / "images"), "data.test": str(own[1] / "images")}
    config = config_lib.override(own[0], folders)
    first = interpjax.run(config, tmp_path / "run", ONLY)
    summary = interpjax.run(config, tmp_path / "run", ("evaluate", "visualize", "report"))
    assert set(summary["seconds"]) == {"evaluate", "dissect", "visualize", "report"}
    assert summary["layers"] == first["layers"]
    images = np.stack([read_image(path) for path in sorted((own[1] / "images").rglob("*.png"))])
    crop = np.stack([cv2.resize(image, (40, 32), interpolation=cv2.INTER_AREA)[:, 4:36] for image in images])
    _, model, variables = interpjax.load(tmp_path / "run")
    logits = model.apply(variables, jnp.asarray(dissection.Preprocessing.imagenet()(crop)))
    assert summary["accuracy"] == np.mean(np.argmax(logits, axis=1) == np.arange(CLASSES))
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count('data-fill="unit"') == sum(layer["units"] for layer in summary["layers"].values())
    assert 'id="data-pictures">{"' in page
    assert "Set to zero: accuracy" in page
    assert "test accuracy" in page
    assert interpjax.run(config, tmp_path / "run", ONLY) == summary


def test_a_report_that_says_less_than_is_known_is_taken_away(own, tmp_path):
    interpjax.run(own[0], tmp_path / "run", ONLY)
    assert (tmp_path / "run" / "report.html").is_file()
    interpjax.run(own[0], tmp_path / "run", ("visualize",))
    assert not (tmp_path / "run" / "report.html").exists()


def test_labelled_images_stay_the_same_from_stage_to_stage(own, tmp_path):
    broden = tmp_path / "broden"
    shutil.copytree(own[0].dissection.broden, broden)
    config = config_lib.override(own[0], {"dissection.broden": str(broden)})
    interpjax.run(config, tmp_path / "run", ("dissect",))
    head, *rows = (broden / "index.csv").read_text().splitlines()
    (broden / "index.csv").write_text("\n".join([head, *rows[::-1]]) + "\n")
    with pytest.raises(ValueError, match=r"begun on other data: labelled images is now '\d+, sha256"):
        interpjax.run(config, tmp_path / "run", ("visualize",))


@pytest.mark.parametrize(
    ("name", "channels", "mean", "std"),
    [("googlenet", "RGB", 0.5, 0.5), ("caffenet", "BGR", 0.4079, 1 / 255), ("resnet18", "RGB", 0.485, 0.229)],
)
def test_images_are_as_the_published_weights_of_a_model_want_them(name, channels, mean, std):
    config = interpjax.get_config(f"imported:{name}")
    assert (config.data.channels, config.data.mean[0], config.data.std[0]) == (channels, mean, std)


def test_loaded_network_is_the_imported_one(own, tmp_path):
    config, _, variables = own
    interpjax.run(config, tmp_path / "run", ("dissect",))
    loaded, model, read = interpjax.load(tmp_path / "run")
    assert loaded == config
    assert (model.num_classes, model.width, model.axis_name) == (CLASSES, 0.125, None)
    jax.tree.map(np.testing.assert_array_equal, read, variables)


def test_weights_that_have_changed_are_refused(own, tmp_path):
    weights, mean = tmp_path / "weights.npz", tmp_path / "mean.npy"
    shutil.copyfile(own[0].model.weights, weights)
    np.save(mean, np.full((3, 40, 36), 100.0))
    config = config_lib.override(own[0], {"model.weights": str(weights), "data.mean_image": str(mean)})
    summary = interpjax.run(config, tmp_path / "run", ONLY)
    np.save(mean, np.full((3, 40, 36), 101.0))
    with pytest.raises(ValueError, match=r"config.data.mean_image is now 'sha256:\w+', it was 'sha256:\w+'"):
        interpjax.run(config, tmp_path / "run", ONLY)
    mean.unlink()
    with np.load(weights) as stored:
        np.savez(weights, **{name: 2 * stored[name] for name in stored.files})
    for again in (lambda: interpjax.run(config, tmp_path / "run", ONLY), lambda: interpjax.load(tmp_path / "run")):
        with pytest.raises(ValueError, match=r"config.model.weights is now 'sha256:\w+', it was 'sha256:\w+'"):
            again()
    weights.unlink()
    assert interpjax.run(config, tmp_path / "run", ONLY) == summary  # which only reads
    with pytest.raises(ValueError, match=r"config\.model\.weights.*No such file"):
        interpjax.load(tmp_path / "run")


def test_caffe_protocol_takes_the_layers_own_receptive_fields(own, tmp_path):
    config = config_lib.override(own[0], {"dissection.protocol": "caffe"})
    with pytest.raises(
        ValueError, match=r"config.dissection.protocol = 'caffe', layer conv1: .* less than a label pixel"
    ):
        interpjax.run(config, tmp_path / "run", ONLY)
    config = config_lib.override(config, {"dissection.layers": ("conv2",)})
    interpjax.run(config, tmp_path / "run", ONLY)
    prepared = prepare(config, tmp_path / "run", ONLY)
    stored = dissection.Dissection.load(tmp_path / "run" / "dissection" / "conv2" / "iou.npz")
    assert prepared.labelled.fieldmaps == {"conv2": ((-3, -3), (8, 8), (2, 2))} == {"conv2": stored.fieldmap}


@pytest.mark.parametrize(
    ("fields", "stages", "message"),
    [
        (
            {},
            ("dissekt",),
            r"stages: 'dissekt' is not a stage; choose from train, evaluate, dissect, chance, visualize, report",
        ),
        ({}, (), r"stages: name at least one of train"),
        ({}, ("report",), r"stages: report is made from dissect"),
        ({"model.weights": ""}, ONLY, r"config.model.weights = '': there is no network for the stages dissect, report"),
        ({"model.weights": "/no.npz"}, ONLY, r"config.model.weights = '/no.npz': cannot be read \(No such file"),
        ({"model.name": "alexnet"}, ONLY, r"config\.model\.weights: .*weights.npz: weights of alexnet: .* is missing"),
        ({"model.width": 1.0}, ONLY, r"config\.model\.weights: .*has the shape"),
        (
            {"data.image_size": 2},
            ONLY,
            r"config.data.image_size = 2: TwoFiguresCNN: images of \(2, 2\) pixels; expected at least",
        ),
        ({"dissection.broden": ""}, ONLY, r"config.dissection.broden = ''"),
        ({"data.channels": "GRB"}, ONLY, r"config.data.channels = 'GRB': choose one of RGB, BGR"),
        ({"data.mean_image": "/no.npy"}, ONLY, r"config.data.mean_image = '/no.npy': cannot be read"),
        (
            {"model.weights": "", "data.channels": "BGR"},
            ("train",),
            r"config.data.channels = 'BGR': expected 'RGB'",
        ),
        ({"model.weights": "", "data.mean_image": "m"}, ("train",), r"config.data.mean_image = 'm': expected ''"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(own, tmp_path, fields, stages, message):
    config = config_lib.override(own[0], fields)
    with pytest.raises(ValueError, match=message):
        interpjax.run(config, tmp_path / "run", stages)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (np.zeros((2, 40, 40)), r"has the shape \(2, 40, 40\); expected an .npy file of \[3, height, width\]"),
        (np.ones((3, 31, 40)), r"has the shape \(3, 31, 40\); .* config.data.image_size = 32 pixels or more"),
        (np.full((40, 40, 3), 0.5), r"has values from 0.5 to 0.5; expected those of images in 0..255"),
        (np.full((40, 40, 3), "a"), r"holds <U1 of shape \(40, 40, 3\); expected"),
    ],
)
def test_mean_images_of_another_form_are_refused(own, tmp_path, stored, message):
    np.save(tmp_path / "mean.npy", stored)
    config = config_lib.override(own[0], {"data.mean_image": str(tmp_path / "mean.npy")})
    with pytest.raises(ValueError, match=rf"config.data.mean_image = '.*mean.npy': {message}"):
        interpjax.run(config, tmp_path / "run", ONLY)


def test_data_of_other_classes_are_not_evaluated_on(own, tmp_path):
    shutil.copytree(own[1] / "images", tmp_path / "images")
    shutil.rmtree(tmp_path / "images" / "2")
    fields = {"data.train": str(tmp_path / "images"), "data.test": str(tmp_path / "images")}
    with pytest.raises(ValueError, match=r"config.data.source = 'image_folder': it has 2 classes, .* has 3; leave"):
        interpjax.run(config_lib.override(own[0], fields), tmp_path / "run", ("evaluate",))


@pytest.mark.long
def test_trained_run_can_be_done_in_parts(tmp_path, capsys):
    config = tiny.tiny_config(training__num_steps=2, dissection__layers=("conv1",))
    summary = interpjax.run(config, tmp_path / "run", ("train",))
    assert set(summary) == {"num_steps", "skipped_images", "seconds"}
    assert "report:" not in capsys.readouterr().out
    summary = interpjax.run(config, tmp_path / "run", ONLY)
    assert set(summary["seconds"]) == {"train", "dissect", "report"}
    assert "accuracy" not in summary
