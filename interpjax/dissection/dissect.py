"""Dissecting a network or stored activations."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from interpjax import parallel
from interpjax.data.concepts import ConceptData
from interpjax.data.images import SkippedImages
from interpjax.dissection import feeds
from interpjax.dissection.arguments import Run, check_arrays, check_run
from interpjax.dissection.checks import check_protocol
from interpjax.dissection.progress import Progress
from interpjax.dissection.protocol import Protocol, get_protocol
from interpjax.dissection.run import Results, run
from interpjax.dissection.upsampling import FieldMap


def dissect(
    activations_fn: feeds.ActivationsFn,
    broden: ConceptData,
    *,
    layers: Sequence[str],
    protocol: Protocol | None = None,
    fieldmaps: Mapping[str, FieldMap] | None = None,
    batch_size: int = 64,
    image_size: int | None = None,
    top_images: int = 5,
    skipped: SkippedImages | None = None,
    cache: str | Path | None = None,
    shard_images: int = 4096,
) -> Results:
    """Dissects a network: two passes over the images, one for thresholds and one that counts.

    Memory does not grow with the images, but for the largest activations of every unit (half a percent of them all),
    which exact thresholds need. Several devices take the batches in turn if ``activations_fn`` is a
    :class:`~interpjax.dissection.Network`, several processes likewise; how many makes no difference to the counts.

    Args:
      activations_fn: uint8 RGB images → activation maps by layer (NHWC); it normalizes for itself. A plain function
        or a :class:`~interpjax.dissection.Network`.
      broden: images and labels.
      layers: names of those to dissect.
      protocol: how to threshold and count; by default ``"paper"``.
      fieldmaps: by layer, for protocols that upsample through the centres of receptive fields: their offset, size
        and stride, each (y, x) in pixels of the network's input. By default those that NetDissect's wrapper for
        PyTorch makes up from the size of the map.
      batch_size: images in a batch, of which two are on each device at a time; the last one is filled up to it.
      image_size: squash images to this side first; by default they go in as they are.
      top_images: how many images to remember for each unit.
      skipped: collects unreadable images; without it they are errors.
      cache: a folder for what was added up so far: a run that is cut off goes on from its last shard, and one that
        was done is read. Only for a :class:`~interpjax.dissection.Network`, which says what its content is: other
        weights, layers, data or protocols never meet what is kept.
      shard_images: save after so many images of a pass.

    Returns:
      The result of each layer.

    Raises:
      ValueError: if an argument is not as it must be, naming it; a layer is missing in what ``activations_fn``
        returns, an activation is not finite, the data have none of the protocol's categories, or ``cache`` is given
        for a plain function or a network without a name.
      BadImageError: on an unreadable image.
    """
    return dissect_all(
        activations_fn,
        broden,
        layers=layers,
        protocols=[get_protocol("paper") if protocol is None else check_protocol(protocol)],
        fieldmaps=fieldmaps,
        batch_size=batch_size,
        image_size=image_size,
        top_images=top_images,
        skipped=skipped,
        cache=cache,
        shard_images=shard_images,
    )[0]


def dissect_all(
    activations_fn: feeds.ActivationsFn,
    broden: ConceptData,
    *,
    layers: Sequence[str],
    protocols: Sequence[Protocol],
    fieldmaps: Mapping[str, FieldMap] | None = None,
    batch_size: int = 64,
    image_size: int | None = None,
    top_images: int = 5,
    skipped: SkippedImages | None = None,
    cache: str | Path | None = None,
    shard_images: int = 4096,
) -> list[Results]:
    """As :func:`dissect` by several protocols in the same two passes; other quantiles are other protocols.

    Args:
      activations_fn: as in :func:`dissect`.
      broden: as in :func:`dissect`.
      layers: as in :func:`dissect`.
      protocols: as many as you like, ``[get_protocol("paper", top_quantile=q) for q in (0.001, 0.005, 0.01)]``; all
        of one ``tap``, since the activations are the same.
      fieldmaps: as in :func:`dissect`.
      batch_size: as in :func:`dissect`.
      image_size: as in :func:`dissect`.
      top_images: as in :func:`dissect`.
      skipped: as in :func:`dissect`.
      cache: as in :func:`dissect`.
      shard_images: as in :func:`dissect`.

    Returns:
      The results of each layer for each protocol, in their order.

    Raises:
      ValueError: as :func:`dissect`, or if protocols differ in their tap.
      BadImageError: on an unreadable image.
    """
    given = check_run(
        layers=layers,
        protocols=protocols,
        fieldmaps=fieldmaps,
        batch_size=batch_size,
        image_size=image_size,
        top_images=top_images,
        shard_images=shard_images,
    )
    feed = feeds.NetworkFeed(activations_fn, broden, given.layers, given.batch_size, given.image_size, skipped)
    progress = _progress(feed, given, cache)
    results = run(feed, broden, given.protocols, given.fieldmaps, None, given.top_images, progress)
    if skipped is not None:
        own = {"names": np.array(feed.left_out([]), np.str_)}
        skipped.names.update(*(process["names"].tolist() for process in parallel.gather(own)))
    return results


def dissect_arrays(
    activations: Mapping[str, Float[np.ndarray, "images _ _ _"]],
    broden: ConceptData,
    *,
    images: Sequence[str],
    protocol: Protocol | None = None,
    thresholds: Mapping[str, Float[np.ndarray, " units"]] | None = None,
    fieldmaps: Mapping[str, FieldMap] | None = None,
    top_images: int = 5,
) -> Results:
    """Dissects stored activations, of whatever framework.

    Args:
      activations: by layer, [images, h, w, units]: channels last (of PyTorch's, ``a.transpose(0, 2, 3, 1)``).
      broden: labels of the images.
      images: the name of each row, as in ``index.csv``; rows that carry no label are left out.
      protocol: how to threshold and count; by default ``"paper"``.
      thresholds: by layer, in place of the protocol's.
      fieldmaps: as in :func:`dissect`; the network's input is taken to be as large as ``index.csv`` says.
      top_images: how many images to remember for each unit.

    Returns:
      The result of each layer; ``top_images`` are records of ``broden``.

    Raises:
      ValueError: if an argument is not as it must be, naming it; a name is unknown or twice there, shapes do not fit,
        or an activation is not finite.
    """
    given = check_arrays(
        activations,
        images=images,
        protocol=protocol,
        thresholds=thresholds,
        fieldmaps=fieldmaps,
        top_images=top_images,
    )
    feed = feeds.ArrayFeed(given.activations, broden, given.images)
    progress = Progress(None, {}, every=1, process=parallel.shard())
    return run(feed, broden, [given.protocol], given.fieldmaps, given.thresholds, given.top_images, progress)[0]


def _progress(feed: feeds.NetworkFeed, given: Run, cache: str | Path | None) -> Progress:
    every = max(1, given.shard_images // given.batch_size)
    if cache is None:
        return Progress(None, {}, every=every, process=parallel.shard())
    # The name and the IoU cut decide no sum.
    counted = [{**dataclasses.asdict(protocol), "name": "", "detector_iou": 0} for protocol in given.protocols]
    content = {
        **feed.content(),
        "protocols": counted,
        "fieldmaps": given.fieldmaps,
        "top_images": given.top_images,
    }
    return Progress(Path(cache), content, every=every, process=parallel.shard(), skipped=feed.left_out)
