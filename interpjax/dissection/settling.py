"""The end of a pass: what was undecided is counted at the thresholds that were found, and masks are put together."""

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from jaxtyping import Float

from interpjax.dissection.labels import BatchLabels, batch_labels
from interpjax.dissection.masks import MaskedBatch, Masks, sorted_masks
from interpjax.dissection.one_pass import OnePass
from interpjax.dissection.passes import BATCHES_AT_A_TIME
from interpjax.dissection.undecided import BatchRest

Key = tuple[int, str]  # the number of a protocol, and a layer


def settle(
    one_pass: OnePass,
    thresholds: Mapping[Key, Float[np.ndarray, " units"]],
    devices: Sequence[jax.Device],
) -> None:
    """Counts what a pass left undecided, for these protocols and layers, in its sums."""
    lock = threading.Lock()

    def count(rest: BatchRest, device: jax.Device) -> None:
        with jax.default_device(device):
            for key, values in thresholds.items():
                pixels, _ = one_pass.countings[key].settle(rest.undecided[key], _labels(one_pass, rest, key), values)
                with lock:
                    one_pass.pixels[key] += pixels

    turns = [device for device in devices for _ in range(BATCHES_AT_A_TIME)]
    with ThreadPoolExecutor(len(turns)) as threads:
        rests = one_pass.backlog.batches()
        while group := list(itertools.islice(rests, len(turns))):
            list(threads.map(count, group, turns))


class MaskedBatches:
    """The masks of a protocol on every batch of a process, again each time that it is gone through."""

    def __init__(self, passes: Mapping[Key, OnePass], thresholds: Mapping[Key, Float[np.ndarray, " units"]]):
        """Of passes that kept masks.

        Args:
          passes: for the protocol and each of its layers, the pass that counted it.
          thresholds: that were found.
        """
        self._passes, self._thresholds = passes, thresholds

    def of(self, layer: str) -> "MaskedBatches":
        """With the masks of one layer only."""
        return MaskedBatches({key: one for key, one in self._passes.items() if key[1] == layer}, self._thresholds)

    def __len__(self) -> int:
        return len(next(iter(self._passes.values())).backlog.numbers)

    def __iter__(self) -> Iterator[MaskedBatch]:
        backlogs = {id(one.backlog): one.backlog for one in self._passes.values()}
        streams = {name: backlog.batches() for name, backlog in backlogs.items()}
        for rests in zip(*streams.values(), strict=True):
            of = dict(zip(streams, rests, strict=True))
            masks = {key[1]: self._masks(of[id(one.backlog)], one, key) for key, one in self._passes.items()}
            (number, _), one = next(iter(self._passes.items()))
            way = one.plan.protocols[number][1]
            yield MaskedBatch(rests[0].numbers, rests[0].labels[way], masks)

    def _masks(self, rest: BatchRest, one: OnePass, key: Key) -> Masks:
        counting, part, labels = one.countings[key], rest.undecided[key], _labels(one, rest, key)
        _, words = counting.settle(part, labels, self._thresholds[key])
        return sorted_masks(
            np.concatenate([part.known, part.number]),
            labels.tile_of_image(np.concatenate([part.known_tile, part.tile])),
            np.concatenate([part.known_words, words]),
            counting.units,
        )


def _labels(one_pass: OnePass, rest: BatchRest, key: Key) -> BatchLabels:
    """The labels of a batch, as a protocol counts them."""
    way = one_pass.plan.protocols[key[0]][1]
    return batch_labels([*rest.labels[way], *[None] * (rest.rows - len(rest.numbers))])
