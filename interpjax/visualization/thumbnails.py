"""Small pictures, as WebP files, and how they are kept."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from interpjax.atomic import replacing
from interpjax.dissection import npz
from interpjax.errors import UserError

SIDE = 160  # pixels of a picture; images that are smaller keep their size
QUALITY, LOSSLESS = 75, 101  # of WebP, as OpenCV counts


def picture(image: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """A square WebP file of an image, as large as ``SIDE`` at most; an image of few pixels is kept to the pixel."""
    longest = max(image.shape[:2])
    side = min(longest, SIDE)
    how = cv2.INTER_AREA if side < longest else cv2.INTER_NEAREST
    return encode(cv2.resize(image, (side, side), interpolation=how), lossless=longest < SIDE)


def encode(image: UInt8[np.ndarray, "height width 3"], *, lossless: bool = False) -> bytes:
    """A WebP file."""
    quality = [cv2.IMWRITE_WEBP_QUALITY, LOSSLESS if lossless else QUALITY]
    written, encoded = cv2.imencode(".webp", np.ascontiguousarray(image[..., ::-1]), quality)  # OpenCV writes BGR
    assert written, image.shape
    return encoded.tobytes()


def decode(picture: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """The RGB pixels of a WebP file that :func:`encode` made."""
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.ascontiguousarray(image[..., ::-1])


def save(path: Path, pictures: Mapping[int, bytes]) -> None:
    """Writes WebP files with their numbers into one npz file."""
    files: dict[str, Any] = {str(number): np.frombuffer(own, np.uint8) for number, own in pictures.items()}
    with replacing(path) as file:
        np.savez(file, **files)


def load(path: Path, numbers: Iterable[int], again: str) -> dict[int, bytes]:
    """What :func:`save` wrote.

    Args:
      path: of the file.
      numbers: of the pictures that are to be in it.
      again: what to do if it is damaged, as an order.

    Raises:
      UserError: if it cannot be read or one is missing, naming it.
    """
    try:
        files = npz.read(path)
        return {number: files[str(number)].tobytes() for number in numbers}
    except (OSError, *npz.DAMAGED) as error:
        raise UserError(f"{path}: cannot be read ({error}); {again}") from error
