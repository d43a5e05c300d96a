"""Small pictures, as WebP files."""

import cv2
import numpy as np
from jaxtyping import UInt8

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
