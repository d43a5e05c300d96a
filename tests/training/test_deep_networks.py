"""Training of ResNet and DenseNet: what the terms cover, one step, and the whole job."""

import fnmatch

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

import interpjax
from interpjax import config as config_lib
from interpjax import models, parallel
from interpjax.prepare.recipes import read_block_norm, read_grouping
from interpjax.preprocessing import Preprocessing
from interpjax.training import create_train_state
from interpjax.training.step import make_train_step

NAMES = ("resnet18", "densenet121")
TWO_GROUPS = {"regularizer.grouping.num_groups": 2}  # growth 32 is 4 filters here
RNG = np.random.default_rng(0)


def small(model, regularizer, **fields):
    settings = {"data.image_size": 32, "data.resize_size": 32, "model.width": 0.125, "training.batch_size": 4}
    config = interpjax.get_config(f"places365:model={model},regularizer={regularizer}")
    return config_lib.override(config, settings | TWO_GROUPS | {k.replace("__", "."): v for k, v in fields.items()})


def network(name, **fields):
    return models.create_model(name, num_classes=10, width=0.125, **fields)


def outline(name):
    return models.outline(network(name), 32)


@pytest.mark.parametrize("name", NAMES)
def test_block_norm_covers_the_convolutions_and_nothing_else(name):
    params = jax.tree.map(lambda leaf: jnp.asarray(np.zeros(leaf.shape, np.float32)), outline(name).variables["params"])
    config = small(name, "gbn")
    covered = read_block_norm(config, read_grouping(config)).kernels(params)
    assert set(covered) == set(outline(name).convolutions)
    assert set(covered) == {layer for layer, own in params.items() if getattr(own.get("kernel"), "ndim", 0) == 4}
    shortcut = {"resnet18": "layer2.0.downsample.0", "densenet121": "transition1.conv"}[name]
    assert shortcut in covered


@pytest.mark.long
@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_one_training_step_changes_every_kernel_and_is_finite(name):
    config, model = small(name, "cgl"), network(name, axis_name=parallel.AXIS)  # which has the block norm too
    blocks = {"densenet121": (2, 1, 1, 1), "resnet18": (1, 1, 1, 1)}[name]
    model = model.clone(blocks=blocks)  # all kinds of layers, and seconds to compile instead of minutes
    recipe, schedule = tiny.recipe(config, model), optax.constant_schedule(0.1)
    optimizer = recipe.optimizer.optimizer(schedule, total=1)
    before = create_train_state(model, optimizer, image_size=32, seed=0)
    layers = models.outline(model, 32).convolutions
    kernels = {layer: np.asarray(before.params[layer]["kernel"]) for layer in layers}
    step = make_train_step(
        model, optimizer, recipe.objective, preprocessing=Preprocessing.imagenet(), learning_rate=schedule, seed=0
    )
    batch = {
        "image": RNG.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8),
        "label": np.arange(4, dtype=np.int32),
    }
    after, metrics = jax.tree.map(
        np.asarray, parallel.first(step(parallel.replicate(before), parallel.put_batch(batch)))
    )
    assert {f"penalty/{term}" for term in ("block_norm", "group_activation", "spatial")} <= set(metrics)
    assert all(np.isfinite(value) for value in metrics.values()), metrics
    for layer, kernel in kernels.items():
        changed = after.params[layer]["kernel"]
        assert np.isfinite(changed).all(), layer
        assert (changed != kernel).any(), layer


def test_losses_on_activations_are_of_every_convolution_of_a_resnet():
    objective = tiny.recipe(small("resnet18", "cgl"), network("resnet18")).objective
    assert set(objective.layers) == set(outline("resnet18").convolutions)


def test_sums_at_the_ends_of_residual_blocks_are_known():
    ends = {layer for layer in outline("resnet18").convolutions if fnmatch.fnmatch(layer, "layer*.conv2")}
    shortcuts = {f"layer{stage}.0.downsample.0" for stage in (2, 3, 4)}
    assert outline("resnet18").summed == ends | shortcuts
    assert (
        outline("densenet121").summed == models.outline(models.create_model("alexnet_b", num_classes=2)).summed == set()
    )


@pytest.mark.parametrize(
    ("name", "layers", "message"),
    [
        ("resnet18", (), r"'batch_norm': resnet18's layer1.0.conv2 goes into a sum behind it.*'minibatch'"),
        ("densenet121", (), r"'batch_norm': densenet121's denseblock1.denselayer1.conv2 has none behind it"),
        ("resnet18", ("conv1", "*.conv1"), None),
        ("densenet121", ("conv0", "denseblock1.*.conv1"), None),
    ],
)
def test_statistics_of_batch_norm_are_of_what_it_gives(name, layers, message):
    chosen = {f"regularizer__{term}__layers": layers for term in ("group_activation", "spatial")}
    config = small(name, "cgl", regularizer__soft_receptive_field__statistics="batch_norm", **chosen)
    if message is None:
        tiny.recipe(config, network(name))
    else:
        with pytest.raises(ValueError, match=message):
            tiny.recipe(config, network(name))


def test_input_channels_of_split_convolutions_are_not_grouped():
    fields = {"regularizer__block_norm__axis": "inputs", "data__image_size": 64}
    config = config_lib.override(small("alexnet", "gbn", **fields), {"model.name": "alexnet_caffe"})
    with pytest.raises(ValueError, match=r"block_norm\.axis = 'inputs': the kernels of conv2, conv4, conv5 are split"):
        tiny.recipe(config, network("alexnet_caffe"))


@pytest.mark.long
def test_folded_relevance_has_the_network_s_own_epsilon():
    fields = {"regularizer__grouping__by_layer": (("conv1.conv", 2), ("*", 0))}
    config, model = small("resnet18", "gbn", **fields), models.create_model("googlenet", num_classes=2, width=0.125)
    variables = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), dict(models.outline(model, 32).variables))
    variables["batch_stats"] = jax.tree.map(lambda leaf: 0.01 * leaf, variables["batch_stats"])
    found = jax.device_get(jax.jit(tiny.diagnostics(config, model, 32).of_weights)(variables))
    layer = models.outline(model, 32).convolutions[0]
    expected = np.asarray(found[layer]["relevance"]) / np.sqrt(0.01 + model.epsilon)
    np.testing.assert_allclose(found[layer]["folded_relevance"], expected, rtol=1e-5)
