"""Dissection by its definition, the reference: all maps twice, once for thresholds, once to count, pixel by pixel."""

import numpy as np

from interpjax.dissection.upsampling import resampling, upsample


def two_passes(maps, data, protocol, image_shape, numbers=None):
    """Thresholds, intersection, area in the images of each concept's category, and the concepts' pixels.

    Args:
      maps: activations [images, h, w, units].
      data: ConceptData, restricted to the protocol's categories.
      protocol: how to count.
      image_shape: of the network's input.
      numbers: of the records of ``data`` that were read; by default all.
    """
    records = data.records if numbers is None else [data.records[number] for number in numbers]
    rows = maps.reshape(-1, maps.shape[-1]).astype(np.float64)
    thresholds = np.quantile(rows, 1 - protocol.top_quantile, axis=0)
    thresholds = thresholds.astype(protocol.threshold_dtype).astype(np.float64)
    category_of = np.array([data.categories.index(category) for category in data.concepts["category"]])
    shape = len(thresholds), len(category_of)
    intersection, unit_area, label_area = np.zeros(shape, int), np.zeros(shape, int), np.zeros(shape[1], int)
    for own, record in zip(maps, records, strict=True):
        planes = planes_of(record, data)
        masks = masks_of(own, thresholds, protocol, record.label_shape, image_shape)
        shared = (masks[:, None] & planes).sum(axis=(2, 3))
        intersection += shared
        label_area += planes.sum(axis=(1, 2))
        for category in range(len(data.categories)):
            members = category_of == category
            counts = {
                "category": planes[members].any(),
                "touched": shared[:, members].any(axis=1),
                "all": True,
            }[protocol.unit_area]
            unit_area[:, members] += (masks.sum(axis=(1, 2)) * counts)[:, None]
    return thresholds, intersection, unit_area, label_area


def planes_of(record, data):
    """Which pixels carry which concept."""
    planes = np.zeros((len(data.concepts), *record.label_shape), bool)
    for channels in record.labels().values():
        for channel in channels:
            for place, number in enumerate(data.concepts["number"]):
                planes[place] |= channel == number
    return planes


def masks_of(maps, thresholds, protocol, label_shape, image_shape):
    """Where each unit's upsampled map is above its threshold."""
    how = resampling(protocol.upsampling, maps.shape[:2], label_shape, image_shape)
    own = np.moveaxis(maps, -1, 0)
    masks = upsample(own, how) > thresholds[:, None, None]
    return masks & (own.max(axis=(1, 2)) > thresholds)[:, None, None] if protocol.skip_below else masks
