"""Between pictures in 0..1 and the normalized images that a network sees, and small random movements of either."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from interpjax.preprocessing import WHITE, Preprocessing

JITTER = 16  # pixels by which an image is moved between steps, at most, either way
SCALING = 0.1  # share by which it is enlarged or shrunk, at most
DEGREES = 5.0  # by which it is turned, at most, either way
Image = Float[Array, "size size 3"]


def displayed(
    images: Float[Array | np.ndarray, "*n h w 3"], preprocessing: Preprocessing | None = None
) -> Float[np.ndarray, "*n h w 3"]:
    """Normalized images as RGB between 0 and 1; what lies outside is cut off.

    Args:
      images: as the network sees them.
      preprocessing: that made them; by default that of ImageNet.
    """
    own = preprocessing or Preprocessing.imagenet()
    pixels = (np.asarray(images) * own.std + own.mean) / WHITE
    return np.clip(pixels[..., ::-1] if own.channels == "BGR" else pixels, 0, 1).astype(np.float32)


def constants(preprocessing: Preprocessing | None, size: int) -> tuple[Image, Image, bool]:
    """Mean and standard deviation for images of ``size`` pixels a side, and whether their channels are BGR.

    Raises:
      ValueError: if the mean or the standard deviation is of images of another size.
    """
    own = preprocessing or Preprocessing.imagenet()
    for name, value in (("mean", own.mean), ("std", own.std)):
        if value.ndim == 3 and value.shape[:2] != (size, size):
            raise ValueError(
                f"preprocessing: its {name} is of images of {value.shape[:2]} pixels; expected {(size, size)}, as "
                f"image_size = {size} says"
            )
    mean, std = (jnp.asarray(np.broadcast_to(value, (size, size, 3)), jnp.float32) for value in (own.mean, own.std))
    return mean, std, own.channels == "BGR"


def normalized(picture: Image, mean: Image, std: Image, bgr: bool) -> Image:
    """What the network sees of an RGB picture in 0..1; the inverse of :func:`displayed`."""
    return (WHITE * (picture[..., ::-1] if bgr else picture) - mean) / std


def moved(image: Image, movement: Float[Array, "2"]) -> Image:
    """The image moved by a few pixels, down and right; what leaves it on one side comes back on the other.

    Args:
      image: of any kind.
      movement: between -1 and 1, where 1 is :data:`JITTER` pixels, or an eighth of a small image.
    """
    most = min(JITTER, image.shape[0] // 8)
    return jnp.roll(image, jnp.rint(most * movement).astype(jnp.int32), axis=(0, 1))


def transformed(image: Image, movement: Float[Array, "4"]) -> Image:
    """The image moved, and scaled and turned around its middle, with its edges repeated.

    Args:
      image: of any kind.
      movement: between -1 and 1: as of :func:`moved`, then of the scale and of the angle.
    """
    size = image.shape[0]
    scale = 1 + SCALING * movement[2]
    angle = jnp.deg2rad(DEGREES * movement[3])
    middle = (size - 1) / 2
    rows, columns = jnp.meshgrid(*2 * [jnp.arange(float(size)) - middle], indexing="ij")
    cos, sin = jnp.cos(angle) / scale, jnp.sin(angle) / scale
    places = [cos * rows - sin * columns + middle, sin * rows + cos * columns + middle]
    sampled = functools.partial(jax.scipy.ndimage.map_coordinates, coordinates=places, order=1, mode="nearest")
    return jax.vmap(sampled, in_axes=-1, out_axes=-1)(moved(image, movement[:2]))


def draw_movements(key: jax.Array, steps: int) -> Float[Array, "steps 4"]:
    """Random movements, all at once: drawn one by one in a loop they take longer to compile than a small network."""
    return jax.random.uniform(key, (steps, 4), minval=-1)
