"""Strips of the images that excite each unit most, with the unit's mask drawn in."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from interpjax.atomic import write_atomic
from interpjax.data import ConceptData
from interpjax.data.images import resize
from interpjax.dissection import ActivationsFn, Dissection
from interpjax.dissection.upsampling import resampling, upsample

SIDE = 88  # pixels of an image in a strip
GAP = 4
DIMMED = 0.35  # brightness outside of the mask
OUTLINE = (255, 220, 0)
JPEG_QUALITY = 82


def strip_path(folder: Path, layer: str, unit: int) -> Path:
    """Where the strip of a unit (0-based) is; its file is numbered from 1, as in ``tally.csv``."""
    return folder / layer / f"unit{unit + 1:04d}.jpg"


def draw_strips(
    activations_fn: ActivationsFn,
    broden: ConceptData,
    results: Mapping[str, Dissection],
    folder: Path,
    *,
    batch_size: int,
    image_size: int | None,
) -> int:
    """Draws a strip for every unit of every layer; returns their number.

    Args:
      activations_fn: as it was dissected with.
      broden: the images it was dissected on.
      results: by layer.
      folder: gets a folder for each layer.
      batch_size: images at a time.
      image_size: squash images to this side first, as in the dissection.
    """
    wanted = np.unique(np.concatenate([result.top_images.ravel() for result in results.values()]))
    tiles: dict[str, dict[tuple[int, int], np.ndarray]] = {layer: {} for layer in results}
    for start in range(0, len(wanted), batch_size):
        numbers = wanted[start : start + batch_size]
        records = [broden.records[number] for number in numbers]
        images = [record.image() for record in records]
        inputs = images if image_size is None else [resize(image, image_size, image_size) for image in images]
        inputs += [np.zeros_like(inputs[0])] * (batch_size - len(inputs))  # so that it is not compiled anew
        activations = activations_fn(np.stack(inputs))
        for layer, result in results.items():
            maps = np.asarray(activations[layer])
            for row, (number, record) in enumerate(zip(numbers, records, strict=True)):
                for unit, place in np.argwhere(result.top_images == number):
                    own = maps[row, :, :, unit]
                    mask = counted_mask(own, result, int(unit), record.label_shape, inputs[row].shape[:2])
                    tiles[layer][int(unit), int(place)] = draw_mask(images[row], mask)
    for layer, drawn in tiles.items():
        for unit in range(len(results[layer].thresholds)):
            strip = [drawn[unit, place] for place in range(results[layer].top_images.shape[1])]
            write_atomic(strip_path(folder, layer, unit), _encode(strip))
    return sum(len(result.thresholds) for result in results.values())


def draw_mask(
    image: UInt8[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "side side 3"]:
    """The image at a strip's size, dimmed outside of the mask, the mask outlined."""
    # Small images are enlarged without smoothing: their pixels are the content.
    grows = max(image.shape[:2]) < SIDE
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST if grows else cv2.INTER_AREA)
    inside = cv2.resize(mask.astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    shown = np.where(inside[..., None], small, small * DIMMED).astype(np.uint8)
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(shown, contours, -1, OUTLINE, 1)


def counted_mask(
    activation: Float[np.ndarray, "h w"],
    result: Dissection,
    unit: int,
    label_shape: tuple[int, int],
    image_shape: tuple[int, int],
) -> Bool[np.ndarray, "height width"]:
    """The pixels of the label map that a unit's activation was counted on, by the result's protocol.

    Args:
      activation: map of the unit.
      result: of its layer.
      unit: its number.
      label_shape: (height, width) of the image's label maps.
      image_shape: of the network's input.
    """
    protocol, threshold = result.protocol, result.thresholds[unit]
    if protocol.skip_below and activation.max() <= threshold:
        return np.zeros(label_shape, bool)
    how = resampling(protocol.upsampling, activation.shape, label_shape, image_shape, result.fieldmap)
    return upsample(activation[None], how)[0] > threshold


def _encode(tiles: list[np.ndarray]) -> bytes:
    gap = np.full((SIDE, GAP, 3), 255, np.uint8)
    parts = [part for tile in tiles for part in (tile, gap)][:-1]
    strip = np.concatenate(parts, axis=1)[..., ::-1]  # OpenCV writes BGR
    written, encoded = cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert written, strip.shape
    return encoded.tobytes()
