"""What TensorBoard shows of a finished run: top images of the units that fit a concept best, and the final scores."""

import json
import math
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from tensorboardX import SummaryWriter
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import hparams

from interpjax.config.identity import WITHOUT_EFFECT
from interpjax.config.values import flatten
from interpjax.dissection import Dissection
from interpjax.report.scores import final_scores
from interpjax.visualization.outlines import BOX
from interpjax.visualization.thumbnails import SIDE, decode
from interpjax.visualization.views import LayerViews, Views

MOST_UNITS = 8  # of a layer
GAP = 4  # pixels between two images
BORDER, LINE = (0, 0, 0), (255, 225, 77)  # RGB: the yellow line of the other figures, on black to be seen everywhere
QUALITY = 90  # of JPEG


def write_events(
    folder: Path,
    summary: Mapping[str, Any],
    results: Mapping[str, Dissection],
    views: Views | None,
    config_text: str,
) -> None:
    """Writes a file of events with images, hyperparameters and scores; what the folder held before is removed.

    Args:
      folder: for TensorBoard a run of its own, beside that of the training.
      summary: of the run, as ``summary.json`` has it.
      results: of the dissection, by layer.
      views: what the units look at; without, there are no images.
      config_text: the configuration as JSON. Fields that change no result are no hyperparameters.

    Raises:
      OSError: if it cannot be written.
    """
    if folder.exists():
        shutil.rmtree(folder)  # TensorBoard would show both
    scores, step = final_scores(summary), summary.get("num_steps", 0)
    started, ended = _session(json.loads(config_text), scores)
    with SummaryWriter(str(folder), write_to_disk=True) as events:
        assert events.file_writer is not None
        events.file_writer.add_summary(started)
        for name, value in scores.items():
            events.add_scalar(name, value, step)
        for layer, own in (views.layers if views is not None else {}).items():
            assert views is not None
            for name, strip in _best_units(layer, results[layer], own, views.pictures).items():
                events.file_writer.add_summary(_jpeg(name, strip), step)
        events.file_writer.add_summary(ended)


def _session(config: Mapping[str, Any], scores: Mapping[str, float]) -> tuple[Summary, Summary]:
    """What the tab HPARAMS reads, for the beginning and the end of the events.

    The list of all hyperparameters, which tensorboardX gives too, is left out: TensorBoard would take the list of one
    run for that of all, and hide fields and layers that only others have.
    """
    fields = {name: _plain(value) for name, value in flatten(config).items() if name not in WITHOUT_EFFECT}
    _, started, ended = hparams(fields, dict(scores))
    return started, ended


def _plain(value: Any) -> bool | float | str:
    """A field's value as TensorBoard can have it; it has no infinity and no lists."""
    if isinstance(value, str) or (isinstance(value, int | float) and math.isfinite(value)):
        return value
    return json.dumps(value)


def _best_units(
    layer: str, result: Dissection, views: LayerViews, pictures: Mapping[int, bytes]
) -> dict[str, UInt8[np.ndarray, "height width 3"]]:
    """``LAYER/unit-7-grass`` of the units with the largest IoU: their top images, the most active first."""
    best = result.best()
    strips = {}
    for unit in np.argsort(-best["iou"].to_numpy(), kind="stable")[:MOST_UNITS]:
        if best["iou"].iloc[unit] > 0:
            concept = re.sub(r"[^\w.]+", "-", best["concept"].iloc[unit])  # TensorBoard's names have no other signs
            numbers, masks = views.images[unit, : views.top], views.masks[unit]
            shown = [outlined(pictures[int(number)], mask) for number, mask in zip(numbers, masks, strict=False)]
            strips[f"{layer}/unit-{unit + 1}-{concept}"] = _beside(shown)
    return strips


def outlined(picture: bytes, path: str) -> UInt8[np.ndarray, "side side 3"]:
    """A picture with the outline of a mask drawn into it.

    Args:
      picture: a square WebP file.
      path: of :func:`interpjax.visualization.views.outline`.

    Returns:
      RGB, with sides of at least ``SIDE`` pixels.
    """
    drawn = decode(picture)
    if len(drawn) < SIDE:
        drawn = cv2.resize(drawn, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    corners = [np.rint(polygon * (len(drawn) - 1) / BOX).astype(np.int32) for polygon in _polygons(path)]
    for color, thickness in ((BORDER, 3), (LINE, 1)):
        cv2.polylines(drawn, corners, True, color, thickness)
    return drawn


def _polygons(path: str) -> list[np.ndarray]:
    """The corners [n, (x, y)] of each part of an outline, in a square of side ``BOX``."""
    if "H" in path:  # the mask is the whole image
        return [BOX * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])]
    return [np.array(re.findall(r"\d+", part), int).reshape(-1, 2) for part in path.split("Z") if part]


def _beside(images: list[np.ndarray]) -> UInt8[np.ndarray, "height width 3"]:
    """Images of one height in a row, on white."""
    gap = np.full((len(images[0]), GAP, 3), 255, np.uint8)
    return np.concatenate([part for image in images for part in (image, gap)][:-1], axis=1)


def _jpeg(name: str, image: UInt8[np.ndarray, "height width 3"]) -> Summary:
    """An image as TensorBoard stores it. tensorboardX itself would write PNG, which takes several times the room."""
    written, encoded = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert written, name
    height, width, colorspace = image.shape
    shown = Summary.Image(height=height, width=width, colorspace=colorspace, encoded_image_string=encoded.tobytes())
    return Summary(value=[Summary.Value(tag=name, image=shown)])
