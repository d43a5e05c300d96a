"""Reads encoded images, from bytes or files, as uint8 arrays; an error names the image that cannot be read."""

import dataclasses
import logging
import os
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from interpjax.data.headers import stated_size
from interpjax.errors import UserError

MAX_PIXELS = 100_000_000  # of an image, unless more are allowed: 300 MB as RGB
EXPECTED = "a whole JPEG, PNG or other image that OpenCV reads"


class BadImageError(UserError):
    """An image that cannot be read; ``name`` says which, ``reason`` why."""

    def __init__(self, name: str, reason: str):
        super().__init__(f"image {name}: {reason}")
        self.name, self.reason = name, reason


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


def readable(path: str | os.PathLike) -> str:
    r"""A path as text that every file and terminal takes: bytes of it that are no UTF-8 become ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def decode_image(encoded: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "height width 3"]:
    """Decodes a JPEG, PNG or any other format OpenCV knows to RGB.

    A camera's orientation mark is not applied, as the published training and dissection codes do not.

    Args:
      encoded: the image's file.
      name: of the image, for errors.
      max_pixels: of the image. One whose header states more is not decoded.

    Raises:
      BadImageError: if the bytes are no image, one that is cut short, or one of more pixels.
    """
    _require_pixels(stated_size(encoded), name, max_pixels)
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags) if encoded else None
    except MemoryError as error:
        raise BadImageError(name, f"there is no memory to decode its {len(encoded)} bytes") from error
    except cv2.error as error:
        raise BadImageError(name, f"cannot be decoded ({error.err}); expected {EXPECTED}") from error
    if image is None:
        raise BadImageError(
            name, f"cannot be decoded ({len(encoded)} bytes; damaged, cut short, or not an image); expected {EXPECTED}"
        )
    _require_pixels(image.shape[:2], name, max_pixels)  # of a format whose header is not read
    return image


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "height width 3"]:
    """Reads an image file. Raises BadImageError as :func:`decode_image` does, and if the file cannot be read."""
    name = readable(path)
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for without end
            raise BadImageError(name, f"is no file; expected {EXPECTED}")
        encoded = path.read_bytes()
    except OSError as error:
        raise BadImageError(name, f"cannot be read ({error.strerror}); expected {EXPECTED}") from error
    return decode_image(encoded, name, max_pixels=max_pixels)


def _require_pixels(size: tuple[int, int] | None, name: str, max_pixels: int) -> None:
    if size is not None and size[0] * size[1] > max_pixels:
        height, width = size
        raise BadImageError(
            name, f"has {width} × {height} = {width * height} pixels; expected at most {max_pixels} (data.max_pixels)"
        )


def resize(image: UInt8[np.ndarray, "h w 3"], height: int, width: int) -> UInt8[np.ndarray, "height width 3"]:
    """Resizes to exactly (height, width): bilinear, averaging over areas where it shrinks."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = height < image.shape[0] and width < image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)
