"""The networks against published definitions, and their taps."""

import functools
import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filling import filled

from interpjax import models
from interpjax.models.pooling import adaptive_average_pool


def published_parameters(folder):
    """The golden record's parameters by its own names."""
    spec = importlib.util.spec_from_file_location("fill", folder / "fill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    meta = json.loads((folder / "alexnet.json").read_text())
    state = {name: module.fill(name, shape) for name, shape in meta["state_dict"]}
    images = module.fill("input", meta["input"]["shape_nchw"]) * np.float32(meta["input"]["factor"])
    return state, images.transpose(0, 2, 3, 1), meta, module.sample_indices


def test_alexnet_computes_what_the_published_definition_computes(shared):
    folder = shared / "golden" / "models"
    state, images, meta, sample_indices = published_parameters(folder)
    golden = np.load(folder / "alexnet.npz")
    sources = [f"features.{i}" for i in (0, 3, 6, 8, 10)] + [f"classifier.{i}" for i in (1, 4, 6)]
    names = [f"conv{i}" for i in range(1, 6)] + ["fc1", "fc2", "fc3"]
    params = {}
    for name, source in zip(names, sources, strict=True):
        weight = state[f"{source}.weight"]
        kernel = weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T
        params[name] = {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(state[f"{source}.bias"])}
    model = models.create_model("alexnet", num_classes=10)
    logits, taps = models.apply_with_taps(model, {"params": params}, jnp.asarray(images), layers=names[:5], stage="pre")
    scale = np.abs(golden["eval_logits"]).max()
    np.testing.assert_allclose(logits, golden["eval_logits"], atol=2e-5 * scale)  # its README's float32 tolerance
    for name, source in zip(names[:5], sources[:5], strict=True):
        row = [layer["name"] for layer in meta["layers"]].index(source)
        samples = np.asarray(taps[name]).ravel()[sample_indices(source, taps[name].size, 16)]
        tolerance = 5e-5 * golden["eval_layer_std"][row]
        np.testing.assert_allclose(samples, golden["eval_layer_samples"][row], atol=tolerance)


def test_alexnet_has_the_published_number_of_parameters():
    model = models.create_model("alexnet", num_classes=1000)
    assert sum(leaf.size for leaf in jax.tree.leaves(models.outline(model).variables)) == 61_100_840


# What differs from other networks in numbers of layers alone.
DEEP = ("resnet50", "resnet101", "resnet152", "densenet121", "densenet161", "densenet169", "densenet201", "googlenet")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in DEEP else name for name in sorted(models.MODELS)]
)
def test_width_scales_filters_and_any_image_size_works(name):
    model = models.create_model(name, num_classes=3, width=0.125)
    images = jnp.zeros((2, 80, 96, 3))
    outline = models.outline(model, (80, 96))
    variables = outline.variables
    tapped = functools.partial(models.apply_with_taps, model, layers=outline.names)
    logits, taps = jax.eval_shape(tapped, variables, images)
    assert logits.shape == (2, 3)
    assert set(taps) == set(outline.names)
    for layer in outline.layers:
        assert taps[layer.name].shape == (2, *layer.shape)
    for layer in outline.convolutions:
        assert taps[layer].shape[-1] == variables["params"][layer]["kernel"].shape[-1]
    shapes = models.outline(models.create_model(name, num_classes=3), (80, 96)).variables["params"]
    for layer in outline.convolutions:
        assert variables["params"][layer]["kernel"].shape[-1] == shapes[layer]["kernel"].shape[-1] // 8


def test_shortcuts_have_no_maps_of_their_own():
    resnet = models.outline(models.create_model("resnet50", num_classes=3, width=0.125))
    doubles = {f"layer{stage}.0.downsample.0" for stage in (1, 2, 3, 4)}
    assert set(resnet.convolutions) - set(resnet.own_maps) == doubles
    densenet = models.outline(models.create_model("densenet121", num_classes=3, width=0.125))
    assert densenet.own_maps == densenet.convolutions


def test_taps_are_before_and_after_the_nonlinearity_also_inside_jit():
    model = models.create_model("alexnet_b", num_classes=3, width=0.0625)
    images = jax.random.normal(jax.random.key(1), (2, 64, 64, 3))

    @jax.jit
    def run(variables, images):
        tapped = functools.partial(models.apply_with_taps, model, variables, images, layers=("conv2",))
        return model.apply(variables, images), {stage: tapped(stage=stage) for stage in ("pre", "post")}

    expected, found = run(filled(models.outline(model, 64).variables), images)
    taps = {}
    for stage, (logits, taps[stage]) in found.items():
        np.testing.assert_allclose(logits, expected, atol=1e-5)
        assert list(taps[stage]) == ["conv2"]
    assert (taps["pre"]["conv2"] < 0).any()
    np.testing.assert_allclose(jax.nn.relu(taps["pre"]["conv2"]), taps["post"]["conv2"], atol=1e-6)


def test_unknown_names_are_refused():
    model = models.create_model("two_figures_cnn", num_classes=2, width=0.0625)
    variables = models.outline(model, 8).variables  # their shapes alone: nothing is computed
    with pytest.raises(
        ValueError, match=r"layer 'conv3': TwoFiguresCNN offers no such layer; choose one of conv1, conv2"
    ):
        models.apply_with_taps(model, variables, jnp.zeros((1, 8, 8, 3)), layers=("conv3",))
    with pytest.raises(ValueError, match=r"stage = 'relu': choose one of conv, norm, pre, post"):
        models.apply_with_taps(model, variables, jnp.zeros((1, 8, 8, 3)), layers=("conv1",), stage="relu")
    with pytest.raises(ValueError, match=r"model = 'alexnett': choose one of alexnet"):
        models.create_model("alexnett", num_classes=2)


@pytest.mark.parametrize(("cells", "size"), [(6, 6), (13, 6), (7, 6), (3, 6), (5, 2)])
def test_adaptive_pooling_equals_its_definition(cells, size):
    x = np.random.default_rng(0).normal(size=(1, cells, cells, 2)).astype(np.float32)
    pooled = np.asarray(adaptive_average_pool(jnp.asarray(x), size))
    for i in range(size):
        for j in range(size):
            rows = slice(int(np.floor(i * cells / size)), int(np.ceil((i + 1) * cells / size)))
            columns = slice(int(np.floor(j * cells / size)), int(np.ceil((j + 1) * cells / size)))
            np.testing.assert_allclose(pooled[0, i, j], x[0, rows, columns].mean(axis=(0, 1)), atol=1e-6)
