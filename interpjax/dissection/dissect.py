"""Dissecting a network or stored activations: thresholds, then counts, then results."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from interpjax import parallel
from interpjax.data.concepts import ConceptData
from interpjax.data.images import SkippedImages
from interpjax.dissection import arguments, feeds
from interpjax.dissection.kept import KeptSums
from interpjax.dissection.outcome import Outcome, Process, dissect_images, forget
from interpjax.dissection.plan import Plan
from interpjax.dissection.protocol import Protocol, get_protocol
from interpjax.dissection.result import Dissection
from interpjax.dissection.settings import Settings, takes_settings
from interpjax.errors import UserError
from interpjax.progress import progress_bar

Results = dict[str, Dissection]


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
    """Dissects a network: two passes over the images, one for thresholds and one that counts.

    Memory does not grow with the images, but for the largest activations of every unit (half a percent of them all),
    which exact thresholds need. Several devices take the batches in turn if ``activations_fn`` is a
    :class:`~interpjax.dissection.Network`, several processes likewise; how many makes no difference to the counts.

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
        size, a label map is damaged, or the data have none of the protocol's categories.
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
    """As :func:`dissect` by several protocols in the same two passes; other quantiles are other protocols.

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
    feed = feeds.NetworkFeed(activations_fn, broden, given, skipped)
    results = _dissect(feed, broden, chosen, given, _kept_sums(feed, chosen, given, cache))
    if skipped is not None:
        own = {"names": np.array(feed.left_out([]), np.str_)}
        skipped.names.update(*(process["names"].tolist() for process in parallel.gather(own)))
    return results


@takes_settings("fieldmaps", "top_images", "num_threads", "progress")
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
    feed = feeds.ArrayFeed(maps, broden, names, given.num_threads)
    nothing_kept = KeptSums(None, {}, every=1, process=parallel.shard())
    return _dissect(feed, broden, protocols, given, nothing_kept, limits)[0]


def _dissect(
    feed: feeds.Feed,
    broden: ConceptData,
    protocols: Sequence[Protocol],
    settings: Settings,
    kept: KeptSums,
    limits: Mapping[str, np.ndarray] | None = None,
) -> list[Results]:
    """By all protocols at once; ``limits`` are thresholds by layer in place of the protocols'."""
    data = [_restricted(broden, protocol) for protocol in protocols]
    if all(own["done"].all() for own in parallel.gather({"done": np.array([kept.has_results()])})):
        return kept.results(protocols)
    labellings = {own.categories: feeds.columns_of(own) for own in data}
    plan = _plan(feed, protocols, data, labellings, settings, limits)
    process, processes = parallel.shard()
    with progress_bar("dissect", feed.images, shown=settings.progress and process == 0) as bar:

        def show(batches: int) -> None:
            images = min(batches * processes * feed.batch_size, feed.images)  # the other processes are about as far
            bar.update(images - bar.n)

        run = Process(
            devices=list(feed.devices),
            works=lambda start, labelled: feed.works(start, labellings if labelled else {}),
            kept=kept,
            gather=parallel.gather,
            show=show,
        )
        outcome = dissect_images(plan, run)
    results = _results(outcome, protocols, data, settings, feed.preprocessing)
    kept.keep(results)
    forget(run)
    return results


def _plan(
    feed: feeds.Feed,
    protocols: Sequence[Protocol],
    data: Sequence[ConceptData],
    labellings: feeds.Labellings,
    settings: Settings,
    limits: Mapping[str, np.ndarray] | None,
) -> Plan:
    ways = list(labellings)
    given = None
    if limits is not None:
        given = {
            (number, layer): values.astype(protocol.threshold_dtype).astype(np.float64)
            for number, protocol in enumerate(protocols)
            for layer, values in limits.items()
        }
    return Plan(
        layers=tuple(settings.layers),
        labellings=list(labellings.values()),
        protocols=[(protocol, ways.index(own.categories)) for protocol, own in zip(protocols, data, strict=True)],
        images=feed.images,
        top_images=settings.top_images,
        fieldmaps=settings.fieldmaps or {},
        thresholds=given,
    )


def _results(
    outcome: Outcome,
    protocols: Sequence[Protocol],
    data: Sequence[ConceptData],
    settings: Settings,
    preprocessing: Mapping[str, Any],
) -> list[Results]:
    """What was found, by protocol and layer."""
    results: list[Results] = [{} for _ in protocols]
    fieldmaps = settings.fieldmaps or {}
    for number, (protocol, own) in enumerate(zip(protocols, data, strict=True)):
        for layer in settings.layers:
            total = outcome.total[number, layer]
            pixels, top = total.pixels[number, layer], total.top[layer]
            labels = total.labels[total.plan.protocols[number][1]]
            results[number][layer] = Dissection(
                concepts=own.concepts,
                categories=own.categories,
                protocol=protocol,
                thresholds=outcome.thresholds[number, layer],
                intersection=pixels.intersection,
                unit_area=pixels.area_by_category[:, feeds.columns_of(own).category_of],
                label_area=labels.label_area,
                pixels=labels.pixels,
                top_images=top.numbers,
                top_values=top.values,
                fieldmap=fieldmaps.get(layer) if protocol.upsampling == "fieldmap" else None,
                preprocessing=dict(preprocessing),
            )
    return results


def _restricted(broden: ConceptData, protocol: Protocol) -> ConceptData:
    """The data with the categories of a protocol; those that the data lack are not missed."""
    if protocol.categories is None:
        return broden
    chosen = [category for category in broden.categories if category in protocol.categories]
    if not chosen:
        known = ", ".join(broden.categories)
        raise UserError(f"protocol.categories = {protocol.categories}: {broden.name} has only {known}")
    return broden.restricted(chosen)


def _kept_sums(
    feed: feeds.NetworkFeed, protocols: Sequence[Protocol], settings: Settings, cache: str | Path | None
) -> KeptSums:
    every = max(1, settings.shard_images // settings.batch_size)
    if cache is None:
        return KeptSums(None, {}, every=every, process=parallel.shard())
    # The name and the IoU cut decide no sum.
    counted = [{**dataclasses.asdict(protocol), "name": "", "detector_iou": 0} for protocol in protocols]
    asked = {"protocols": counted, "fieldmaps": settings.fieldmaps, "top_images": settings.top_images}
    return KeptSums(Path(cache), feed.content() | asked, every=every, process=parallel.shard(), skipped=feed.left_out)
