"""From uint8 RGB to what a network sees: the one arithmetic for training, evaluation, dissection and pictures."""

import dataclasses
import hashlib
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Num

from interpjax.errors import UserError

CHANNELS = ("RGB", "BGR")
WHITE = 255  # the largest value of an image


@dataclasses.dataclass(frozen=True, eq=False)
class Preprocessing:
    """What a network wants of an image: (x − mean) / std, x in 0..255 and in the order of its channels.

    In float32 it is (x/255 − mean/255) / (std/255), the order of operations that training codes use. Works on NumPy and
    JAX arrays, and inside jit. Two are the same if their descriptions are.

    Attributes:
      mean: a number, one for each channel, or an image of means [height, width, 3]; in the order of ``channels``.
      std: as ``mean``; positive, and not all below 1, as those of images in 0..1 are.
      channels: that the network was trained with: ``"RGB"`` or ``"BGR"``.

    Raises:
      ValueError: naming the field, its value and what is allowed.
    """

    mean: Any
    std: Any
    channels: str = "RGB"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, _constant(name, getattr(self, name)))
        if not (self.std > 0).all():
            raise ValueError(f"std = {_shortened(self.std)}: expected positive numbers")
        if (self.std < 0.99).all():  # 1 itself is of networks that take 0..255
            raise ValueError(f"std = {_shortened(self.std)}: is of images in 0..1; expected are mean and std times 255")
        if self.channels not in CHANNELS:
            raise ValueError(f"channels = {self.channels!r}: choose one of {', '.join(CHANNELS)}")

    def __call__(self, images: Num[Array | np.ndarray, "n h w 3"]) -> Float[Array | np.ndarray, "n h w 3"]:
        """The float32 images that the network sees, of uint8 RGB images.

        Raises:
          ValueError: if the images are not uint8, not NHWC, or of another size than ``mean`` or ``std``.
        """
        if len(images.shape) != 4 or images.shape[3] != 3:
            raise ValueError(f"images of shape {images.shape}: expected [n, height, width, 3] (NHWC, channels last)")
        if images.dtype != np.uint8:
            raise ValueError(f"images of type {images.dtype}: expected uint8, RGB")
        x = images[..., ::-1] if self.channels == "BGR" else images
        unit = x.astype(np.float32) / np.float32(WHITE)
        return (unit - self._fitting("mean", images)) / self._fitting("std", images)

    @classmethod
    def imagenet(cls) -> "Preprocessing":
        """Of torchvision's networks: its constants for images in 0..1, times 255."""
        return cls(255 * np.array([0.485, 0.456, 0.406]), 255 * np.array([0.229, 0.224, 0.225]))

    def describe(self) -> dict[str, Any]:
        """A description for JSON that differs where preprocessing does; an image of means by shape and digest."""
        return {"mean": _described(self.mean), "std": _described(self.std), "channels": self.channels}

    def _fitting(self, name: str, images: Any) -> np.ndarray:
        constant = (getattr(self, name) / WHITE).astype(np.float32)
        constant = constant.reshape((1,) * (4 - constant.ndim) + constant.shape)
        try:
            np.broadcast_shapes(constant.shape, (1, *images.shape[1:]))
        except ValueError as error:
            raise ValueError(f"images of {images.shape[1:3]} pixels: {name} is for {constant.shape[1:3]}") from error
        return constant


def _constant(name: str, value: Any) -> Float[np.ndarray, "..."]:
    allowed = "expected a number, [3] or [height, width, 3]"
    try:
        constant = np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} = {value!r}: {allowed}") from error
    if constant.ndim not in (0, 1, 3) or (constant.ndim and constant.shape[-1] not in (1, 3)):
        raise ValueError(f"{name} of shape {constant.shape}: {allowed}")
    if not np.isfinite(constant).all():
        raise ValueError(f"{name} = {_shortened(constant)}: expected finite numbers")
    constant.setflags(write=False)
    return constant


def _described(constant: np.ndarray) -> Any:
    if constant.size <= 3:
        return constant.astype(np.float32).tolist()
    return {"shape": list(constant.shape), "sha256": hashlib.sha256(constant.astype(np.float32).tobytes()).hexdigest()}


def _shortened(constant: np.ndarray) -> str:
    return np.array2string(constant, threshold=4, edgeitems=1)


def read_mean_image(path: str, side: int) -> Float[np.ndarray, "side side 3"]:
    """The middle of the mean image that a configuration names, in float64 and in 0..255.

    Args:
      path: an ``.npy`` file of [3, height, width] or [height, width, 3] in 0..255.
      side: pixels a side of what is cut out.

    Raises:
      UserError: naming the field, the file and what was expected.
    """
    field = f"config.data.mean_image = {path!r}"
    allowed = "expected an .npy file of [3, height, width] or [height, width, 3]"
    try:
        stored = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{field}: {error}; {allowed}") from error
    if not isinstance(stored, np.ndarray) or stored.ndim != 3 or stored.dtype.kind not in "fiu":
        kind = f"{stored.dtype} of shape {stored.shape}" if isinstance(stored, np.ndarray) else "several arrays"
        raise UserError(f"{field}: holds {kind}; {allowed}")
    image = (stored.transpose(1, 2, 0) if stored.shape[0] == 3 else stored).astype(np.float64)
    top, left = ((length - side) // 2 for length in image.shape[:2])
    if image.shape[2] != 3 or min(top, left) < 0:
        size = f"with sides of config.data.image_size = {side} pixels or more"
        raise UserError(f"{field}: has the shape {stored.shape}; {allowed}, {size}")
    if not (image.min() >= 0 and 1 < image.max() <= WHITE):
        span = f"{image.min():g} to {image.max():g}"
        raise UserError(f"{field}: has values from {span}; expected those of images in 0..255")
    return image[top : top + side, left : left + side]
