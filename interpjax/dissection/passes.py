"""The two passes over the images: one finds thresholds, the other counts. Nothing is kept for an image."""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from interpjax.dissection.labels import ConceptColumns, ImageLabels, group_by_shape
from interpjax.dissection.progress import Progress
from interpjax.dissection.protocol import Protocol as ProtocolFields
from interpjax.dissection.tally import LabelTally, UnitTally
from interpjax.dissection.thresholds import TopQuantile
from interpjax.dissection.top_images import TopImages

BATCHES_AT_A_TIME = 2  # on each device: one is computed while the host prepares the other
T = TypeVar("T")
State = dict[str, np.ndarray]


class Work(NamedTuple):
    """A batch of images whose activations are still to be computed.

    Attributes:
      numbers: of the images' records; fewer than the rows of the maps where the batch is filled up.
      names: of the images.
      maps: computes the activations by layer, NHWC, on a device.
      labels: of each image, in each way of labelling; empty in the first pass.
      image_shape: (height, width) of the network's input.
    """

    numbers: Int[np.ndarray, " images"]
    names: Sequence[str]
    maps: Callable[[jax.Device], Mapping[str, Float[Array, "n h w units"]]]
    labels: Sequence[Sequence[ImageLabels]]
    image_shape: tuple[int, int]


@runtime_checkable
class Statistic(Protocol):
    """What a pass adds up; sums of it do not depend on the order of the batches or on who counted them."""

    def add(self, work: Work, maps: Mapping[str, Array]) -> None:
        """Takes a batch; called from several threads."""

    def state(self) -> State:
        """What has come so far."""

    def merge(self, state: State) -> None:
        """Takes what another one has seen."""


class Thresholds:
    """First pass: the largest activations of every unit, and the images that have them."""

    def __init__(self, top_quantile: float, images: int, top_images: int):
        """Starts empty.

        Args:
          top_quantile: the largest share above a threshold that will be asked for.
          images: at most so many come.
          top_images: how many to remember for each unit.
        """
        self._settings = top_quantile, images, top_images
        self._lock = threading.Lock()
        self._shapes: dict[str, tuple[int, ...]] = {}
        self.quantiles: dict[str, TopQuantile] = {}
        self.top: dict[str, TopImages] = {}

    def add(self, work: Work, maps: Mapping[str, Array]) -> None:
        """Takes a batch.

        Raises:
          ValueError: if an activation is not finite, or a layer's maps are not all of one size.
        """
        for layer, values in maps.items():
            own = np.asarray(values)[: len(work.numbers)]
            own = own if own.dtype == np.float64 else own.astype(np.float32, copy=False)
            finite = np.isfinite(own)
            if not finite.all():
                image, y, x, unit = np.argwhere(~finite)[0]
                raise ValueError(
                    f"layer {layer!r}: the activation of unit {unit} on image {work.names[image]!r} is not finite "
                    f"({own[image, y, x, unit]})"
                )
            maxima = own.max(axis=(1, 2))
            with self._lock:
                shape = self._shapes.setdefault(layer, own.shape[1:])
                if shape != own.shape[1:]:
                    raise ValueError(
                        f"layer {layer!r}: its maps are {own.shape[1:]} on image {work.names[0]!r} and {shape} before "
                        "[h, w, units]; needed is one size, as of images of one size (image_size=)"
                    )
                quantile, top = self._of(layer, shape[0] * shape[1], shape[2], own.dtype)
                quantile.update(own.reshape(-1, own.shape[-1]))
                top.update(work.numbers, maxima)

    def state(self) -> State:
        """What has come so far."""
        quantiles = {
            f"{layer}|quantile|{name}": value
            for layer, own in self.quantiles.items()
            for name, value in own.state().items()
        }
        sizes = {f"{layer}|quantile|most_rows": np.array(own.most_rows) for layer, own in self.quantiles.items()}
        top = {f"{layer}|top|{name}": value for layer, own in self.top.items() for name, value in own.state().items()}
        return quantiles | sizes | top

    def merge(self, state: State) -> None:
        """Takes what another one has seen."""
        for layer in dict.fromkeys(name.rsplit("|", 2)[0] for name in state):
            part = {
                name.removeprefix(f"{layer}|"): value for name, value in state.items() if name.startswith(f"{layer}|")
            }
            kept = part["quantile|negated"]
            positions = int(part["quantile|most_rows"]) // self._settings[1]
            quantile, top = self._of(layer, positions, len(kept), kept.dtype)
            quantile.merge({"rows": part["quantile|rows"], "negated": kept})
            top.merge({"numbers": part["top|numbers"], "values": part["top|values"]})

    def thresholds(
        self, protocol: ProtocolFields, given: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, Float[np.ndarray, " units"]]:
        """Of every layer, by a protocol; or those that are given of every layer, rounded as the protocol wants."""
        found = {layer: quantile.result(protocol.top_quantile) for layer, quantile in self.quantiles.items()}
        for layer, values in found.items():
            found[layer] = values if given is None else given[layer]
            if protocol.threshold_dtype == "float32":
                found[layer] = found[layer].astype(np.float32).astype(np.float64)
        return found

    def _of(self, layer: str, positions: int, units: int, dtype: np.dtype) -> tuple[TopQuantile, TopImages]:
        top_quantile, images, top_images = self._settings
        if layer not in self.quantiles:
            self.quantiles[layer] = TopQuantile(top_quantile, positions * images, units, dtype)
            self.top[layer] = TopImages(top_images, units)
        return self.quantiles[layer], self.top[layer]


class Counts:
    """Second pass: pixels of concepts, of units, and of both, for every protocol and layer at once."""

    def __init__(self, labellings: Sequence[ConceptColumns], tallies: Mapping[tuple[int, str], tuple[int, UnitTally]]):
        """Starts with no pixels.

        Args:
          labellings: the ways of labelling.
          tallies: for each protocol's number and layer, the number of its way of labelling and its tally.
        """
        self._lock = threading.Lock()
        self.labels = [LabelTally(len(concepts.numbers)) for concepts in labellings]
        self.units = dict(tallies)

    def add(self, work: Work, maps: Mapping[str, Array]) -> None:
        """Takes a batch."""
        rows = len(next(iter(maps.values())))
        fill = [None] * (rows - len(work.numbers))
        batches = [group_by_shape([*labels, *fill]) for labels in work.labels]
        with self._lock:
            for concepts, labels in zip(self.labels, work.labels, strict=True):
                for image in labels:
                    concepts.add(image)
        for (_, layer), (labelling, units) in self.units.items():
            counts = units.count(maps[layer], batches[labelling], work.image_shape)
            with self._lock:
                units.add(*counts)

    def state(self) -> State:
        """What has come so far."""
        labels = {f"labels|{n}|area": tally.label_area for n, tally in enumerate(self.labels)}
        pixels = {f"labels|{n}|pixels": np.array(tally.pixels) for n, tally in enumerate(self.labels)}
        units = {}
        for (protocol, layer), (_, tally) in self.units.items():
            units[f"units|{protocol}|{layer}|intersection"] = tally.intersection
            units[f"units|{protocol}|{layer}|area"] = tally.area_by_category
        return labels | pixels | units

    def merge(self, state: State) -> None:
        """Takes what another one has seen."""
        for number, labels in enumerate(self.labels):
            labels.label_area += state[f"labels|{number}|area"]
            labels.pixels += int(state[f"labels|{number}|pixels"])
        for (protocol, layer), (_, tally) in self.units.items():
            prefix = f"units|{protocol}|{layer}"
            tally.add(state[f"{prefix}|intersection"], state[f"{prefix}|area"])


def run_pass(
    name: str,
    statistic: Statistic,
    works: Callable[[int], Iterable[Work]],
    devices: Sequence[jax.Device],
    progress: Progress,
) -> None:
    """Adds up a pass, each device taking every so manieth batch, from where an earlier run was cut off.

    Args:
      name: of the pass.
      statistic: takes the batches.
      works: the batches from a number on.
      devices: compute the activations and count.
      progress: keeps what was added up.
    """
    done = progress.restore(name, statistic)
    batches, turns = iter(works(done)), [device for device in devices for _ in range(BATCHES_AT_A_TIME)]
    with ThreadPoolExecutor(len(turns)) as threads:
        while group := list(itertools.islice(batches, len(turns))):
            list(threads.map(lambda work, device: _add(statistic, work, device), group, turns))
            done += len(group)
            progress.save(name, statistic, done)
    progress.finish(name, statistic, done)


def _add(statistic: Statistic, work: Work, device: jax.Device) -> None:
    if len(work.numbers):  # a batch may have no image that can be read
        statistic.add(work, work.maps(device))


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each made while the one before it is used."""
    end: Any = object()
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, items, end)
            yield item
