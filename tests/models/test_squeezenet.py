"""SqueezeNet with its published weights against a reference of it, and what is random in its training."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from interpjax import models
from interpjax.data.images import read_image
from interpjax.models.offers import collection, maps_of
from interpjax.models.squeezenet import SLOPES, SqueezeNet
from interpjax.prepare import prepare
from interpjax.preprocessing import Preprocessing

FIRES = tuple(f"fire{number}" for number in range(2, 10))


@pytest.fixture(scope="module")
def published(shared):
    """The folder, the network with its weights, and its preprocessing."""
    folder = shared / "data" / "squeezenet_places365"
    mean = np.load(folder / "places365_mean_bgr_3x256x256.npy")[:, 16:240, 16:240].transpose(1, 2, 0)
    variables = models.load_weights("squeezenet_places365", folder / "squeezenet_places365.npz")
    return folder, variables, Preprocessing(mean, 255, "BGR")


@pytest.fixture(scope="module")
def small():
    model = models.create_model("squeezenet_places365", num_classes=3, width=0.125)
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.normal(size=(4, 40, 48, 3)), jnp.float32)
    shapes = models.outline(model, (40, 48)).variables  # initializing so many layers would take longer

    def fill(shape):
        scale = 1 / np.sqrt(max(1, np.prod(shape.shape[:-1])))
        return jnp.asarray(rng.uniform(0.5, 1.5, shape.shape) * rng.choice([-1, 1], shape.shape) * scale, shape.dtype)

    variables = jax.tree.map(fill, shapes)
    variables["batch_stats"] = jax.tree.map(jnp.abs, variables["batch_stats"])
    return model, variables, images


def test_published_weights_give_the_reference_outputs(shared, published):
    folder, variables, preprocessing = published
    stored = np.load(folder / "reference_activations.npz")
    paths = [shared / "data" / "mini_broden" / "images" / name for name in stored["images"]]
    images = jnp.asarray(preprocessing(np.stack([read_image(path) for path in paths])))
    model = models.create_model("squeezenet_places365", num_classes=365)
    forward = jax.jit(lambda v, x: models.apply_with_taps(model, v, x, layers=("fire5", "fire9")))
    logits, maps = forward(variables, images)
    probabilities = np.asarray(jax.nn.softmax(logits))
    # Float32 in another order of sums, through 26 layers: measured 8e-7 here and 3e-6 in fire9, of values up to 3.
    np.testing.assert_allclose(probabilities, stored["probabilities"], atol=1e-5)
    np.testing.assert_allclose(maps["fire9"][:2].transpose(0, 3, 1, 2), stored["fire9_nchw_first_two"], atol=3e-5)
    outputs = json.loads((folder / "reference_outputs.json").read_text())["outputs"]
    assert [output["image"] for output in outputs] == list(stored["images"])
    for number, output in enumerate(outputs):
        top = np.argsort(-probabilities[number])[:5]
        assert top.tolist() == [row[1] for row in output["top5"]]
        for layer in ("fire5", "fire9"):  # written down with six decimals
            np.testing.assert_allclose(maps[layer][number].mean(), output[f"{layer}_mean"], atol=5e-6)
            np.testing.assert_allclose(maps[layer][number].std(), output[f"{layer}_std"], atol=5e-6)
    assert maps["fire5"].shape == (12, 27, 27, 256)
    assert maps["fire9"].shape == (12, 13, 13, 512)


def test_batch_norm_of_published_weights_is_exact(published):
    folder, variables, _ = published
    stored = np.load(folder / "squeezenet_places365.npz")
    for layer, norm in models.outline(SqueezeNet(num_classes=365)).batch_norms.items():
        variance = variables["batch_stats"][norm]["var"].astype(np.float64)
        inverse = stored[f"{layer.replace('_', '/')}/bn_inv_std"]
        np.testing.assert_allclose(1 / np.sqrt(variance + 1e-4), inverse, rtol=1e-6)


def test_loaded_weights_are_the_model_s_variables(published):
    shapes = models.outline(SqueezeNet(num_classes=365), 64).variables
    jax.tree.map(lambda array, shape: np.testing.assert_equal(array.shape, shape.shape), published[1], dict(shapes))


def test_all_that_is_wrong_with_weights_is_named_at_once(published, tmp_path):
    stored = np.load(published[0] / "squeezenet_places365.npz")
    arrays = {name: stored[name] for name in stored.files}
    del arrays["fire2/squeeze1x1/bn_mean"], arrays["conv10/b"]
    arrays |= {"conv10/bn_mean": np.zeros(365), "conv1/W": arrays["conv1/W"][:, :, :2]}
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(ValueError, match=r"wrong\.npz") as caught:
        models.load_weights("squeezenet_places365", tmp_path / "wrong.npz")
    assert str(caught.value).split("weights of squeezenet_places365: ")[1].split("; ") == [
        "fire2/squeeze1x1/bn_mean is missing, expected (16,)",
        "conv10/b is missing, expected (365,)",
        "conv10/bn_mean is surplus, expected no such entry",
        "conv1/W has the shape (64, 3, 2, 3), expected (64, 3, 3, 3)",
    ]


def test_fire_taps_are_both_expansions_before_and_after_the_nonlinearity(small):
    model, variables, images = small
    outline = models.outline(model, (40, 48))
    assert [layer for layer in outline.names if layer not in outline.convolutions] == list(FIRES)

    @jax.jit
    def tapped(variables, images):
        stages = ("pre", "post")
        return {
            stage: models.apply_with_taps(model, variables, images, layers=outline.names, stage=stage)[1]
            for stage in stages
        }

    taps = tapped(variables, images)
    for fire in FIRES:
        for stage in taps:
            parts = [taps[stage][f"{fire}_{part}"] for part in ("expand1x1", "expand3x3")]
            np.testing.assert_array_equal(taps[stage][fire], jnp.concatenate(parts, axis=-1))
    for layer in outline.names:
        pre = taps["pre"][layer]
        np.testing.assert_array_equal(taps["post"][layer], jnp.where(pre > 0, pre, jnp.float32(0.55) * pre))


@pytest.mark.long
def test_training_draws_slopes_moves_batch_statistics_and_reaches_every_parameter(small):
    model, variables, images = small
    model = model.clone(dropout=False)
    wanted = [collection("fire2", stage) for stage in ("pre", "post")]

    @jax.jit
    def run(params, key):
        def loss(params):
            changing = variables | {"params": params}
            rngs = {"dropout": key}
            logits, changed = model.apply(changing, images, train=True, mutable=[*wanted, "batch_stats"], rngs=rngs)
            return (logits[:, 0] ** 2).sum(), changed

        return jax.value_and_grad(loss, has_aux=True)(params)

    # This kind of key compiles three times as fast.
    (loss, changed), gradients = run(variables["params"], jax.random.key(0, impl="rbg"))
    pre, post = (np.asarray(maps_of(changed, ["fire2"], stage)["fire2"]) for stage in ("pre", "post"))
    ratios = np.where(pre < 0, post / pre, np.nan)
    slopes = np.nanmean(ratios, axis=(0, 1, 2))  # one of each channel
    np.testing.assert_allclose(ratios, np.where(pre < 0, slopes, np.nan), rtol=1e-5)
    assert SLOPES[0] - 1e-5 < slopes.min() < slopes.max() < SLOPES[1] + 1e-5
    assert len(np.unique(slopes)) == len(slopes)
    assert abs(slopes.mean() - 0.55) < 4 * 0.5 / np.sqrt(12 * len(slopes))  # standard errors of a uniform mean
    np.testing.assert_array_equal(post[pre > 0], pre[pre > 0])
    assert loss == run(variables["params"], jax.random.key(0, impl="rbg"))[0][0]
    assert loss != run(variables["params"], jax.random.key(1, impl="rbg"))[0][0]
    assert set(changed["batch_stats"]) == set(models.outline(model, (40, 48)).batch_norms.values())
    for norm, statistics in changed["batch_stats"].items():
        assert (statistics["mean"] != variables["batch_stats"][norm]["mean"]).all(), norm
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert 0 < np.abs(gradient).max() < np.inf, path


def test_too_small_images_are_refused():
    model = models.create_model("squeezenet_places365", num_classes=2)
    assert models.outline(model, 29).logits.shape == (1, 2)
    with pytest.raises(ValueError, match=r"images of \(28, 40\) pixels; expected at least 29 a side"):
        models.outline(model, (28, 40))


def test_experiments_may_dissect_fire_modules(tmp_path):
    config = tiny.tiny_config(
        model__name="squeezenet_places365",
        model__width=0.125,
        regularizer__grouping__num_groups=2,  # conv10, with two filters, is not meant
        dissection__layers=("fire2", "fire9"),
    )
    assert prepare(config, tmp_path).labelled.layers == ("fire2", "fire9")
