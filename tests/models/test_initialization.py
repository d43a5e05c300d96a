"""Kernels and biases as each family's authors start them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interpjax import models

UNIFORM, NORMAL = np.sqrt(3), 4.0  # the largest of many values over their standard deviation: at most, at least


def fan(*shape: int) -> int:
    return int(np.prod(shape))


# model → layer → (standard deviation, uniform or normal, bias: a number, or "uniform" in ±1/√fan_in)
EXPECTED = {
    # PyTorch's defaults: uniform in ±1/√fan_in, whose standard deviation is that bound over √3
    "alexnet": {
        "conv2": (1 / np.sqrt(3 * fan(5, 5, 16)), UNIFORM, "uniform"),
        "fc2": (1 / np.sqrt(3 * 1024), UNIFORM, "uniform"),
    },
    "alexnet_caffe": {"conv2": (0.01, NORMAL, 0.1), "conv3": (0.01, NORMAL, 0.0), "fc6": (0.005, NORMAL, 0.1)},
    "caffenet": {"conv2": (0.01, NORMAL, 1.0), "conv3": (0.01, NORMAL, 0.0), "fc8": (0.01, NORMAL, 0.0)},
    # He et al. by what goes out; the first convolution of a stage has half as many inputs, which tells the two apart
    "vgg16": {"conv3_1": (np.sqrt(2 / fan(3, 3, 64)), NORMAL, 0.0), "fc2": (0.01, NORMAL, 0.0)},
    "resnet18": {
        "layer3.0.conv1": (np.sqrt(2 / fan(3, 3, 64)), NORMAL, None),
        "fc": (1 / np.sqrt(3 * 128), UNIFORM, "uniform"),
    },
    # by what comes in
    "densenet121": {
        "denseblock2.denselayer2.conv1": (np.sqrt(2 / 24), NORMAL, None),
        "classifier": (1 / np.sqrt(3 * 32), UNIFORM, 0.0),
    },
    # Glorot by both, times √2
    "squeezenet_places365": {
        "fire5_expand3x3": (np.sqrt(4 / (fan(3, 3, 8) + fan(3, 3, 32))), UNIFORM, 0.0),
        "conv10": (np.sqrt(4 / (128 + 500)), UNIFORM, 0.0),
    },
    "googlenet": {"inception3a.branch2.1.conv": (0.01, NORMAL, None), "fc": (0.01, NORMAL, "uniform")},
}
SMALL = {"densenet121": {"blocks": (2, 2, 2, 2)}}


def started(model, layers):
    """Variables of these layers alone: what is not returned is not compiled."""

    @jax.jit
    def init(key):
        variables = model.init(key, jnp.zeros((1, 64, 64, 3)))
        return {name: {layer: own[layer] for layer in layers if layer in own} for name, own in variables.items()}

    return init(jax.random.key(0))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_kernels_and_biases_start_as_published(name):
    model = models.create_model(name, num_classes=500, width=0.25, **SMALL.get(name, {}))
    params = started(model, EXPECTED[name])["params"]
    for layer, (deviation, spread, bias) in EXPECTED[name].items():
        kernel = np.asarray(params[layer]["kernel"], np.float64)
        assert kernel.std() == pytest.approx(deviation, rel=5 / np.sqrt(2 * kernel.size))
        assert abs(kernel.mean()) < 5 * deviation / np.sqrt(kernel.size)
        largest = np.abs(kernel).max() / deviation
        assert largest <= UNIFORM * 1.001 if spread == UNIFORM else largest > 3
        if bias is None:
            assert "bias" not in params[layer]
        elif bias == "uniform":
            bound = 1 / np.sqrt(kernel[..., 0].size)
            values = np.asarray(params[layer]["bias"])
            assert np.abs(values).max() <= bound * 1.001
            assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.35)
        else:
            np.testing.assert_array_equal(params[layer]["bias"], np.float32(bias))


def test_batch_norm_starts_as_the_identity_but_for_epsilon():
    model = models.create_model("alexnet_b", num_classes=2, width=0.0625)
    norms = models.outline(model).batch_norms.values()
    variables = started(model, tuple(norms))
    for norm in norms:
        np.testing.assert_array_equal(variables["params"][norm]["scale"], 1)
        np.testing.assert_array_equal(variables["params"][norm]["bias"], 0)
        np.testing.assert_array_equal(variables["batch_stats"][norm]["mean"], 0)
        np.testing.assert_array_equal(variables["batch_stats"][norm]["var"], 1)
