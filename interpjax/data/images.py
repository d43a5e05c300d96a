"""Reads encoded images, from bytes or files, as uint8 arrays; an error names the image that cannot be read."""

import dataclasses
import logging
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from interpjax.errors import UserError

EXPECTED = "a whole JPEG, PNG or other image that OpenCV reads"


class BadImageError(UserError):
    """An image that cannot be read; ``name`` says which."""

    def __init__(self, name: str, reason: str):
        super().__init__(f"image {name}: {reason}")
        self.name = name


@dataclasses.dataclass
class SkippedImages:
    """The names of the images that were left out because they cannot be read; shared by the reading threads."""

    names: set[str] = dataclasses.field(default_factory=set)
    lock: Any = dataclasses.field(default_factory=threading.Lock)

    def add(self, error: BadImageError) -> None:
        """Notes an image that cannot be read, with a warning the first time."""
        with self.lock:
            if error.name not in self.names:
                logging.getLogger(__name__).warning("skipped: %s", error)
                self.names.add(error.name)

    def sorted(self) -> tuple[str, ...]:
        """The names in alphabetical order."""
        return tuple(sorted(self.names))


def decode_image(encoded: bytes, name: str) -> UInt8[np.ndarray, "height width 3"]:
    """Decodes a JPEG, PNG or any other format OpenCV knows to RGB.

    A camera's orientation mark is not applied, as the published training and dissection codes do not.

    Raises:
      BadImageError: if the bytes are no image, or one that is cut short.
    """
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags) if encoded else None
    except cv2.error as error:  # as of a header that claims an absurd size
        raise BadImageError(name, f"cannot be decoded ({error.err}); expected {EXPECTED}") from error
    if image is None:
        raise BadImageError(
            name, f"cannot be decoded ({len(encoded)} bytes; damaged, cut short, or not an image); expected {EXPECTED}"
        )
    return image


def read_image(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """Reads an image file. Raises BadImageError as :func:`decode_image` does, and if the file cannot be read."""
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise BadImageError(str(path), f"cannot be read ({error.strerror}); expected {EXPECTED}") from error
    return decode_image(encoded, str(path))


def resize(image: UInt8[np.ndarray, "h w 3"], height: int, width: int) -> UInt8[np.ndarray, "height width 3"]:
    """Resizes to exactly (height, width): bilinear, averaging over areas where it shrinks."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = height < image.shape[0] and width < image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)
