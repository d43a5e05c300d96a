"""The pass over the images: thresholds close in, what is certain is counted, and what is not is left for the end."""

import math
import threading
from collections.abc import Mapping

import jax
import numpy as np
from jaxtyping import Array

from interpjax.dissection.backlog import Backlog
from interpjax.dissection.brackets import Bracket
from interpjax.dissection.correlation import CorrelationSums
from interpjax.dissection.counting import Counting, Limits, Pixels
from interpjax.dissection.denormals import flush_denormals
from interpjax.dissection.groups import membership
from interpjax.dissection.label_cells import LabelsAtCells
from interpjax.dissection.labels import batch_labels
from interpjax.dissection.observation import above, observe
from interpjax.dissection.opening import Sample, sample_of
from interpjax.dissection.passes import Held, State, Work
from interpjax.dissection.plan import Plan
from interpjax.dissection.tally import LabelTally
from interpjax.dissection.thresholds import TopImages
from interpjax.dissection.undecided import BatchRest
from interpjax.errors import UserError

OPENING = 256  # images by which the brackets are set before anything is counted
HELD = 2**29  # bytes of those images' maps that are held till then; where they are more, the images are run again


class OnePass:
    """Everything that a pass adds up."""

    def __init__(self, plan: Plan, backlog: Backlog):
        self.plan, self.backlog = plan, backlog
        self.labels = [LabelTally(len(concepts.numbers)) for concepts in plan.labellings]
        self.top: dict[str, TopImages] = {}
        self.brackets: dict[tuple[float, str], Bracket] = {}
        self.pixels: dict[tuple[int, str], Pixels] = {}
        self.correlations: dict[tuple[int, str], CorrelationSums] = {}
        self.countings: dict[tuple[int, str], Counting] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._dtypes: dict[str, np.dtype] = {}
        self._opened = not plan.quantiles()
        self._held: list[Held] = []
        self._samples: dict[str, Sample] = {}
        self._lock = threading.Lock()

    @property
    def ready(self) -> bool:
        """Whether all that came is in the sums."""
        return self._opened

    def add(self, work: Work, maps: Mapping[str, Array]) -> None:
        """Takes a batch.

        Raises:
          UserError: if an activation is not finite, or a layer's maps are not all of one size.
        """
        with jax.enable_x64(True):  # so that float64 stays float64
            found = {layer: flush_denormals(maps[layer]) for layer in self.plan.layers}
            with self._lock:
                for layer, values in found.items():
                    self._prepare(layer, values, work)
            if self._opened:
                for layer, values in found.items():
                    self._observe(layer, work, values[: len(work.numbers)])
                self._count(work, found)
                self._correlate(work, found)
            else:
                self._hold(work, maps, found)

    def settle(self, last: bool) -> list[Held]:
        """Closes in, between two groups of batches; returns those that are to be added again now.

        Args:
          last: whether no more come.
        """
        if self._opened:
            for bracket in self.brackets.values():
                bracket.narrow()
            return []
        images = sum(len(held.work.numbers) for held in self._held)
        if not images or (images < OPENING and not last):
            return []
        for (_, layer), bracket in self.brackets.items():
            bracket.open(self._samples[layer].values())
        held, self._held, self._samples, self._opened = self._held, [], {}, True
        return held

    def _prepare(self, layer: str, maps: Array, work: Work) -> None:
        """Makes the sums of a layer, when its maps are first seen."""
        shape = self._shapes.setdefault(layer, maps.shape[1:])
        if shape != maps.shape[1:]:
            raise UserError(
                f"layer {layer!r}: its maps are {maps.shape[1:]} on image {work.names[0]!r} and {shape} before "
                "[h, w, units]; expected one size, as of images of one size (image_size=)"
            )
        self._make(layer, shape, maps.dtype)

    def _make(self, layer: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        if layer in self.top:
            return
        plan, positions, units = self.plan, math.prod(shape[:2]), shape[2]
        if layer in plan.groups:
            # Raises where they do not fit, before the images are gone over.
            membership(plan.groups[layer], units, f"groups[{layer!r}]")
        self.top[layer], self._dtypes[layer] = TopImages(plan.top_images, units), dtype
        for quantile in plan.quantiles():
            self.brackets[quantile, layer] = Bracket(quantile, plan.images, positions, units, dtype)
        for number in plan.numbers(layer):
            counting = plan.counting(number, layer, units)
            self.countings[number, layer], self.pixels[number, layer] = counting, counting.nothing()
            if plan.correlation:
                sums = CorrelationSums(units, counting.concepts, counting.protocol, counting.fieldmap)
                self.correlations[number, layer] = sums

    def _hold(self, work: Work, given: Mapping[str, Array], maps: Mapping[str, Array]) -> None:
        rows, opening = len(next(iter(maps.values()))), min(OPENING, self.plan.images)
        with self._lock:
            if not self._samples:
                value_bytes = sum(values.shape[-1] * values.dtype.itemsize for values in maps.values())
                self._samples = {layer: sample_of(opening, value_bytes, values) for layer, values in maps.items()}
        for layer, values in maps.items():
            self._samples[layer].add(work.batch, values[: len(work.numbers)])
        whole = sum(values.nbytes for values in given.values()) / rows * opening
        with self._lock:
            self._held.append(Held(work, given if whole <= HELD else None))

    def _observe(self, layer: str, work: Work, maps: Array) -> None:
        seen = observe(maps)
        if not seen.finite:
            image, y, x, unit = np.argwhere(~np.isfinite(np.asarray(maps)))[0]
            raise UserError(
                f"layer {layer!r}: the activation of unit {unit} on image {work.names[image]!r} is not finite "
                f"({maps[image, y, x, unit]})"
            )
        found = {key: above(maps, own.over) for key, own in self.brackets.items() if key[1] == layer}
        with self._lock:
            self.top[layer].update(work.numbers, seen.maxima)
            for key, (place, value) in found.items():
                row, unit = np.divmod(place, maps.shape[3])
                image = row // (maps.shape[1] * maps.shape[2])
                self.brackets[key].add(len(maps), seen.least, image, unit, value)

    def _count(self, work: Work, maps: Mapping[str, Array]) -> None:
        rows = len(next(iter(maps.values())))
        fill = [None] * (rows - len(work.numbers))
        batches = [batch_labels([*labels, *fill]) for labels in work.labels]
        undecided = {}
        for (number, layer), counting in self.countings.items():
            _, way = self.plan.protocols[number]
            limits = self._limits(number, layer)
            pixels, undecided[number, layer] = counting.count(
                maps[layer], batches[way], work.image_shape, limits, keep_masks=layer in self.plan.keep_masks
            )
            with self._lock:
                self.pixels[number, layer] += pixels
        with self._lock:
            for concepts, labels in zip(self.labels, work.labels, strict=True):
                for image in labels:
                    concepts.add(image)
            self.backlog.add(BatchRest(work.batch, rows, work.numbers, work.labels, undecided))

    def _correlate(self, work: Work, maps: Mapping[str, Array]) -> None:
        cells: dict[int, LabelsAtCells] = {}  # by the way of labelling, for all layers
        for (number, layer), sums in self.correlations.items():
            _, way = self.plan.protocols[number]
            if way not in cells:
                cells[way] = LabelsAtCells(work.labels[way], rows=len(maps[layer]))
            counted = sums.count(maps[layer], cells[way], work.image_shape)
            with self._lock:
                sums.merge(counted)

    def _limits(self, number: int, layer: str) -> Limits:
        if self.plan.thresholds is not None:
            return Limits(self.plan.thresholds[number, layer], self.plan.thresholds[number, layer])
        protocol, _ = self.plan.protocols[number]
        bracket = self.brackets[protocol.top_quantile, layer]
        # Rounding is monotone: thresholds that are rounded lie between limits that are.
        return Limits(protocol.rounded(bracket.lower), protocol.rounded(bracket.upper))

    def state(self) -> State:
        """What has come so far, but for the backlog."""
        return self.sums() | self.limits()

    def limits(self) -> State:
        """What is known of the thresholds; entries as of :meth:`sums`."""
        return {
            f"bracket|{name}|{quantile!r}|{layer}": value
            for (quantile, layer), bracket in self.brackets.items()
            for name, value in bracket.state().items()
        }

    def sums(self) -> State:
        """What was counted; each entry's name tells what it is of, a layer's name last."""
        found: State = {}
        for layer, shape in self._shapes.items():
            like = np.zeros(0, self._dtypes[layer])
            found |= {f"layer|shape||{layer}": np.array(shape), f"layer|like||{layer}": like}
            found |= {f"top|{name}||{layer}": value for name, value in self.top[layer].state().items()}
        for (number, layer), pixels in self.pixels.items():
            found |= {f"pixels|{name}|{number}|{layer}": value for name, value in pixels._asdict().items()}
        for (number, layer), sums in self.correlations.items():
            found |= {f"correlation|{name}|{number}|{layer}": value for name, value in sums.state().items()}
        found["backlog|numbers||"] = np.array(self.backlog.numbers, np.int64)
        for way, labels in enumerate(self.labels):
            found |= {f"labels|area|{way}|": labels.label_area, f"labels|pixels|{way}|": np.array(labels.pixels)}
        return found

    def merge(self, state: Mapping[str, np.ndarray]) -> None:
        """Adds what another one has counted."""
        parts = parts_of(state)
        for (_, layer), own in parts["layer"].items():
            shape = self._shapes.setdefault(layer, tuple(own["shape"].tolist()))
            self._make(layer, shape, own["like"].dtype)
            self.top[layer].merge(parts["top"]["", layer])
        for (number, layer), own in parts["pixels"].items():
            self.pixels[int(number), layer] += Pixels(**own)
        for (number, layer), own in parts["correlation"].items():
            self.correlations[int(number), layer].merge(own)
        for (way, _), own in parts["labels"].items():
            self.labels[int(way)].label_area += own["area"]
            self.labels[int(way)].pixels += int(own["pixels"])

    def restore(self, state: Mapping[str, np.ndarray], done: int) -> None:
        """Takes the place of one that was cut off after so many batches, by its state."""
        self.merge(state)
        parts = parts_of(state)
        self.backlog.restore(parts["backlog"]["", ""]["numbers"].tolist(), done)
        for (quantile, layer), own in parts["bracket"].items():
            self.brackets[float(quantile), layer].restore(own)
        self._opened = True


def parts_of(state: Mapping[str, np.ndarray]) -> dict[str, dict[tuple[str, str], State]]:
    """The entries of a state by their kind, and by what they are of: a number or quantile, and a layer."""
    kinds = ("layer", "top", "pixels", "labels", "bracket", "correlation", "backlog")
    found: dict[str, dict[tuple[str, str], State]] = {kind: {} for kind in kinds}
    for key, value in state.items():
        kind, name, number, layer = key.split("|", 3)
        found[kind].setdefault((number, layer), {})[name] = value
    return found
