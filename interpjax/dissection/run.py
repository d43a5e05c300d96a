"""Both passes over the batches of a feed, by several protocols at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from interpjax import parallel
from interpjax.data.concepts import ConceptData
from interpjax.dissection import feeds, passes, tally
from interpjax.dissection.progress import Progress
from interpjax.dissection.protocol import Protocol
from interpjax.dissection.result import Dissection
from interpjax.dissection.upsampling import FieldMap

Results = dict[str, Dissection]


def run(
    feed: feeds.Feed,
    broden: ConceptData,
    protocols: Sequence[Protocol],
    fieldmaps: Mapping[str, FieldMap],
    given: Mapping[str, np.ndarray] | None,
    top_images: int,
    progress: Progress,
) -> list[Results]:
    """Both passes over a feed, and what they found by each protocol.

    Args:
      feed: gives activations and labels.
      broden: the data that the feed reads.
      protocols: how to threshold and count.
      fieldmaps: by layer, of those that have one.
      given: thresholds by layer, in place of the protocols'.
      top_images: how many images to remember for each unit.
      progress: keeps what was added up.

    Raises:
      ValueError: if no image could be used, or the data have none of a protocol's categories.
    """
    largest = max(protocol.top_quantile for protocol in protocols)
    data = [_restricted(broden, protocol) for protocol in protocols]
    labellings = {own.categories: feeds.columns_of(own) for own in data}
    first = _pass("thresholds", lambda: passes.Thresholds(largest, feed.images, top_images), feed, {}, progress)
    if not first.quantiles:
        raise ValueError("nothing to dissect: no image could be used")
    found = [first.thresholds(protocol, given) for protocol in protocols]

    def counts() -> passes.Counts:
        tallies = {}
        for number, (protocol, own) in enumerate(zip(protocols, data, strict=True)):
            for layer, values in found[number].items():
                units = tally.UnitTally(values, labellings[own.categories], protocol, fieldmaps.get(layer))
                tallies[number, layer] = list(labellings).index(own.categories), units
        return passes.Counts(list(labellings.values()), tallies)

    second = _pass("counts", counts, feed, labellings, progress)
    results: list[Results] = [{} for _ in protocols]
    for (number, layer), (way, units) in second.units.items():
        own, labels, top = data[number], second.labels[way], first.top[layer]
        results[number][layer] = Dissection(
            concepts=own.concepts,
            categories=own.categories,
            protocol=protocols[number],
            thresholds=units.thresholds,
            intersection=units.intersection,
            unit_area=units.area_by_category[:, labellings[own.categories].category_of],
            label_area=labels.label_area,
            pixels=labels.pixels,
            top_images=top.numbers,
            top_values=top.values,
            fieldmap=fieldmaps.get(layer) if protocols[number].upsampling == "fieldmap" else None,
            preprocessing=dict(feed.preprocessing),
        )
    return results


def _pass(
    name: str,
    make: Callable[[], Any],
    feed: feeds.Feed,
    labellings: feeds.Labellings,
    progress: Progress,
) -> Any:
    """A pass over this process's images; returns the sum over all processes."""
    statistic = make()
    passes.run_pass(name, statistic, lambda start: passes.ahead(feed.works(start, labellings)), feed.devices, progress)
    if parallel.shard()[1] == 1:
        return statistic
    total = make()
    for state in parallel.gather(statistic.state()):
        total.merge(state)
    return total


def _restricted(broden: ConceptData, protocol: Protocol) -> ConceptData:
    """The data with the categories of a protocol; those that the data lack are not missed."""
    if protocol.categories is None:
        return broden
    chosen = [category for category in broden.categories if category in protocol.categories]
    if not chosen:
        raise ValueError(
            f"protocol.categories = {protocol.categories}: {broden.name} has only {', '.join(broden.categories)}"
        )
    return broden.restricted(chosen)
