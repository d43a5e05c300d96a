"""What one brings oneself: the examples of docs/extending.md, and what is said of what does not fit."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow_datasets as tfds
import tiny

import docs
import interpjax
from interpjax import config as config_lib
from interpjax import models
from interpjax.data import ArraySplit, Source
from interpjax.errors import UserError
from interpjax.training.metrics import read_metrics

SMALL = [f"--config.{name}={value}" for name, value in tiny.FIELDS.items() if name != "model.width"]
PAGE = Path(__file__).parents[1] / "docs" / "extending.md"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A folder that holds the page's modules, found by imports."""
    folder = tmp_path_factory.mktemp("extending")
    for block in docs.blocks(PAGE, "python"):
        name = re.match(r"# (\w+\.py)\n", block)
        if name:
            (folder / name[1]).write_text(block)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


def test_every_example_is_shorter_than_thirty_lines():
    blocks = docs.blocks(PAGE, "python")
    assert len(blocks) == 5
    assert all(len(block.splitlines()) < 30 for block in blocks)


@pytest.mark.long
def test_all_that_is_one_s_own_goes_together(page):
    config = tiny.tiny_config(
        model__name="mynets:SmallNet",
        model__width=1.0,
        regularizer__own=(("mylosses:total_variation", 1e-2),),
        regularizer__group_activation__strength=0.1,
        regularizer__grouping__num_groups=4,
        optimizer__name="myoptimizers:lion",
        training__num_steps=3,
    )
    workdir = page / "all"
    summary = interpjax.run(config, workdir)
    assert {name: layer["units"] for name, layer in summary["layers"].items()} == {"conv1": 16, "conv2": 32}
    assert set(summary["groups"]) == {"conv1", "conv2"}
    rows = [row for row in read_metrics(workdir / "metrics.jsonl") if "loss" in row]
    assert rows[0]["penalty/total_variation"] > 0
    assert rows[0]["penalty/group_activation"] > 0
    np.testing.assert_allclose(
        rows[0]["loss"],
        rows[0]["cross_entropy"] + sum(value for name, value in rows[0].items() if name.startswith("penalty/")),
        rtol=1e-5,
    )
    # Another process, which knows nothing but where the module is.
    code = (
        "import interpjax, numpy as np; _, network, variables = interpjax.load('all');"
        "print(network.apply(variables, np.zeros((3, 40, 40, 3), 'float32'), train=False).shape)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=page, capture_output=True, text=True, check=False)
    assert found.stdout.split("\n")[-2] == "(3, 2)", found.stderr


@pytest.mark.long
def test_arrays_are_trained_and_evaluated_on(page):
    fields = {"data__source": "mydata:stripes", "training__num_steps": 2}
    summary = interpjax.run(tiny.tiny_config(**fields), page / "arrays", ("train", "evaluate"))
    assert 0 <= summary["accuracy"] <= 1
    with pytest.raises(ValueError, match=r"config.data.source = 'mydata:stripes' brings no labelled images"):
        interpjax.run(tiny.tiny_config(**fields), page / "arrays", ("dissect",))


class Cifar10(tfds.core.GeneratorBasedBuilder):
    """A few images in the form of the real one."""

    VERSION = tfds.core.Version("3.0.2")
    name = "cifar10"

    def _info(self):
        names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
        features = {
            "id": tfds.features.Text(),
            "image": tfds.features.Image(shape=(32, 32, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=names),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in ("train", "test")}

    def _generate_examples(self, split):
        import cv2

        rng = np.random.default_rng(0)
        for i in range(20):
            image = rng.integers(0, 255, (32, 32, 3)).astype(np.uint8)
            encoded = cv2.imencode(".png", image)[1].tobytes()
            yield i, {"id": f"{split}_{i}", "image": encoded, "label": i % 10}


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    Cifar10(data_dir=str(folder), file_format="array_record").download_and_prepare()
    return folder


@pytest.mark.long
def test_cifar10_needs_flags_alone(page, cifar10):
    command = next(block for block in docs.blocks(PAGE, "bash") if "cifar10" in block)
    flags = dict(each.removeprefix("--config.").split("=") for each in docs.arguments(command) if "config." in each)
    fields = {name: int(value) if value.isdecimal() else value for name, value in flags.items()}
    config = config_lib.override(tiny.tiny_config(training__num_steps=2), fields | {"data.directory": str(cifar10)})
    summary = interpjax.run(config, page / "cifar10", ("train", "evaluate"))
    assert summary["num_steps"] == 2
    _, model, _ = interpjax.load(page / "cifar10")
    assert model.num_classes == 10


@pytest.mark.long
@pytest.mark.parametrize("number", range(5))
def test_every_command_of_the_page_runs_as_it_stands(page, cifar10, number):
    command = docs.blocks(PAGE, "bash")[number]
    more = [f"--config.data.directory={cifar10}"] if "cifar10" in command else []
    more = [*more, "--config.model.width=0.0625"] if "model.width" not in command else more
    own = [flag.partition("=")[0] for flag in docs.arguments(command)]
    small = [flag for flag in SMALL if flag.partition("=")[0] not in own]
    arguments = [sys.executable, "-m", "interpjax", *docs.arguments(command), *small, *more]
    tiny.finish(tiny.start_command(arguments, page))
    workdir = next(flag.partition("=")[2] for flag in docs.arguments(command) if flag.startswith("--workdir"))
    assert (page / workdir / "summary.json").is_file()


class NoLogits(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, images, *, train):
        return nn.Conv(self.num_classes, (3, 3))(images)


class NoLayers(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, images, *, train):
        return nn.Dense(self.num_classes)(images.mean(axis=(1, 2)))


class PostOnly(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.relu(nn.Conv(4, (3, 3), name="conv1")(images))
        models.offer(self, "conv1", post=x)
        return nn.Dense(self.num_classes)(x.mean(axis=(1, 2)))


class PreOnly(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.Conv(4, (3, 3), name="conv1")(images)
        models.offer(self, "conv1", pre=x)
        return nn.Dense(self.num_classes)(nn.relu(x).mean(axis=(1, 2)))


class Behind(nn.Module):
    num_classes: int
    layer: str = "conv1"
    norm: str = "bn1"

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.Conv(4, (3, 3), name="conv1")(images)
        y = nn.BatchNorm(use_running_average=not train, name="bn1")(x)
        models.offer(self, self.layer, behind=self.norm, norm=y, pre=y, post=nn.relu(y))
        return nn.Dense(self.num_classes)(nn.relu(y).mean(axis=(1, 2)))


class Counting(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, images, *, train):
        self.variable("counters", "calls", jnp.zeros, ())
        return nn.Dense(self.num_classes)(nn.Conv(4, (3, 3))(images).mean(axis=(1, 2)))


class Buggy(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, images, *, train):
        return "a" + images.shape[0]


def wrong_labels(config):
    images = np.zeros((4, 40, 40, 3), np.uint8)
    return Source(ArraySplit(images, np.arange(4)), ArraySplit(images, np.zeros(4, int)), ("a", "b"))


def buggy_term(inputs):
    raise ValueError("a bug of one's own")


def no_source(config):
    return [1, 2]


def half_a_source(config):
    return Source(ArraySplit(np.zeros((4, 40, 40, 3), np.uint8), np.zeros(4, int)), None, ("a", "b"))


def no_scalar(inputs):
    return jnp.zeros(3)


def no_optimizer(learning_rate):
    return "sgd"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model__name", "nowhere:Net", r"config.model.name = 'nowhere:Net': there is no module 'nowhere'; modules are"),
        ("model__name", "test_extending:Missing", r"test_extending has no 'Missing'"),
        ("model__name", "test_extending:no_source", r"config.model.name.*expected .*flax.linen.Module"),
        ("model__name", "test_extending:NoLogits", r"config.model.name.*expected logits"),
        ("model__name", "test_extending:NoLayers", r"offers no layer .*models.offer\(self"),
        (
            "model__name",
            "test_extending:PreOnly",
            r"offers 'conv1' as pre; expected 'post', which config.dissect",
        ),
        (
            "model__name",
            "test_extending:Counting",
            r"variables of the collection 'counters'; expected params and",
        ),
        ("data__source", "test_extending:wrong_labels", r"its train has the label 2; expected 0 to 1, for there are 2"),
        ("data__source", "test_extending:no_source", r"it gave a list; expected an interpjax.data.Source"),
        ("data__source", "test_extending:half_a_source", r"its test is a NoneType; expected a Split"),
        (
            "regularizer__own",
            (("test_extending:no_scalar", 1.0),),
            r"no_scalar gives an array of shape \(3,\); expected",
        ),
        ("regularizer__own", ("test_extending:no_scalar", 1.0), r"expected pairs, as"),
        ("regularizer__own", (("test_extending:no_scalar", -1.0),), r"is -1.0; expected a number of 0 or more"),
        (
            "regularizer__own",
            (("mylosses:block_norm", 1.0),),
            r"config.regularizer.own = 'mylosses:block_norm': .*has no",
        ),
        ("optimizer__name", "test_extending:no_optimizer", r"it gave a str; expected a function of the learning rate"),
        ("optimizer__name", "adagrad", r"choose one of sgd, adam, adamw, or give the import path of your own"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(page, tmp_path, field, value, message):
    fields = {field: value, "data__image_size": 40}
    if field == "model__name":
        fields["model__width"] = 1.0
    with pytest.raises(ValueError, match=message):
        interpjax.run(tiny.tiny_config(**fields), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_bug_of_one_s_own_keeps_its_traceback(page, tmp_path, monkeypatch):
    module = importlib.import_module("mydata")

    class Broken(ArraySplit):
        def __getitem__(self, index):
            raise KeyError("a bug")

    def broken(config):
        images, labels = np.zeros((16, 40, 40, 3), np.uint8), np.arange(16) % 2
        return Source(Broken(images, labels), ArraySplit(images, labels), ("a", "b"))

    monkeypatch.setattr(module, "stripes", broken)
    with pytest.raises(Exception, match="a bug") as caught:
        interpjax.run(tiny.tiny_config(data__source="mydata:stripes"), tmp_path / "run", ("train",))
    assert not isinstance(caught.value, UserError)
    kept = (tmp_path / "run" / "error.log").read_text()
    assert "Traceback" in kept
    assert "a bug" in kept


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"model__name": "test_extending:Buggy", "model__width": 1.0}, TypeError, "can only concatenate str"),
        ({"regularizer__own": (("test_extending:buggy_term", 1.0),)}, ValueError, "^a bug of one's own"),
    ],
)
def test_errors_of_one_s_own_code_are_told_as_they_are(page, tmp_path, fields, error, message):
    with pytest.raises(error, match=message) as caught:
        interpjax.run(tiny.tiny_config(**fields), tmp_path / "run")
    assert not isinstance(caught.value, UserError)


@pytest.mark.long
def test_a_network_may_offer_what_is_behind_the_non_linearity_alone(page, tmp_path):
    config = tiny.tiny_config(model__name="test_extending:PostOnly", model__width=1.0, training__num_steps=1)
    config = config_lib.override(config, {"regularizer.grouping.num_groups": 2})
    summary = interpjax.run(config, tmp_path / "run", ("train", "evaluate", "dissect"))
    assert summary["layers"]["conv1"]["units"] == 4
    assert "dead_filters" not in summary["groups"]["conv1"]


def test_a_batch_norm_behind_a_layer_is_one_that_there_is():
    assert models.outline(Behind(2), 40).batch_norms == {"conv1": "bn1"}
    with pytest.raises(UserError, match=r"'conv1' is offered with behind='bn', which has no scale .*there are bn1"):
        models.outline(Behind(2, norm="bn"), 40)
    with pytest.raises(UserError, match=r"'konv1' is offered with behind='bn1', but it has no kernel .*conv1, Dense"):
        models.outline(Behind(2, layer="konv1"), 40)
