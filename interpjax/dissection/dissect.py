"""Dissecting a network or stored activations."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from interpjax import parallel, processes
from interpjax.data.concepts import ConceptData
from interpjax.data.images import SkippedImages
from interpjax.dissection import arguments, feeds
from interpjax.dissection.array_feed import ArrayFeed
from interpjax.dissection.job import Job, Results
from interpjax.dissection.kept import KeptSums
from interpjax.dissection.network_feed import NetworkFeed
from interpjax.dissection.protocol import Protocol, get_protocol
from interpjax.dissection.settings import Settings, takes_settings
from interpjax.dissection.settling import MaskedBatches


@takes_settings()
def dissect(
    activations_fn: feeds.ActivationsFn,
    broden: ConceptData,
    *,
    protocol: Protocol | None = None,
    skipped: SkippedImages | None = None,
    cache: str | Path | None = None,
    **settings: Any,
) -> Results:
    """Dissects a network in one pass over the images, which come in random order.

    The first few hundred tell each threshold roughly, and it becomes known better as more come. What is certain is
    counted at once, and what depends on where a threshold lies is kept until it is known: in the cache folder, or in
    memory. The counts are exact. Layers of which a threshold was misjudged are gone over again.

    Several devices take the batches in turn if ``activations_fn`` is a :class:`~interpjax.dissection.Network`, several
    processes likewise; how many makes no difference to the counts.

    Args:
      activations_fn: uint8 RGB images → activation maps by layer (NHWC); a plain function or a ``Network``.
      broden: images and labels.
      protocol: how to threshold and count; by default ``"paper"``.
      skipped: collects unreadable images; without it they are errors.
      cache: a folder for what was added up so far: a run that is cut off goes on from its last shard, and one that
        was done is read. Only for a ``Network``, which says what its content is: other weights, layers, data or
        protocols never meet what is kept.
      **settings: those of :class:`Settings`.

    Returns:
      The result of each layer.

    Raises:
      TypeError: if an argument is missing or unknown, naming it.
      ValueError: if an argument is not as expected, naming it, or ``cache`` is given for a plain function or a
        network without a name.
      UserError: if a layer is missing in what ``activations_fn`` returns, an activation is not finite, maps differ in
        size, a label map is damaged, or the data lack a category that the protocol was given.
      BadImageError: on an unreadable image.
    """
    protocols = [get_protocol("paper") if protocol is None else arguments.check_protocol(protocol)]
    return dissect_all(activations_fn, broden, protocols=protocols, skipped=skipped, cache=cache, **settings)[0]


@takes_settings()
def dissect_all(
    activations_fn: feeds.ActivationsFn,
    broden: ConceptData,
    *,
    protocols: Sequence[Protocol],
    skipped: SkippedImages | None = None,
    cache: str | Path | None = None,
    **settings: Any,
) -> list[Results]:
    """As :func:`dissect` by several protocols in the same pass; other quantiles are other protocols.

    Args:
      activations_fn: as in :func:`dissect`.
      broden: as in :func:`dissect`.
      protocols: as many as you like, ``[get_protocol("paper", top_quantile=q) for q in (0.001, 0.005, 0.01)]``; all
        of one ``tap``, since the activations are the same.
      skipped: as in :func:`dissect`.
      cache: as in :func:`dissect`.
      **settings: those of :class:`Settings`.

    Returns:
      The results of each layer for each protocol, in their order.

    Raises:
      ValueError: if protocols differ in their tap; and all that :func:`dissect` raises.
    """
    given, chosen = Settings(**settings), arguments.check_protocols(protocols)
    feed = NetworkFeed(activations_fn, broden, given, skipped)
    results = Job(feed, broden, chosen, given, _kept_sums(feed, chosen, given, cache)).results()
    _tell(feed, skipped)
    return results


def masked(
    activations_fn: feeds.ActivationsFn,
    broden: ConceptData,
    *,
    protocol: Protocol,
    skipped: SkippedImages | None = None,
    cache: str | Path | None = None,
    **settings: Any,
) -> tuple[Results, MaskedBatches]:
    """As :func:`dissect`, with the masks of all units at their thresholds, for whoever counts them otherwise.

    Returns:
      The results, and the masks and labels of this process's batches, which may be gone through several times.
    """
    given = Settings(**settings)
    feed = NetworkFeed(activations_fn, broden, given, skipped)
    kept = _kept_sums(feed, [protocol], given, cache, masks=True)
    (results,), (masks,) = Job(feed, broden, [protocol], given, kept).with_masks()
    _tell(feed, skipped)
    return results, masks


@takes_settings("fieldmaps", "top_images", "num_threads", "progress", "groups", "keep_images", "correlation")
def dissect_arrays(
    activations: Mapping[str, Float[np.ndarray, "images _ _ _"]],
    broden: ConceptData,
    *,
    images: Sequence[str],
    protocol: Protocol | None = None,
    thresholds: Mapping[str, Float[np.ndarray, " units"]] | None = None,
    **settings: Any,
) -> Results:
    """Dissects stored activations, of whatever framework; the network's input is as large as ``index.csv`` says.

    Args:
      activations: by layer, [images, h, w, units]: channels last (of PyTorch's, ``a.transpose(0, 2, 3, 1)``).
      broden: labels of the images.
      images: the name of each row, as in ``index.csv``; rows that carry no label are left out.
      protocol: how to threshold and count; by default ``"paper"``.
      thresholds: by layer, in place of the protocol's.
      **settings: those of :class:`Settings`.

    Returns:
      The result of each layer; ``top_images`` are records of ``broden``.

    Raises:
      TypeError: if an argument is missing or unknown, naming it.
      ValueError: if an argument is not as expected, naming it; a name is unknown or twice there, or shapes do not fit.
      UserError: if an activation is not finite, or a label map is damaged.
    """
    names = arguments.check_names("images", images, "a.jpg")
    maps = arguments.check_activations(activations, len(names))
    units = {layer: stored.shape[3] for layer, stored in maps.items()}
    limits = None if thresholds is None else arguments.check_thresholds(thresholds, units)
    protocols = [get_protocol("paper") if protocol is None else arguments.check_protocol(protocol)]
    given = Settings(layers=tuple(maps), **settings)
    feed = ArrayFeed(maps, broden, names, given.num_threads)
    nothing_kept = KeptSums(None, {}, every=1, process=parallel.shard())
    return Job(feed, broden, protocols, given, nothing_kept, limits).results()[0]


def _tell(feed: NetworkFeed, skipped: SkippedImages | None) -> None:
    """Notes the images that any process left out."""
    if skipped is not None:
        skipped.names.update(processes.union(feed.left_out([])))


def _kept_sums(
    feed: NetworkFeed,
    protocols: Sequence[Protocol],
    settings: Settings,
    cache: str | Path | None,
    *,
    masks: bool = False,
) -> KeptSums:
    every = max(1, settings.shard_images // settings.batch_size)
    if cache is None:
        return KeptSums(None, {}, every=every, process=parallel.shard())
    # The name decides no sum, and the IoU cut only what is made of detectors in groups.
    plain = {"name": ""} if settings.groups else {"name": "", "detector_iou": 0}
    counted = [dataclasses.asdict(protocol) | plain for protocol in protocols]
    asked = {
        "protocols": counted,
        "fieldmaps": settings.fieldmaps,
        "top_images": settings.top_images,
        "groups": {layer: arguments.described(groups) for layer, groups in (settings.groups or {}).items()},
        "keep_images": settings.keep_images,
        "correlation": settings.correlation,
        "masks": masks,
    }
    folder = arguments.check_folder("cache", cache)
    return KeptSums(folder, feed.content() | asked, every=every, process=parallel.shard(), skipped=feed.left_out)
