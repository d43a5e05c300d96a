"""From a decoded image to what the network sees: random crops for training, the centre for testing."""

import numpy as np
from jaxtyping import UInt8

from interpjax.data.images import resize

# The random crop of Inception, as in the published recipes.
SCALE = (0.08, 1.0)  # share of the image's area
RATIO = (3 / 4, 4 / 3)  # width over height
ATTEMPTS = 10  # boxes that are tried before the largest centred one is taken


def train_image(
    image: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator, *, augment: str, size: int, resize_size: int
) -> UInt8[np.ndarray, "size size 3"]:
    """Crops and flips a decoded image for training.

    Args:
      image: the image, RGB.
      rng: the random numbers of this image alone.
      augment: ``"random_resized_crop"`` (a random crop, flipped half of the time), ``"flip"`` (the centre crop, flipped
        half of the time), or ``"none"`` (the centre crop).
      size: side of the result in pixels.
      resize_size: pixels of the shorter side before the centre crop.
    """
    if augment == "random_resized_crop":
        top, left, height, width = random_crop_box(image.shape[0], image.shape[1], rng)
        image = resize(image[top : top + height, left : left + width], size, size)
    else:
        image = test_image(image, size=size, resize_size=resize_size)
    if augment != "none" and rng.random() < 0.5:
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def test_image(image: UInt8[np.ndarray, "h w 3"], *, size: int, resize_size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The centre ``size``² of an image whose shorter side is resized to ``resize_size`` pixels."""
    height, width = image.shape[:2]
    scale = resize_size / min(height, width)
    image = resize(image, max(size, round(height * scale)), max(size, round(width * scale)))
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return np.ascontiguousarray(image[top : top + size, left : left + size])


def random_crop_box(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A crop of random area and aspect ratio inside the image: (top, left, height, width) in pixels.

    The area is uniform from 8 to 100 % of the image's, and the ratio log-uniform from 3/4 to 4/3. After ten boxes that
    do not fit into the image, the largest centred box of an allowed ratio is taken.

    References:
      Szegedy et al., *Going Deeper with Convolutions*, CVPR 2015, Sec. 6.
    """
    for _ in range(ATTEMPTS):
        area = height * width * rng.uniform(*SCALE)
        ratio = np.exp(rng.uniform(*np.log(RATIO)))
        w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    ratio = np.clip(width / height, *RATIO)
    w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
    return (height - h) // 2, (width - w) // 2, h, w
