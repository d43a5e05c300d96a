"""Outlines of masks as SVG paths."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

TIMES = 3  # pixels are made so much larger before lines are drawn around them
LEEWAYS = (0.7, 1.5, 3.0, 6.0, 12.0)  # of these by how much a line may be off: more where it would be too long
LONGEST = 1200  # characters of an outline; a page has ten thousand of them
BOX = 256  # outlines are drawn in a square of so many units, whatever the image's shape


def outline(mask: Bool[np.ndarray, "height width"]) -> str:
    """The border of a mask as an SVG path in a square of side ``BOX``, holes and all; empty if nothing is in it."""
    if not mask.any():
        return ""
    if mask.all():
        return f"M0 0H{BOX}V{BOX}H0Z"
    # OpenCV's lines run through the centres of the outermost pixels. Of pixels made three times as large these lie
    # within the pixel itself, so that the line never runs around one that is not in the mask.
    large = cv2.resize(mask.astype(np.uint8), None, fx=TIMES, fy=TIMES, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    scale = BOX / np.array([large.shape[1], large.shape[0]])
    for leeway in LEEWAYS:
        parts = [_closed(cv2.approxPolyDP(contour, leeway, True)[:, 0], scale) for contour in contours]
        if sum(map(len, parts)) <= LONGEST:
            return "".join(parts)
    # What is left are a great many specks, of which the largest are shown.
    largest = sorted(zip(contours, parts, strict=True), key=lambda pair: cv2.contourArea(pair[0]), reverse=True)
    within = np.cumsum([len(part) for _, part in largest]) <= LONGEST
    return "".join(part for (_, part), fits in zip(largest, within, strict=True) if fits) or largest[0][1]


def _closed(points: Int[np.ndarray, "points 2"], scale: Float[np.ndarray, "2"]) -> str:
    """A line through points of the enlarged mask and back to the first."""
    first, *others = [f"{x} {y}" for x, y in np.rint((points + 0.5) * scale).astype(int)]
    return f"M{first}{'L' if others else ''}{' '.join(others)}Z"
