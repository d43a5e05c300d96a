"""Every network against its published definition, in float64: logits, the outputs of all convolutions, parameters."""

import functools

import golden
import jax
import numpy as np
import pytest

from interpjax import models
from interpjax.models.offers import collection, maps_of

RECORDS = {
    "alexnet": 61_100_840,
    "cgl_alexnet": 61_100_840,
    "cgl_alexnet_bn": 61_103_144,
    "alexnet_caffe": 60_965_224,
    "caffenet": 60_965_224,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "resnet152": 60_192_808,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "googlenet": 6_624_904,
}
LONG = (
    "alexnet",
    "cgl_alexnet",
    "alexnet_caffe",
    "vgg16",
    "vgg16_bn",
    "resnet50",
    "resnet152",
    "densenet121",
    "densenet161",
    "googlenet",
)
DEEP = ("resnet152", "densenet161")
TOLERANCE = 1e-9  # the records'; found is 1e-14


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in LONG else name for name in RECORDS]
)
def test_logits_and_every_convolution_equal_the_published_definition(shared, name):
    record = golden.load(shared, name)
    outline = models.outline(record.model, record.images.shape[1:3])
    layers = outline.convolutions
    offered = [(layer.name, stage) for layer in outline.layers for stage in layer.taps]
    wanted = [collection(layer, stage) for layer, stage in offered]
    apply = jax.jit(functools.partial(record.model.apply, mutable=wanted))
    logits, sown = apply(record.variables, record.images)
    taps = {f"{layer}/{stage}": maps_of(sown, [layer], stage)[layer] for layer, stage in offered}
    expected = record.arrays["eval_logits"]
    assert np.abs(logits - expected).max() < TOLERANCE * np.abs(expected).max()
    recorded = [record.recorded_name(layer) for layer in layers]
    assert recorded == [layer["name"] for layer in record.meta["layers"] if layer["type"] == "Conv2d"]
    for layer, its_name in zip(layers, recorded, strict=True):
        assert record.layer_error(its_name, taps[f"{layer}/conv"]) < TOLERANCE, layer
    recorded = {layer["name"] for layer in record.meta["layers"]}
    for layer, norm in outline.batch_norms.items():
        assert record.layer_error(record.recorded_name(norm), taps[f"{layer}/norm"]) < TOLERANCE, norm
    for block in set(outline.names) - set(layers):
        if record.recorded_name(block) in recorded:  # stages of a ResNet are their last block
            stage = "pre" if block == "norm5" else "post"
            assert record.layer_error(record.recorded_name(block), taps[f"{block}/{stage}"]) < TOLERANCE, block


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in DEEP else name for name in RECORDS]
)
def test_parameters_for_1000_classes_are_as_many_as_published(shared, name):
    record = golden.load(shared, name)
    model = models.create_model(record.model_name, num_classes=1000)
    count = sum(leaf.size for leaf in jax.tree.leaves(models.outline(model).variables["params"]))
    assert count == RECORDS[name] == record.meta["parameters_with_1000_classes"]
