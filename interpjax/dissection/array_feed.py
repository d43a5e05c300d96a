"""Batches of stored activations."""

import functools
import types
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from interpjax import parallel
from interpjax.data.concepts import ConceptData
from interpjax.dissection.arguments import check_channels_last
from interpjax.dissection.feeds import Labellings, checked, read_labels, shuffled
from interpjax.dissection.passes import Work

STORED_BATCH = 32


class ArrayFeed:
    """Reads stored activations."""

    batch_size = STORED_BATCH
    preprocessing: Mapping[str, Any] = types.MappingProxyType({})  # it is not known

    def __init__(
        self, activations: Mapping[str, np.ndarray], broden: ConceptData, images: Sequence[str], num_threads: int
    ):
        numbers = {record.name: number for number, record in enumerate(checked(broden).records)}
        unknown = set(images) - set(numbers) - set(broden.unlabelled)
        if unknown or len(set(images)) != len(images):
            name = min(unknown) if unknown else next(name for name in images if images.count(name) > 1)
            problem = f"not in the data ({broden.name})" if unknown else "twice in it"
            raise ValueError(f"images: {name!r} is {problem}; names are as {broden.records[0].name!r}")
        self._activations, self._broden, self._num_threads = activations, broden, num_threads
        self._rows = [row for row, name in enumerate(images) if name in numbers]
        self._numbers = np.array([numbers[images[row]] for row in self._rows], np.int64)
        self.images, self.devices = len(self._rows), parallel.local_devices()
        sizes = {broden.records[number].image_shape for number in self._numbers}
        for layer, maps in activations.items():
            check_channels_last(layer, maps.shape, sizes)

    def works(self, start: int, labellings: Labellings) -> Iterator[Work]:
        """As :meth:`Feed.works`."""
        process, processes = parallel.shard()
        with ThreadPoolExecutor(self._num_threads) as threads:
            parts = self._batches()[start * processes + process :: processes]
            for number, part in enumerate(parts, start=start):
                records = [self._broden.records[number] for number in self._numbers[part]]
                labels, names = read_labels(threads, records, labellings), [record.name for record in records]
                maps = functools.partial(self._maps, [self._rows[place] for place in part])
                yield Work(number, self._numbers[part], names, maps, labels, records[0].image_shape)

    def _batches(self) -> list[list[int]]:
        """Places in ``_rows``, mixed; the images of a batch are of one size."""
        by_shape: dict[tuple[int, int], list[int]] = {}
        for place in shuffled(len(self._numbers)).tolist():
            by_shape.setdefault(self._broden.records[self._numbers[place]].image_shape, []).append(place)
        size = self.batch_size
        parts = [own[first : first + size] for own in by_shape.values() for first in range(0, len(own), size)]
        return [parts[number] for number in shuffled(len(parts))]

    def _maps(self, rows: Sequence[int], device: jax.Device) -> dict[str, Array]:
        maps = {}
        for layer, stored in self._activations.items():
            filled = np.zeros((self.batch_size, *stored.shape[1:]), stored.dtype)
            filled[: len(rows)] = stored[rows]
            with jax.enable_x64(True):  # so that float64 stays float64
                maps[layer] = jax.device_put(filled, device)
        return maps
