"""The pictures of a page, kept small enough that it opens at once."""

import base64
import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from interpjax.dissection import Dissection
from interpjax.report.names import layer_address
from interpjax.visualization.views import BOX, LOWER, Views, encode

MOST_BYTES = 14_000_000  # of all pictures together; as text they take a third more, and a page is to have 25 MB at most
FEW_PIXELS = 100  # images with a smaller side are shown pixel by pixel
DIGITS = 4


def encoded(views: Views | None) -> dict[int, str]:
    """The pictures as text, by record, made smaller where they are too much together."""
    if views is None:
        return {}
    total = sum(map(len, views.pictures.values()))
    shrink = min(1.0, math.sqrt(MOST_BYTES / total))
    kept = views.pictures
    if shrink < 1:
        kept = {number: _shrunk(picture, shrink) for number, picture in kept.items()}
    return {number: base64.b64encode(picture).decode() for number, picture in kept.items()}


def _shrunk(picture: bytes, factor: float) -> bytes:
    image = _decoded(picture)
    side = max(1, int(factor * image.shape[0]))
    return encode(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)[..., ::-1])


def views_data(views: Views | None, results: Mapping[str, Dissection]) -> dict[str, Any]:
    """What the page's script reads: the images, outlines and histograms of each unit."""
    if views is None:
        return {}
    layers = {}
    for layer, own in views.layers.items():
        stored = own.to_json()
        for name, values in {"values": own.values, "low": own.low, "high": own.high}.items():
            stored[name] = _short(values)
        layers[layer] = stored | {"thresholds": _short(results[layer].thresholds)}
    first = _decoded(next(iter(views.pictures.values())))
    return {
        "box": BOX,
        "lower": [round(100 * share) for share in LOWER],
        "names": views.names,
        "layers": layers,
        "addresses": {layer: layer_address(layer).removeprefix("layer-") for layer in layers},
        "pixels": first.shape[0] < FEW_PIXELS,
    }


def sample_size(views: Views | None) -> int:
    """How many random images the weaker ones were chosen of."""
    return 0 if views is None else next(iter(views.layers.values())).sample


def _decoded(picture: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def _short(values: np.ndarray) -> Any:
    """With fewer digits, which is much of a page."""
    return [_short(row) for row in values] if values.ndim > 1 else [float(f"{value:.{DIGITS}g}") for value in values]
