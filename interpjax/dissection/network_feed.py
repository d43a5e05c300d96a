"""Batches of a network that runs over the images."""

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from interpjax import parallel
from interpjax.data.concepts import ConceptData
from interpjax.data.images import BadImageError, SkippedImages
from interpjax.dissection.arguments import check_channels_last, check_maps, listed, shown
from interpjax.dissection.feeds import ActivationsFn, Labellings, checked, read_labels, shuffled
from interpjax.dissection.networks import Network
from interpjax.dissection.passes import Work
from interpjax.dissection.settings import Settings
from interpjax.errors import UserError


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
        self.batch_size, self.images = settings.batch_size, len(checked(broden).records)
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
        order = shuffled(len(self._broden.records))
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
                labels, names = read_labels(threads, batch.records, labellings), [own.name for own in batch.records]
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
