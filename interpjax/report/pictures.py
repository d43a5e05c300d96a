"""The pictures of a page, kept small enough that it opens at once."""

import base64
import math
from collections.abc import Mapping
from typing import Any

import cv2
import markupsafe
import numpy as np

from interpjax.dissection import Dissection
from interpjax.report.names import layer_address
from interpjax.visualization.outlines import BOX
from interpjax.visualization.thumbnails import decode, encode
from interpjax.visualization.views import LOWER, Views

PAGE = 24_000_000  # bytes of a whole page at most
DIGITS = 4


def encoded(pictures: Mapping[int, bytes], beside: int) -> dict[int, str]:
    """Pictures as text, made smaller where the page would be too large.

    Args:
      pictures: WebP files by their keys.
      beside: bytes that the page has beside them.
    """
    room = max(PAGE - beside, PAGE // 4) * 3 / 4  # for as text they take a third more
    shrink = math.sqrt(room / max(1, sum(map(len, pictures.values()))))
    kept = {key: _shrunk(own, shrink) if shrink < 1 else own for key, own in pictures.items()}
    return {key: base64.b64encode(own).decode() for key, own in kept.items()}


def within_page(text: str) -> markupsafe.Markup:
    """JSON as it may stand in a script element of a page: without what could end it."""
    return markupsafe.Markup(text.replace("<", "\\u003c"))


def picture_url(picture: bytes) -> str:
    """A WebP file as the address of an image, which holds it."""
    return f"data:image/webp;base64,{base64.b64encode(picture).decode()}"


def _shrunk(picture: bytes, factor: float) -> bytes:
    image = decode(picture)
    side = max(1, int(factor * image.shape[0]))
    return encode(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA))


def views_data(views: Views, results: Mapping[str, Dissection]) -> dict[str, Any]:
    """What the page's script reads: the images, outlines and histograms of each unit."""
    layers = {}
    for layer, own in views.layers.items():
        stored = own.to_json()
        for name, values in {"values": own.values, "low": own.low, "high": own.high}.items():
            stored[name] = _short(values)
        layers[layer] = stored | {"thresholds": _short(results[layer].thresholds)}
    return {
        "box": BOX,
        "lower": [round(100 * share) for share in LOWER],
        "names": views.names,
        "layers": layers,
        "addresses": {layer: layer_address(layer).removeprefix("layer-") for layer in layers},
    }


def _short(values: np.ndarray) -> Any:
    """With fewer digits, which is much of a page."""
    return [_short(row) for row in values] if values.ndim > 1 else [float(f"{value:.{DIGITS}g}") for value in values]
