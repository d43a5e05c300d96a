"""The model zoo's configurations: networks × regularizers × data sets, by an argument."""

import itertools

import jax
import numpy as np
import pytest

import interpjax
from interpjax import config as config_lib
from interpjax import models
from interpjax.config.checks import validate
from interpjax.configs.common import PLACES50_1, PLACES50_2

DATA = {
    "places365": ("places365_small", ()),
    "places50_1": ("places365_small", PLACES50_1),
    "places50_2": ("places365_small", PLACES50_2),
    "imagenet": ("imagenet2012", ()),
}
RATES = {  # and weight decays
    "alexnet": (0.01, 1e-4),
    "alexnet_b": (0.01, 1e-4),
    "vgg16": (0.01, 5e-4),
    "resnet18": (0.1, 1e-4),
    "resnet50": (0.1, 1e-4),
    "densenet121": (0.1, 1e-4),
}


@pytest.mark.parametrize(("data", "model"), [*itertools.product(DATA, RATES)])
def test_every_network_on_every_data_set_has_its_recipe_and_three_regularizers(data, model):
    config, (rate, decay) = interpjax.get_config(f"{data}:model={model}"), RATES[model]
    validate(config)
    assert (config.data.tfds_name, config.data.classes) == DATA[data]
    assert (config.data.train, config.data.test) == ("train", "validation")
    assert (config.model.name, config.optimizer.learning_rate) == (model, rate)
    assert (config.optimizer.schedule, config.optimizer.decay_every_epochs) == ("step", 30)
    assert (config.optimizer.momentum, config.training.batch_size, config.training.num_epochs) == (0.9, 256, 90)
    assert config.training.checkpoint_every_steps % config.training.log_every_steps == 0
    strengths = {}
    for regularizer in ("gbn", "wd", "cgl"):
        terms = interpjax.get_config(f"{data}:regularizer={regularizer},model={model}").regularizer
        strengths[regularizer] = {name: terms[name].strength for name in config_lib.TERMS if terms[name].strength}
    assert strengths["gbn"] == {"block_norm": 5e-3}
    assert strengths["wd"] == {"weight_decay": decay}
    assert set(strengths["cgl"]) == {"block_norm", "group_activation", "spatial"}


@pytest.mark.parametrize("regularizer", ["gbn", "wd", "cgl"])
def test_the_files_of_places365_are_the_zoo_with_alexnet(regularizer):
    named = interpjax.get_config(f"places365_{regularizer}")
    assert interpjax.get_config(f"places365:regularizer={regularizer}") == named
    assert interpjax.get_config(f"places365:model=alexnet,regularizer={regularizer}") == named


def test_what_an_argument_leaves_out_is_alexnet_and_the_block_norm():
    assert interpjax.get_config("imagenet") == interpjax.get_config("imagenet:model=alexnet,regularizer=gbn")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("modle=vgg16", r"'modle=vgg16' is none of .*; choose from model: alexnet, .*; regularizer: gbn, wd"),
        ("model=vgg17", r"argument 'model=vgg17' of the config: model = 'vgg17': choose one of alexnet, alexnet_b,"),
        ("model=vgg16,regularizer=l1", r"regularizer = 'l1': choose one of gbn, wd, cgl"),
        ("vgg16", r"'vgg16' is none of its key=value pairs; choose from model: alexnet"),
        ("model=vgg16,model=vgg16", r"'model=vgg16' is given twice"),
    ],
)
def test_wrong_arguments_are_named(argument, message):
    with pytest.raises(ValueError, match=message):
        interpjax.get_config(f"places50_2:{argument}")


@pytest.mark.parametrize("model", RATES)
def test_networks_of_the_zoo_have_as_many_parameters_as_published(model):
    network = models.create_model(model, num_classes=1000)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 224, 224, 3), np.float32))
    published = {"alexnet": 61.1, "vgg16": 138.4, "resnet18": 11.7, "resnet50": 25.6, "densenet121": 8.0}  # millions
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) / 1e6
    assert round(count, 1) == published.get(model, published["alexnet"])
