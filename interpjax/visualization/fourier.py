"""Images as Fourier coefficients with decorrelated colours, from which gradient ascent makes natural-looking pictures.

References:
  Olah et al., *Feature Visualization*, Distill 2017, section "Preconditioning and parameterization".
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# The root of the covariance of ImageNet's colours (rows R, G, B), published with the article's code, Lucid.
COLOR_ROOT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
SCALE = 0.02  # largest magnitude of the coefficients to begin with: a picture that is nearly grey


def draw_coefficients(key: jax.Array, size: int) -> Float[Array, "2 size freq 3"]:
    """Random coefficients of a picture of ``size`` pixels a side, real and imaginary parts, to begin with."""
    return jax.random.uniform(key, (2, size, size // 2 + 1, 3), minval=-SCALE, maxval=SCALE)


def picture_of(coefficients: Float[Array, "2 size freq 3"]) -> Float[Array, "size size 3"]:
    """The picture, RGB with values between 0 and 1.

    Each coefficient is divided by its frequency, so that a step of gradient ascent moves all scales of the picture
    alike, and colours are mixed so that they have the correlations that they have in photographs.
    """
    size = coefficients.shape[1]
    frequencies = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    weights = (size / np.maximum(frequencies, 1 / size)).astype(np.float32)
    real, imaginary = coefficients * weights[None, :, :, None]
    pixels = jnp.fft.irfft2(jax.lax.complex(real, imaginary), (size, size), axes=(0, 1))
    longest = np.linalg.norm(COLOR_ROOT, axis=0).max()  # of the directions in which colours vary
    return jax.nn.sigmoid(pixels @ (COLOR_ROOT / longest).T)
