"""Pictures and the images that a network sees; what gradient ascent makes excites more than any image of the data."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_cnn import CLASSES, SIZE, small_cnn

from interpjax import models
from interpjax import visualization as vis
from interpjax.data.two_figures import drawing
from interpjax.preprocessing import Preprocessing
from interpjax.visualization import activation_maximization, fourier, pictures

IMAGE = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    "preprocessing",
    [Preprocessing.imagenet(), Preprocessing(100.0, 255.0, "BGR"), Preprocessing(np.full((SIZE, SIZE, 3), 9.0), 1.0)],
)
def test_displayed_is_the_inverse_of_preprocessing_and_normalized_is_it(preprocessing):
    seen = preprocessing(IMAGE)
    np.testing.assert_allclose(vis.displayed(seen, preprocessing), IMAGE / 255, atol=1e-6)
    mean, std, bgr = pictures.constants(preprocessing, SIZE)
    own = pictures.normalized(jnp.asarray(IMAGE[0] / 255, jnp.float32), mean, std, bgr)
    np.testing.assert_allclose(own, seen[0], rtol=1e-4, atol=1e-4)


def test_one_coefficient_is_one_wave_of_its_frequency():
    size = 16
    coefficients = jnp.zeros((2, size, size // 2 + 1, 3)).at[0, 0, 3, 0].set(1e-3)
    values = np.asarray(fourier.picture_of(coefficients))
    logits = np.log(values / (1 - values))[..., 0]
    expected = np.cos(2 * np.pi * 3 * np.arange(size) / size)
    np.testing.assert_allclose(logits / logits.max(), np.broadcast_to(expected, (size, size)), atol=1e-3)
    first = np.log(values / (1 - values))[0, 0]
    np.testing.assert_allclose(first / first[0], fourier.COLOR_ROOT[:, 0] / fourier.COLOR_ROOT[0, 0], rtol=1e-3)


def test_movements_keep_a_constant_image_and_move_scale_and_turn_another():
    def moved(image, *movement):
        return np.asarray(pictures.transformed(image, jnp.array(movement)))

    flat, rows = jnp.full((41, 41, 3), 0.3), jnp.broadcast_to(jnp.arange(41.0)[:, None, None], (41, 41, 3))
    np.testing.assert_allclose(moved(flat, 0.5, -1.0, 1.0, -1.0), 0.3, rtol=1e-6)
    np.testing.assert_array_equal(moved(rows, 0.0, 0.0, 0.0, 0.0), rows)
    assert moved(rows, 1.0, 0.0, 0.0, 0.0)[20, 20, 0] == 15  # down by 41 // 8
    slope = np.diff(moved(rows, 0.0, 0.0, 1.0, 0.0)[5:36, 20, 0])
    np.testing.assert_allclose(slope, 1 / (1 + pictures.SCALING), rtol=1e-5)
    across = np.diff(moved(rows, 0.0, 0.0, 0.0, 1.0)[20, 5:36, 0])
    np.testing.assert_allclose(np.abs(across), np.sin(np.deg2rad(pictures.DEGREES)), rtol=1e-4)
    drawn = pictures.draw_movements(jax.random.key(0), 200)
    assert drawn.shape == (200, 4)
    assert (drawn.min(axis=0) < -0.9).all()
    assert (drawn.max(axis=0) > 0.9).all()


def trained(images=128, size=16, steps=200):
    """A small network that tells whether there is a square among two figures, and the images it was trained on."""
    rng = np.random.default_rng(0)
    drawn = [drawing.place_figures(rng, size, 6) for _ in range(images)]
    rendered = np.stack([drawing.render(figures, size, 8.0, rng)[0] for figures in drawn])
    labels = jnp.array([int(any(figure.shape == "square" for figure in figures)) for figures in drawn])
    seen = jnp.asarray(Preprocessing.imagenet()(rendered))
    model = models.create_model("two_figures_cnn", num_classes=2, width=0.0625)
    optimizer = optax.sgd(0.1, momentum=0.9)

    def loss(params):
        logits = model.apply({"params": params}, seen, train=False)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), logits

    @jax.jit
    def run(params):
        def step(state, _):
            gradients, logits = jax.grad(loss, has_aux=True)(state[0])
            updates, memory = optimizer.update(gradients, state[1])
            return (optax.apply_updates(state[0], updates), memory), (logits.argmax(axis=1) == labels).mean()

        return jax.lax.scan(step, (params, optimizer.init(params)), length=steps)

    (params, _), accuracy = run(small_cnn(classes=2)[1]["params"])
    assert accuracy[-1] > 0.8
    return model, {"params": params}, seen


@pytest.mark.long
def test_a_maximized_image_excites_its_unit_more_than_any_image_of_the_data_set():
    model, variables, images = trained()
    sets = [0, 5, 10, (0, 1, 2)]

    def means(images):
        maps = models.apply_with_taps(model, variables, images, layers=("conv2",), stage="pre")[1]["conv2"]
        return np.stack([maps[..., np.atleast_1d(own)].mean(axis=(1, 2, 3)) for own in sets])

    found = vis.maximize_activations(model, variables, "conv2", sets, jax.random.key(1), image_size=16)
    assert (np.diag(means(found)) > means(images).max(axis=1)).all()


def test_class_model_raises_the_score_above_that_of_all_images():
    model, variables, images = small_cnn(images=20)
    scores = model.apply(variables, images, train=False)
    for cls in range(CLASSES):
        found = vis.class_model(model, variables, cls, jax.random.key(0), image_size=SIZE, steps=60)
        assert model.apply(variables, found[None], train=False)[0, cls] > scores[:, cls].max()
    decayed = vis.class_model(model, variables, 0, jax.random.key(0), image_size=SIZE, steps=60, decay=10.0)
    assert jnp.linalg.norm(decayed) < 0.5 * jnp.linalg.norm(found)


def test_a_picture_is_the_same_whichever_are_made_with_it(monkeypatch):
    monkeypatch.setattr(activation_maximization, "AT_ONCE", 2)
    model, variables, _ = small_cnn()
    maximized = functools.partial(
        vis.maximize_activations, model, variables, "conv1", key=jax.random.key(0), image_size=SIZE, steps=3
    )
    among = maximized([[1, 4], 0, 5])  # so that the second pair is filled up
    assert among.shape == (3, SIZE, SIZE, 3)
    np.testing.assert_allclose(maximized([[1, 4], 3])[0], among[0], atol=1e-4)
    assert np.abs(among[1] - among[0]).max() > 0.1


def test_what_cannot_be_maximized_is_refused(untyped):
    model, variables, _ = small_cnn()
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="cls = 3: the network has no such class; expected 0 to 2"):
        vis.class_model(model, variables, 3, key, image_size=SIZE)
    with pytest.raises(ValueError, match="layer = 'conv3': choose one of conv1, conv2"):
        vis.maximize_activation(model, variables, "conv3", 0, key, image_size=SIZE)
    with pytest.raises(ValueError, match="16: is no unit or group of 'conv2'; expected numbers from 0 to 15"):
        vis.maximize_activation(model, variables, "conv2", 16, key, image_size=SIZE)
    for variables_of, given, message in (
        (variables["params"], key, "variables: have conv1, conv2, fc, and no 'params'"),
        (variables, 0, "key = 0: expected a single key of JAX"),
    ):
        with pytest.raises(ValueError, match=message):
            vis.class_model(model, variables_of, 0, given, image_size=SIZE)
        with pytest.raises(ValueError, match=message):
            vis.maximize_activation(model, variables_of, "conv2", 0, given, image_size=SIZE)
    own = Preprocessing(np.full((8, 8, 3), 100.0), 50.0)
    with pytest.raises(ValueError, match=r"its mean is of images of \(8, 8\) pixels; expected \(12, 12\), as image_"):
        vis.maximize_activation(model, variables, "conv2", 0, key, image_size=SIZE, preprocessing=own)
