"""Preprocessing: its arithmetic, its description, and what is refused."""

import json

import jax
import numpy as np
import pytest

from interpjax.dissection import Preprocessing

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 12, 10, 3), dtype=np.uint8)
PLAIN = Preprocessing(0, 255)


def test_preprocessing_is_the_same_for_numpy_and_inside_jit():
    mean = np.random.default_rng(2).uniform(0, 255, (12, 10, 3))
    for preprocessing in (Preprocessing.imagenet(), Preprocessing(mean, 255, "BGR"), Preprocessing(127.5, 127.5)):
        x = preprocessing(IMAGES)
        assert isinstance(x, np.ndarray)
        assert x.dtype == np.float32
        np.testing.assert_allclose(jax.jit(preprocessing)(IMAGES), x, atol=1e-6)
    x = Preprocessing(mean, (1, 2, 4), "BGR")(IMAGES)
    np.testing.assert_allclose(x[1, 5, 7, 0], IMAGES[1, 5, 7, 2] - mean[5, 7, 0], rtol=1e-5)
    np.testing.assert_allclose(x[1, 5, 7, 2], (IMAGES[1, 5, 7, 0] - mean[5, 7, 2]) / 4, rtol=1e-5)
    expected = (IMAGES[0, 0, 0] / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(Preprocessing.imagenet()(IMAGES)[0, 0, 0], expected, rtol=1e-5)


def test_preprocessing_describes_itself_by_content():
    image = np.zeros((12, 10, 3))
    descriptions = [
        Preprocessing(mean, std, channels).describe()
        for mean, std, channels in (
            (0, 255, "RGB"),
            (0, 255, "BGR"),
            (0, (255, 255, 254), "RGB"),
            (image, 255, "RGB"),
            (image.reshape(10, 12, 3), 255, "RGB"),
            (image + 1, 255, "RGB"),
        )
    ]
    assert len({json.dumps(description) for description in descriptions}) == len(descriptions)
    assert Preprocessing(image.copy(), np.float64(255)).describe() == descriptions[3]
    assert descriptions[0] == {"mean": 0, "std": 255, "channels": "RGB"}
    assert descriptions[3]["mean"]["shape"] == [12, 10, 3]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mean": "grey"}, r"mean = 'grey': expected a number, \[3\] or \[height, width, 3\]"),
        ({"mean": np.zeros((3, 8, 8))}, r"mean of shape \(3, 8, 8\): expected a number"),
        ({"mean": np.nan}, "mean = nan: expected finite numbers"),
        ({"std": (1, 0, 1)}, r"std = \[1. 0. 1.\]: expected positive numbers"),
        ({"std": (0.229, 0.224, 0.225)}, r"std = \[0.229 0.224 0.225\]: is of images in 0..1; .* times 255"),
        ({"channels": "GBR"}, "channels = 'GBR': choose one of RGB, BGR"),
    ],
)
def test_wrong_preprocessing_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**({"mean": 0, "std": 255} | fields))


def test_images_that_do_not_fit_are_refused():
    preprocessing = Preprocessing(np.zeros((8, 8, 3)), 255)
    with pytest.raises(ValueError, match=r"images of \(12, 10\) pixels: mean is for \(8, 8\)"):
        preprocessing(IMAGES)
    with pytest.raises(ValueError, match="images of type float32: expected uint8, RGB"):
        PLAIN(IMAGES.astype(np.float32))


@pytest.mark.parametrize("images", [IMAGES.transpose(0, 3, 1, 2), IMAGES[0], np.zeros((2, 8, 8, 1), np.uint8)])
def test_images_that_are_not_nhwc_are_refused(untyped, images):
    for preprocessing in (PLAIN, Preprocessing.imagenet()):
        with pytest.raises(ValueError, match=r"images of shape \(.*\): expected \[n, height, width, 3\] \(NHWC"):
            preprocessing(images)
