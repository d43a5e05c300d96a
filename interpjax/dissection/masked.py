"""A dissection that also keeps the masks of all units on all images.

In place of ``dissect.masked`` until there is one: it runs the network a third time.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from interpjax.data.concepts import ConceptData
from interpjax.dissection import dissect, feeds, tally
from interpjax.dissection import tiles as tiles_lib
from interpjax.dissection.chunks import list_chunks
from interpjax.dissection.labels import BatchLabels, group_by_shape
from interpjax.dissection.masks import MaskedBatch, Masks
from interpjax.dissection.passes import Work
from interpjax.dissection.protocol import Protocol
from interpjax.dissection.result import Dissection
from interpjax.dissection.settings import Settings
from interpjax.dissection.upsampling import resampling


def masked(
    activations_fn: feeds.ActivationsFn, broden: ConceptData, *, protocol: Protocol, **arguments: Any
) -> tuple[dict[str, Dissection], Sequence[MaskedBatch]]:
    """As :func:`interpjax.dissection.dissect`, with the masks of each layer's units at their exact thresholds.

    The data are those that the protocol takes: its categories alone are in the labels.
    """
    results = dissect.dissect(activations_fn, broden, protocol=protocol, **arguments)
    skipped = arguments.pop("skipped", None)
    arguments.pop("cache", None)
    settings = Settings(**arguments)
    chosen = [own for own in broden.categories if protocol.categories is None or own in protocol.categories]
    labellings = {tuple(chosen): feeds.columns_of(broden.restricted(chosen))}
    feed = feeds.NetworkFeed(activations_fn, broden, settings, skipped)
    return results, [_masked_batch(work, feed.devices[0], results) for work in feed.works(0, labellings)]


def _masked_batch(work: Work, device: jax.Device, results: dict[str, Dissection]) -> MaskedBatch:
    (labels,) = work.labels
    masks = {}
    with jax.enable_x64(True):
        for layer, maps in work.maps(device).items():
            if layer in results:
                fill = [None] * (len(maps) - len(labels))
                maps = maps if maps.dtype == jnp.float64 else jnp.asarray(maps, jnp.float32)
                batches = group_by_shape([*labels, *fill])
                masks[layer] = _sorted([_masks(maps, own, work, results[layer]) for own in batches])
    return MaskedBatch(work.numbers, labels, masks)


def _masks(maps: Any, labels: BatchLabels, work: Work, result: Dissection) -> Masks:
    protocol, units = result.protocol, maps.shape[3]
    how = resampling(protocol.upsampling, maps.shape[1:3], labels.shape, work.image_shape, result.fieldmap)
    tiles, maps = tiles_lib.cut(how), maps.astype(jnp.float32) if how.rounded else maps
    limits = tally.round_down(result.thresholds, maps.dtype)
    active = tiles_lib.active_tiles(tiles, maps, limits, labels.counted, skip_below=protocol.skip_below)
    parts = []
    for chunk in list_chunks(np.asarray(active).reshape(-1, len(maps) * units), units, labels):
        cells, own = tally._gather(tiles, maps, result.thresholds, chunk)
        words = np.asarray(tiles_lib.masks(tiles, cells, chunk.tile, [own])[0]).reshape(-1, 2)
        held, number = words.any(axis=1), chunk.number.reshape(-1)
        tile = np.repeat(chunk.tile, tiles_lib.BLOCK)[held]
        parts.append((number[held] // units, number[held] % units, tile, words[held]))
    return _joined([Masks(*part) for part in parts])


def _none() -> Masks:
    nothing = np.zeros(0, np.int32)
    return Masks(nothing, nothing, nothing, np.zeros((0, 2), np.uint32))


def _joined(parts: Sequence[Masks]) -> Masks:
    image, unit, tile, words = (np.concatenate(part) for part in zip(_none(), *parts, strict=True))
    return Masks(image, unit, tile, words)


def _sorted(parts: Sequence[Masks]) -> Masks:
    image, unit, tile, words = _joined(parts)
    order = np.lexsort((unit, tile, image))
    return Masks(image[order], unit[order], tile[order], words[order])
