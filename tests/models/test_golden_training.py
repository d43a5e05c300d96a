"""Networks of every kind in training mode, against the published ones, in float64: loss, gradients, statistics."""

import golden
import jax
import numpy as np
import pytest

# densenet161, vgg16 and resnet152 are densenet121, vgg16_bn and resnet50 of other sizes; their maps are compared in
# test_golden_models.py.
NAMES = (
    "resnet18",
    "caffenet",
    "alexnet",
    "cgl_alexnet",
    "cgl_alexnet_bn",
    "alexnet_caffe",
    "vgg16_bn",
    "resnet50",
    "densenet121",
    "googlenet",
)
TOLERANCE = 1e-9  # the records'; found is 1e-14


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_gradients_and_running_statistics_equal_the_published_definition(shared, name):
    record = golden.load(shared, name)
    logits, loss, gradients, batch_stats = golden.loss_and_gradients(record)
    expected = record.arrays["train_logits"]
    assert np.abs(logits - expected).max() < TOLERANCE * np.abs(expected).max()
    assert abs(loss / record.arrays["train_loss"] - 1) < TOLERANCE
    norms, samples = record.gradient_errors(gradients)
    assert norms < TOLERANCE
    assert samples < TOLERANCE
    if record.meta["running"]:
        assert record.running_error(batch_stats) < TOLERANCE
