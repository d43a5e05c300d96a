"""What the counting of dissection is timed beside, written anew from the protocols: a loop and plain torch.

Each is a function of activations and label maps that returns the pixels every unit's mask shares with every concept.
"""

import importlib.util
import os
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

TORCH = importlib.util.find_spec("torch") is not None


def published_loop(
    maps: np.ndarray, labels: np.ndarray, thresholds: np.ndarray, concepts: int
) -> tuple[np.ndarray, np.ndarray]:
    """Image by image and unit by unit, as NetDissect-Lite: one map is resized by Pillow, its mask's labels are counted.

    Args:
      maps: [images, h, w, units] float32.
      labels: [images, channels, height, width]; 0 where unlabelled.
      thresholds: of the units.
      concepts: label numbers go from 1 to this.

    Returns:
      Shared pixels [units, concepts], and the masks' pixels [units].
    """
    shared = np.zeros((maps.shape[-1], concepts + 1), np.int64)
    area = np.zeros(maps.shape[-1], np.int64)
    height, width = labels.shape[2:]
    for image in range(len(maps)):
        for unit in range(maps.shape[-1]):
            own = maps[image, :, :, unit]
            if own.max() > thresholds[unit]:
                resized = np.asarray(Image.fromarray(own).resize((width, height), Image.Resampling.BILINEAR))
                pixels = np.argwhere(resized > thresholds[unit])
                area[unit] += len(pixels)
                numbers = labels[image][:, pixels[:, 0], pixels[:, 1]]
                shared[unit] += np.bincount(numbers.ravel(), minlength=concepts + 1)
    return shared[:, 1:], area


def choose_threads(method: Callable[[], object]) -> None:
    """Sets torch to one thread or to all, whichever is faster for a method."""
    import torch

    seconds = {}
    for count in (1, os.cpu_count() or 1):
        torch.set_num_threads(count)
        method()
        start = time.perf_counter()
        method()
        seconds[count] = time.perf_counter() - start
    torch.set_num_threads(min(seconds, key=lambda count: seconds[count]))


def plain_torch(
    maps: np.ndarray, labels: np.ndarray, thresholds: np.ndarray, concepts: int
) -> tuple[np.ndarray, np.ndarray]:
    """Image by image, all units at once: interpolate, compare, multiply with the one-hot labels.

    Args:
      maps: as of :func:`published_loop`; the products of 0 and 1 are exact in float32.
      labels: as there.
      thresholds: as there.
      concepts: as there.
    """
    import torch

    shared = torch.zeros((maps.shape[-1], concepts + 1), dtype=torch.int64)
    area = torch.zeros(maps.shape[-1], dtype=torch.int64)
    limit = torch.from_numpy(thresholds.astype(np.float32))[:, None, None]
    activations, numbers = torch.from_numpy(maps).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels)
    for image in range(len(maps)):
        size = tuple(labels.shape[2:])
        upsampled = torch.nn.functional.interpolate(
            activations[image][None], size=size, mode="bilinear", align_corners=False
        )[0]
        masks = (upsampled > limit).flatten(1).float()
        planes = torch.nn.functional.one_hot(numbers[image].flatten(1), concepts + 1).amax(0).float()
        shared += (masks @ planes).long()
        area += masks.sum(1).long()
    return shared[:, 1:].numpy(), area.numpy()
