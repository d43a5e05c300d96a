"""A dissection from its batches to its results: what is to be counted, and what is made of the counts."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float

from interpjax import parallel, processes
from interpjax.data.concepts import ConceptData
from interpjax.dissection import feeds
from interpjax.dissection.groups import count_groups, membership
from interpjax.dissection.images import ImageCounts, count_images
from interpjax.dissection.kept import RESULTS, KeptSums
from interpjax.dissection.outcome import Outcome, Process, dissect_images, forget
from interpjax.dissection.plan import Plan
from interpjax.dissection.protocol import PROTOCOLS, Protocol
from interpjax.dissection.result import Dissection
from interpjax.dissection.settings import Settings
from interpjax.dissection.settling import MaskedBatches
from interpjax.errors import UserError, refusals
from interpjax.progress import progress_bar

Results = dict[str, Dissection]


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """What is dissected, and how.

    Attributes:
      feed: gives the batches.
      broden: the labels.
      protocols: by which to count.
      settings: of the dissection.
      kept: holds what was added up.
      limits: thresholds by layer, in place of the protocols'.
    """

    feed: feeds.Feed
    broden: ConceptData
    protocols: Sequence[Protocol]
    settings: Settings
    kept: KeptSums
    limits: Mapping[str, Float[np.ndarray, " units"]] | None = None

    def results(self) -> list[Results]:
        """The results of each layer for each protocol; those that are kept, where there are any."""
        done = {"done": np.array([self.kept.has(RESULTS)])}
        if all(own["done"].all() for own in processes.gather(done)):  # as otherwise all must work together
            return self.kept.results(self.protocols)
        wanted = self.settings.layers if self.settings.keep_images else tuple(self.settings.groups or {})
        with self._process() as process:
            outcome = dissect_images(self._plan(wanted), process)
            results = self._results(outcome)
            self.kept.keep(results)
            forget(process)
        return results

    def with_masks(self) -> tuple[list[Results], list[MaskedBatches]]:
        """The results, and for each protocol the masks of all layers on this process's batches.

        What is kept stays, for the masks are made of it again each time that they are gone through.
        """
        with self._process() as process:
            outcome = dissect_images(self._plan(self.settings.layers), process)
        return self._results(outcome), outcome.masks

    @functools.cached_property
    def _data(self) -> list[ConceptData]:
        return [_restricted(self.broden, protocol) for protocol in self.protocols]

    @functools.cached_property
    def _labellings(self) -> feeds.Labellings:
        return {own.categories: feeds.columns_of(own) for own in self._data}

    @contextmanager
    def _process(self) -> Iterator[Process]:
        feed, (number, count) = self.feed, parallel.shard()
        shown = self.settings.progress and number == 0
        with refusals("dissection", less="batch_size"), progress_bar("dissect", feed.images, shown=shown) as bar:

            def show(batches: int) -> None:
                images = min(batches * count * feed.batch_size, feed.images)  # the others are about as far
                bar.update(images - bar.n)

            yield Process(
                devices=list(feed.devices),
                works=lambda start, labelled: feed.works(start, self._labellings if labelled else {}),
                kept=self.kept,
                gather=processes.gather,
                show=show,
            )

    def _plan(self, keep_masks: Sequence[str]) -> Plan:
        ways = list(self._labellings)
        numbers = [ways.index(data.categories) for data in self._data]
        given = None
        if self.limits is not None:
            given = {
                (number, layer): protocol.rounded(values)
                for number, protocol in enumerate(self.protocols)
                for layer, values in self.limits.items()
            }
        return Plan(
            layers=tuple(self.settings.layers),
            labellings=list(self._labellings.values()),
            protocols=list(zip(self.protocols, numbers, strict=True)),
            images=self.feed.images,
            top_images=self.settings.top_images,
            fieldmaps=self.settings.fieldmaps or {},
            thresholds=given,
            keep_masks=tuple(keep_masks),
            correlation=self.settings.correlation,
            groups=self.settings.groups or {},
        )

    def _results(self, outcome: Outcome) -> list[Results]:
        layers = self.settings.layers
        return [
            {layer: self._more(self._result(outcome, number, layer), outcome, number, layer) for layer in layers}
            for number in range(len(self.protocols))
        ]

    def _result(self, outcome: Outcome, number: int, layer: str) -> Dissection:
        protocol, own, total = self.protocols[number], self._data[number], outcome.total[number, layer]
        pixels, top = total.pixels[number, layer], total.top[layer]
        labels = total.labels[total.plan.protocols[number][1]]
        fieldmaps = self.settings.fieldmaps or {}
        correlation = total.correlations[number, layer].result() if self.settings.correlation else None
        return Dissection(
            concepts=own.concepts,
            categories=own.categories,
            protocol=protocol,
            thresholds=outcome.thresholds[number, layer],
            intersection=pixels.intersection,
            unit_area=pixels.area_by_category[:, self._labellings[own.categories].category_of],
            label_area=labels.label_area,
            pixels=labels.pixels,
            top_images=top.numbers,
            top_values=top.values,
            fieldmap=fieldmaps.get(layer) if protocol.upsampling == "fieldmap" else None,
            preprocessing=dict(self.feed.preprocessing),
            correlation=correlation,
        )

    def _more(self, result: Dissection, outcome: Outcome, number: int, layer: str) -> Dissection:
        """With what is counted of the masks: by image, and of groups."""
        units, groups = len(result.thresholds), self.settings.groups or {}
        masks = outcome.masks[number].of(layer)
        if self.settings.keep_images:
            columns = self._labellings[result.categories]
            arrays: dict[str, np.ndarray] = {}  # a process may have no image
            if len(masks):
                arrays = count_images(masks, layer, units=units, concepts=columns, protocol=result.protocol).arrays()
            parts = [ImageCounts.from_arrays(own) for own in processes.gather(arrays) if own]
            result = dataclasses.replace(result, images=ImageCounts.join(parts))
        if layer in groups:
            group_of = membership(groups[layer], units)
            counted = count_groups(masks, layer, group_of, dissection=result, summed=_summed)
            result = dataclasses.replace(result, groups=counted)
        return result


def _summed(counts: np.ndarray) -> np.ndarray:
    """Over all processes."""
    return np.sum([own["counts"] for own in processes.gather({"counts": counts})], axis=0)


def _restricted(broden: ConceptData, protocol: Protocol) -> ConceptData:
    """The data with a protocol's categories; those of its published form are not missed where the data lack them."""
    if protocol.categories is None:
        return broden
    published = PROTOCOLS[protocol.name].categories if protocol.name in PROTOCOLS else None
    chosen = [category for category in broden.categories if category in protocol.categories]
    if not chosen or set(protocol.categories) - {*broden.categories, *(published or ())}:
        known = ", ".join(broden.categories)
        raise UserError(f"protocol.categories = {protocol.categories}: {broden.name} has only {known}")
    return broden.restricted(chosen)
