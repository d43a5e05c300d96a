"""Masks of units and of labels, as a dissection has counted them."""

import numpy as np
from jaxtyping import Bool, Float

from interpjax.data.concept_records import Channels
from interpjax.dissection import Dissection
from interpjax.dissection.upsampling import resampling, upsample


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


def label_mask(
    labels: Channels, label_shape: tuple[int, int], number: int
) -> Bool[np.ndarray, "label_height label_width"]:
    """Where an image carries a label, in any of its channels.

    Args:
      labels: of the image, as its record gives them.
      label_shape: (height, width) of its label maps.
      number: of the label.
    """
    mask = np.zeros(label_shape, bool)
    for channels in labels.values():
        for channel in channels:
            mask |= channel == number  # an integer labels the whole image
    return mask
