"""The constants by which images become what a network was trained on."""

from typing import Any

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

FIELD = "config.data.mean_image"


def normalization(config: ConfigDict) -> dict[str, Any]:
    """``mean``, ``std`` and ``channels`` of an experiment: images in 0..1, minus mean, divided by std.

    ``mean`` is that of the configuration or, if there is a mean image, an image [height, width, 3].

    Raises:
      ValueError: naming the field, if the mean image cannot be used.
    """
    data = config.data
    mean = read_mean_image(data.mean_image, data.image_size) / 255 if data.mean_image else data.mean
    return {"mean": mean, "std": data.std, "channels": data.channels}


def read_mean_image(path: str, side: int) -> Float[np.ndarray, "side side 3"]:
    """The middle of a mean image, in float64.

    Args:
      path: an ``.npy`` file of [3, height, width] or [height, width, 3] in 0..255.
      side: pixels a side of what is cut out.

    Raises:
      ValueError: naming the field, the file and what is allowed.
    """
    allowed = "needed is an .npy file of [3, height, width] or [height, width, 3]"
    try:
        stored = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{FIELD} = {path!r}: {error}; {allowed}") from error
    if not isinstance(stored, np.ndarray) or stored.ndim != 3 or stored.dtype.kind not in "fiu":
        kind = f"{stored.dtype} of shape {stored.shape}" if isinstance(stored, np.ndarray) else "several arrays"
        raise ValueError(f"{FIELD} = {path!r}: holds {kind}; {allowed}")
    image = (stored.transpose(1, 2, 0) if stored.shape[0] == 3 else stored).astype(np.float64)
    top, left = ((length - side) // 2 for length in image.shape[:2])
    if image.shape[2] != 3 or min(top, left) < 0:
        size = f"with sides of config.data.image_size = {side} pixels or more"
        raise ValueError(f"{FIELD} = {path!r}: has the shape {stored.shape}; {allowed}, {size}")
    if not (image.min() >= 0 and 1 < image.max() <= 255):
        span = f"{image.min():g} to {image.max():g}"
        raise ValueError(f"{FIELD} = {path!r}: has values from {span}; needed are those of images in 0..255")
    return image[top : top + side, left : left + side]
