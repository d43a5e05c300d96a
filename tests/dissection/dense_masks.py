"""Masks by the definition, dense: maps upsampled, compared and packed one image at a time."""

import numpy as np

from interpjax.dissection.masks import MaskedBatch, Masks
from interpjax.dissection.tiles import pack
from interpjax.dissection.upsampling import resampling, upsample


def masks_of(maps, thresholds, labels, protocol, image_shape, fieldmap=None):
    """The masks of maps [n, h, w, units] on images with these ImageLabels."""
    records = []
    for image, (own, label) in enumerate(zip(maps, labels, strict=True)):
        how = resampling(protocol.upsampling, own.shape[:2], label.shape, image_shape, fieldmap)
        dense = upsample(np.moveaxis(own, -1, 0), how) > thresholds[:, None, None]
        if protocol.skip_below:
            dense &= (own.max(axis=(0, 1)) > thresholds)[:, None, None]
        words = pack(dense)
        tile, unit = np.nonzero(words.any(axis=2).T)
        records.append((np.full(len(tile), image), unit, tile, words[unit, tile]))
    parts = [np.concatenate(part) for part in zip(*records, strict=True)]
    return Masks(*(part.astype(np.int32) for part in parts[:3]), parts[3])


def masked_batch(numbers, maps, thresholds, labels, protocol, image_shape):
    """A batch of the masks of every layer; ``maps`` and ``thresholds`` are by layer."""
    masks = {layer: masks_of(own, thresholds[layer], labels, protocol, image_shape) for layer, own in maps.items()}
    return MaskedBatch(np.asarray(numbers), labels, masks)
