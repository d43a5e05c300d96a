"""Where a dissection's batches come from: a network that runs over the images, or stored activations."""

import contextlib
import dataclasses
import functools
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from interpjax import parallel
from interpjax.data.concept_records import ConceptRecord
from interpjax.data.concepts import ConceptData
from interpjax.data.images import BadImageError, SkippedImages
from interpjax.dissection.arguments import check_channels_last, check_maps, listed, shown
from interpjax.dissection.labels import ConceptColumns, ImageLabels, image_labels
from interpjax.dissection.networks import Network
from interpjax.dissection.passes import Work
from interpjax.dissection.settings import Settings
from interpjax.errors import UserError

ActivationsFn = Callable[
    [UInt8[Array | np.ndarray, "batch height width 3"]], Mapping[str, Float[Array | np.ndarray, "batch _ _ _"]]
]
Labellings = Mapping[tuple[str, ...], ConceptColumns]  # the categories whose channels are read → how they are counted
STORED_BATCH = 32


@runtime_checkable
class Feed(Protocol):
    """Gives the batches of a pass."""

    @property
    def batch_size(self) -> int:
        """Rows of each batch's maps."""

    @property
    def images(self) -> int:
        """How many there are at most, of all processes."""

    @property
    def devices(self) -> Sequence[jax.Device]:
        """Those that compute the activations."""

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """What is known of what was done to the images."""

    def works(self, start: int, labellings: Labellings) -> Iterator[Work]:
        """This process's batches from number ``start`` on, with the labels of their images in these ways."""


class NetworkFeed:
    """Reads images and runs a network on them."""

    def __init__(
        self,
        activations_fn: ActivationsFn,
        broden: ConceptData,
        settings: Settings,
        skipped: SkippedImages | None = None,
    ):
        if not callable(activations_fn):
            raise ValueError(f"activations_fn: a {type(activations_fn).__name__}; expected a function of images")
        if hasattr(activations_fn, "named_modules"):
            raise ValueError("activations_fn: a module of PyTorch; expected what dissection.from_torch makes of it")
        if skipped is not None and not isinstance(skipped, SkippedImages):
            raise ValueError(f"skipped = {shown(skipped)}: expected a SkippedImages(), or None")
        self.batch_size, self.images = settings.batch_size, len(_checked(broden).records)
        self._network = activations_fn if isinstance(activations_fn, Network) else None
        self._activations_fn, self._broden, self._settings = activations_fn, broden, settings
        # Its own, so that names that came from elsewhere are not kept with this one's sums.
        self._skipped = None if skipped is None else SkippedImages()
        self._follows_images = self._network is not None and self._network.follows_images
        # Worker threads do not inherit the caller's settings of JAX; these decide what comes out.
        self._x64 = jax.config.jax_enable_x64  # type: ignore[attr-defined]  # JAX adds them as it starts
        self._precision = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
        # What does not follow the images runs where it likes, and may not be fit to run in several threads.
        self._one_at_a_time = threading.Lock()
        self.devices = parallel.local_devices()[: None if self._follows_images else 1]

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """What the network says it does to images."""
        return self._network.preprocessing if self._network else {}

    def content(self) -> dict[str, Any]:
        """What decides the activations and labels.

        Raises:
          ValueError: if the network does not say what its content is, or nothing stands for its code.
        """
        if self._network is None:
            raise ValueError(
                "cache: activations_fn is a plain function, and what it computes with is not known; make it a "
                "Network (dissection.from_jax, dissection.from_torch), or leave cache out"
            )
        return {
            "network": self._network.storage_key(),
            "layers": self._settings.layers,
            "data": self._broden.fingerprint(self._settings.num_threads),
            "image_size": self._settings.image_size,
            "batch_size": self.batch_size,
            # The same sums are rounded differently by different hardware.
            "computed": [self.devices[0].device_kind, self._x64, self._precision],
        }

    def left_out(self, names: Sequence[str]) -> list[str]:
        """Notes images that an earlier run left out; returns all that are left out so far.

        Raises:
          BadImageError: if there are any, and unreadable images are errors.
        """
        if self._skipped is None:
            for name in names:
                raise BadImageError(name, "cannot be read, and what the cache keeps is without it; pass skipped=")
            return []
        self._skipped.names.update(names)
        return sorted(self._skipped.names)

    def works(self, start: int, labellings: Labellings) -> Iterator[Work]:
        """As :meth:`Feed.works`."""
        settings = self._settings
        order = _shuffled(len(self._broden.records))
        mixed = dataclasses.replace(self._broden, records=[self._broden.records[number] for number in order])
        batches = mixed.batches(
            settings.batch_size,
            start=start,
            shard=parallel.shard(),
            image_size=settings.image_size,
            skipped=self._skipped,
            num_threads=settings.num_threads,
        )
        with contextlib.closing(batches), ThreadPoolExecutor(settings.num_threads) as threads:
            for number, batch in enumerate(batches, start=start):
                labels, names = _read_labels(threads, batch.records, labellings), [own.name for own in batch.records]
                maps = functools.partial(self._maps, batch.images)
                yield Work(number, order[batch.numbers], names, maps, labels, batch.images.shape[1:3])

    def _maps(self, images: np.ndarray, device: jax.Device) -> dict[str, Array]:
        # The last batch is filled up, so that it is not compiled for anew and sums in the same order.
        filled = np.zeros((self.batch_size, *images.shape[1:]), images.dtype)
        filled[: len(images)] = images
        with jax.enable_x64(self._x64), jax.default_matmul_precision(self._precision):
            if self._follows_images:
                maps = self._activations_fn(jax.device_put(filled, device))
            else:
                with self._one_at_a_time:
                    maps = self._activations_fn(filled)
        self._check(maps, images.shape[1:3])
        with jax.enable_x64(True):  # so that float64 stays float64
            return {layer: jax.device_put(maps[layer], device) for layer in self._settings.layers}

    def _check(self, maps: Any, image_shape: tuple[int, int]) -> None:
        if not isinstance(maps, Mapping):
            raise UserError(f"activations_fn returned a {type(maps).__name__}; expected {{layer: maps}}")
        for layer in self._settings.layers:
            if layer not in maps:
                raise UserError(f"layer {layer!r}: activations_fn returned {listed(sorted(map(repr, maps))) or 'none'}")
            check_maps(layer, maps[layer])
            if len(maps[layer]) != self.batch_size:
                raise UserError(
                    f"layer {layer!r}: activations_fn returned {len(maps[layer])} rows for a batch of "
                    f"{self.batch_size} images; expected one for each"
                )
            check_channels_last(layer, maps[layer].shape, [image_shape])


class ArrayFeed:
    """Reads stored activations."""

    batch_size = STORED_BATCH
    preprocessing: Mapping[str, Any] = types.MappingProxyType({})  # it is not known

    def __init__(
        self, activations: Mapping[str, np.ndarray], broden: ConceptData, images: Sequence[str], num_threads: int
    ):
        numbers = {record.name: number for number, record in enumerate(_checked(broden).records)}
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
                labels, names = _read_labels(threads, records, labellings), [record.name for record in records]
                maps = functools.partial(self._maps, [self._rows[place] for place in part])
                yield Work(number, self._numbers[part], names, maps, labels, records[0].image_shape)

    def _batches(self) -> list[list[int]]:
        """Places in ``_rows``, mixed; the images of a batch are of one size."""
        by_shape: dict[tuple[int, int], list[int]] = {}
        for place in _shuffled(len(self._numbers)).tolist():
            by_shape.setdefault(self._broden.records[self._numbers[place]].image_shape, []).append(place)
        size = self.batch_size
        parts = [own[first : first + size] for own in by_shape.values() for first in range(0, len(own), size)]
        return [parts[number] for number in _shuffled(len(parts))]

    def _maps(self, rows: Sequence[int], device: jax.Device) -> dict[str, Array]:
        maps = {}
        for layer, stored in self._activations.items():
            filled = np.zeros((self.batch_size, *stored.shape[1:]), stored.dtype)
            filled[: len(rows)] = stored[rows]
            with jax.enable_x64(True):  # so that float64 stays float64
                maps[layer] = jax.device_put(filled, device)
        return maps


def _shuffled(count: int) -> np.ndarray:
    """Numbers in random order, the same in every process and run: what comes first is a sample of the whole."""
    return np.random.default_rng(0).permutation(count)


def columns_of(data: ConceptData) -> ConceptColumns:
    """How the concepts of some data are counted."""
    return ConceptColumns.of(data.concepts, data.categories)


def _checked(broden: Any) -> ConceptData:
    if not isinstance(broden, ConceptData):
        raise ValueError(f"broden: a {type(broden).__name__}; expected what data.load_broden(path) gives")
    if len(broden.records) == 0:
        raise ValueError(f"broden: {broden.name} with no record of an image; expected one at least")
    return broden


def _read_labels(
    threads: ThreadPoolExecutor, records: Sequence[ConceptRecord], labellings: Labellings
) -> list[list[ImageLabels]]:
    if not labellings:
        return []

    def read(record: ConceptRecord) -> list[ImageLabels]:
        channels = record.labels()
        ways = []
        for categories, columns in labellings.items():
            own = [channel for category in categories for channel in channels.get(category, [])]
            ways.append(image_labels(own, record.label_shape, columns))
        return ways

    return [list(images) for images in zip(*threads.map(read, records), strict=True)]
