"""Saliency against numeric differences, Grad-CAM against brute force, SmoothGrad where the answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_cnn import SIZE, small_cnn

from interpjax import models
from interpjax import visualization as vis
from interpjax.visualization.arguments import check_key

CLASSES = np.array([2, 0])


@pytest.fixture(scope="module")
def network():
    return small_cnn()


@pytest.fixture
def wide(network):
    """The network in float64, for differences."""
    model, variables, images = network
    with jax.enable_x64(True):
        yield model, *jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), (variables, images))


def test_saliency_is_the_largest_numeric_difference(wide):
    model, variables, images = wide
    found = vis.saliency(model, variables, images, CLASSES)
    assert found.shape == (2, SIZE, SIZE)
    places = [(0, 3, 4), (0, 11, 0), (1, 6, 7), (1, 2, 9)]
    copies = [
        images[number].at[row, column, channel].add(step)
        for number, row, column in places
        for channel in range(3)
        for step in (1e-5, -1e-5)
    ]
    logits = model.apply(variables, jnp.stack(copies), train=False).reshape(len(places), 3, 2, 3)
    for (number, row, column), own in zip(places, logits, strict=True):
        slopes = np.abs(own[:, 0, CLASSES[number]] - own[:, 1, CLASSES[number]]) / 2e-5
        np.testing.assert_allclose(found[number, row, column], slopes.max(), rtol=1e-6, atol=1e-10)


def test_without_noise_smooth_grad_is_saliency(network):
    plain = vis.saliency(*network, CLASSES)
    still = vis.smooth_grad(*network, CLASSES, jax.random.key(0), noise=0.0, samples=3)
    np.testing.assert_allclose(still, plain, rtol=1e-5, atol=1e-8)


def test_smooth_grad_is_the_mean_gradient_over_noise_as_wide_as_said():
    """Of a network that squares its input the mean gradient is that without noise, and its error tells the noise."""

    class Square(models.Classifier):
        def __call__(self, images, *, train=False):
            return jnp.square(images).sum(axis=(1, 2, 3))[:, None]

    images = jnp.zeros((1, 40, 40, 3)).at[0, 0, 0].set(2.0)  # a range of 2
    found = vis.smooth_grad(Square(1), {}, images, np.array([0]), jax.random.key(0), noise=0.1, samples=4)
    # The largest magnitude of three means of four draws of 2·N(0, 0.2²): E max|z| = 1.3263 standard deviations of 0.2.
    assert found[0, 1:].mean() == pytest.approx(1.3263 * 0.2, rel=0.05)


def test_grad_cam_is_the_formula_by_brute_force(wide):
    model, variables, images = wide
    _, maps = models.apply_with_taps(model, variables, images, layers=("conv1",))
    found = vis.grad_cam(model, variables, images, CLASSES, "conv1")
    positions, units = SIZE * SIZE, maps["conv1"].shape[-1]

    @jax.jit
    def scores(step):
        return models.apply_with_changes(model, variables, images, {"conv1": lambda own: own + step[None, None, None]})

    steps = 1e-6 * jnp.eye(units)
    difference = jnp.stack([scores(step) - scores(-step) for step in steps]) / 2e-6 / positions
    for number, cls in enumerate(CLASSES):
        expected = np.maximum(maps["conv1"][number] @ difference[:, number, cls], 0)
        assert (expected > 0).any()
        np.testing.assert_allclose(found[number], expected, rtol=1e-5, atol=1e-9)


TRACED = []


class Traced(models.Classifier):
    """Notes the shapes that it is traced for."""

    def __call__(self, images, *, train=False):
        TRACED.append(images.shape)
        return images.mean(axis=(1, 2))


def test_a_second_call_traces_nothing():
    images = jnp.ones((2, SIZE, SIZE, 3))
    for number in range(3):
        vis.saliency(Traced(3), {}, images + number, (CLASSES + number) % 3)
        vis.smooth_grad(Traced(3), {}, images, CLASSES, jax.random.key(number), noise=0.1 * number, samples=2)
        if not number:
            first = len(TRACED)
    assert first == len(TRACED) > 0
    vis.saliency(Traced(3), {}, images[:1], CLASSES[:1])
    assert len(TRACED) > first


def test_what_is_none_of_the_network_is_refused(network, untyped):
    with pytest.raises(
        ValueError, match=r"classes: int64 of the shape \(3,\); expected whole numbers, one for each of 2"
    ):
        vis.saliency(*network, np.array([0, 1, 2]))
    with pytest.raises(ValueError, match=r"classes: float64 of the shape"):
        vis.saliency(*network, np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="classes = 3: the network has no such class; expected 0 to 2"):
        vis.saliency(*network, np.array([0, 3]))
    with pytest.raises(ValueError, match="layer = 'conv9': choose one of conv1, conv2"):
        vis.grad_cam(*network, CLASSES, "conv9")
    with pytest.raises(ValueError, match="noise = -1: expected 0 or more"):
        vis.smooth_grad(*network, CLASSES, jax.random.key(0), noise=-1)
    with pytest.raises(ValueError, match="samples = 0: expected 1 or more"):
        vis.smooth_grad(*network, CLASSES, jax.random.key(0), samples=0)
    for key in (0, jax.random.split(jax.random.key(0)), np.zeros(2)):
        with pytest.raises(ValueError, match=r"key = .*: expected a single key of JAX, as jax.random.key\(0\)"):
            vis.smooth_grad(*network, CLASSES, key)


def test_images_and_variables_of_another_kind_are_told(network, untyped):
    model, variables, images = network
    with pytest.raises(ValueError, match=r"images: of dtype uint8; expected .*: normalize with Preprocessing"):
        vis.saliency(model, variables, images.astype(np.uint8), CLASSES)
    with pytest.raises(
        ValueError, match=r"images: of the shape \(12, 12, 3\); expected \[n, height, width, 3\], as imag"
    ):
        vis.saliency(model, variables, images[0], CLASSES)
    with pytest.raises(ValueError, match=r"images = \[\]: expected an array"):
        vis.saliency(model, variables, [], CLASSES)
    message = "variables: have conv1, conv2, fc, and no 'params'; expected all that model.init gives"
    with pytest.raises(ValueError, match=message):
        vis.grad_cam(model, variables["params"], images, CLASSES, "conv1")
    with pytest.raises(ValueError, match="variables = None: expected those of the network"):
        vis.saliency(model, None, images, CLASSES)
    check_key(jax.random.PRNGKey(0))  # one of the old kind will do


def test_a_network_that_cannot_be_hashed_is_refused(network):
    class Listed(models.Classifier):
        sizes: list = None

    with pytest.raises(ValueError, match=r"(?s)a field of Listed cannot be hashed.* expected tuples in place of lists"):
        vis.saliency(Listed(3, sizes=[1]), {}, network[2], CLASSES)
