"""What each unit of a layer looks at: the images it is most active on and some it is less, its masks, the labels."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from interpjax import json_files
from interpjax.atomic import write_atomic
from interpjax.dissection import Dissection
from interpjax.dissection.scoring import best_concepts
from interpjax.visualization import thumbnails
from interpjax.visualization.masks import counted_mask, label_mask
from interpjax.visualization.outlines import outline
from interpjax.visualization.sights import Sight, Sights

SAMPLE = 256  # images drawn at random, of which weaker ones and the histogram are
SEED = 0
LOWER = (0.95, 0.75, 0.5)  # weaker images: where the unit is as active as on the image of this rank of the sample
OVERLAP = 3  # images on which a unit's mask and its concept share most pixels
BINS = 32
FORMAT = 2  # of what is stored; another one is made anew
AGAIN = "remove stages/visualize.json in the workdir, and run the stage visualize again"


@dataclasses.dataclass(frozen=True, eq=False)
class LayerViews:
    """What K units look at, on n images each.

    First come the ``top`` images on which a unit is most active, then one of a random sample for each of ``LOWER``,
    then up to ``OVERLAP`` on which its mask shares most pixels with its best concept, where counts by image were kept.

    Attributes:
      images: [K, n] records; −1 for none.
      values: [K, n] the unit's maximum on each.
      top: how many of the n are those on which it is most active.
      masks: [K][n] outline of the unit's mask, an SVG path in a square of side ``BOX``; empty where there is none.
      labels: [K][n] the same of the label of the unit's best concept.
      annotated: [K, n] whether the image carries labels of that concept's category at all; others do not count.
      counts: [K, bins] how many activations of the sample are in each of equal bins, over all positions.
      low: [K] where the first bin begins.
      high: [K] where the last one ends.
      sample: how many images the sample has.
    """

    images: Int[np.ndarray, "units shown"]
    values: Float[np.ndarray, "units shown"]
    top: int
    masks: list[list[str]]
    labels: list[list[str]]
    annotated: Bool[np.ndarray, "units shown"]
    counts: Int[np.ndarray, "units bins"]
    low: Float[np.ndarray, " units"]
    high: Float[np.ndarray, " units"]
    sample: int

    def to_json(self) -> dict[str, Any]:
        """All of it, for :meth:`from_json`."""
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "LayerViews":
        """What :meth:`to_json` gave."""
        arrays = {name: np.asarray(stored[name]) for name in ("images", "values", "annotated", "counts", "low", "high")}
        return cls(**{**stored, **arrays})


class Views(NamedTuple):
    """What the units of some layers look at.

    Attributes:
      layers: by name.
      names: of all images that any unit is shown with, by record.
      pictures: of the same, WebP files.
    """

    layers: dict[str, LayerViews]
    names: dict[int, str]
    pictures: dict[int, bytes]

    def save(self, folder: Path) -> None:
        """Writes ``views.json``, and ``pictures.npz`` with the bytes of each WebP file."""
        thumbnails.save(folder / "pictures.npz", self.pictures)
        stored = {"names": self.names, "layers": {layer: own.to_json() for layer, own in self.layers.items()}}
        write_atomic(folder / "views.json", json_files.to_text(stored) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Views":
        """Reads what :meth:`save` wrote.

        Raises:
          UserError: if it is damaged.
        """
        stored = json_files.read(folder / "views.json", AGAIN, keys=("names", "layers"))
        names = {int(number): name for number, name in stored["names"].items()}
        pictures = thumbnails.load(folder / "pictures.npz", names, AGAIN)
        return cls({layer: LayerViews.from_json(own) for layer, own in stored["layers"].items()}, names, pictures)


class Sample(NamedTuple):
    """A layer's maps on a random sample of images; ``counts`` are those of the images that were added so far."""

    numbers: Int[np.ndarray, " images"]
    maxima: Float[np.ndarray, "images units"]
    counts: Int[np.ndarray, "units bins"]
    low: Float[np.ndarray, " units"]
    high: Float[np.ndarray, " units"]

    def add(self, sight: Sight, maps: Float[np.ndarray, "h w units"]) -> None:
        """Counts the activations of an image in the bins; nothing of one that is not in the sample."""
        if sight.number in self.numbers:
            place = (maps - self.low) / (self.high - self.low) * BINS
            columns = np.clip(place.astype(np.int64), 0, BINS - 1) + BINS * np.arange(len(self.low))
            self.counts[...] += np.bincount(columns.ravel(), minlength=self.counts.size).reshape(-1, BINS)


def view(sights: Sights, results: Mapping[str, Dissection]) -> Views:
    """Looks at images with all units of some layers.

    Args:
      sights: of the network that was dissected, on the same data.
      results: by layer.

    Returns:
      What each unit looks at, and the images.
    """
    samples = draw_samples(sights, results)
    images = {
        layer: np.concatenate([chosen(result, samples[layer]), _overlapping(result)], axis=1)
        for layer, result in results.items()
    }
    shown = {layer: _Shown(result, images[layer]) for layer, result in results.items()}
    names, pictures = {}, {}
    wanted = {int(number) for own in images.values() for number in own.ravel() if number >= 0}
    for sight in sights.of(np.array(sorted(wanted.union(*(sample.numbers.tolist() for sample in samples.values()))))):
        for layer, sample in samples.items():
            sample.add(sight, sight.maps[layer])
        if sight.number in wanted:
            names[sight.number], pictures[sight.number] = sight.record.name, thumbnails.picture(sight.image)
            for layer, own in shown.items():
                own.add(sight, sight.maps[layer])
    layers = {}
    for layer, own in shown.items():
        sample = samples[layer]
        layers[layer] = LayerViews(
            images=images[layer],
            values=own.values,
            top=results[layer].top_images.shape[1],
            masks=own.masks,
            labels=own.labels,
            annotated=own.annotated,
            counts=sample.counts,
            low=sample.low,
            high=sample.high,
            sample=len(sample.numbers),
        )
    return Views(layers, names, pictures)


class _Shown:
    """Collects what the units of a layer see on the images that they are shown with."""

    def __init__(self, result: Dissection, images: Int[np.ndarray, "units shown"]):
        self._result = result
        self._numbers = result.concepts["number"].to_numpy()
        self._categories = result.concepts["category"].tolist()
        self._concept, _ = best_concepts(result.iou)
        self._images = images
        self.values = np.zeros(images.shape)
        self.masks = [[""] * images.shape[1] for _ in images]
        self.labels = [[""] * images.shape[1] for _ in images]
        self.annotated = np.zeros(images.shape, bool)

    def add(self, sight: Sight, maps: Float[np.ndarray, "h w units"]) -> None:
        label_shape = sight.record.label_shape
        own_labels: dict[int, str] = {}
        for unit, place in np.argwhere(self._images == sight.number):
            activation = maps[..., unit]
            mask = counted_mask(activation, self._result, int(unit), label_shape, sight.input_shape)
            self.values[unit, place] = activation.max()
            self.masks[unit][place] = outline(mask)
            concept = int(self._concept[unit])
            if concept >= 0:
                if concept not in own_labels:
                    own_labels[concept] = outline(label_mask(sight.labels, label_shape, int(self._numbers[concept])))
                self.labels[unit][place] = own_labels[concept]
                self.annotated[unit, place] = self._categories[concept] in sight.labels


def draw_samples(sights: Sights, results: Mapping[str, Dissection]) -> dict[str, Sample]:
    """A random sample of images, with the range of each unit's activations; these are still to be counted."""
    drawn = np.sort(np.random.default_rng(SEED).permutation(sights.numbers())[:SAMPLE])
    seen: list[int] = []
    maxima: dict[str, list[np.ndarray]] = {layer: [] for layer in results}
    minima: dict[str, list[np.ndarray]] = {layer: [] for layer in results}
    for sight in sights.of(drawn):
        seen.append(sight.number)
        for layer in results:
            maxima[layer].append(sight.maps[layer].max(axis=(0, 1)).astype(np.float64))
            minima[layer].append(sight.maps[layer].min(axis=(0, 1)).astype(np.float64))
    samples = {}
    for layer, result in results.items():
        highest, low = np.stack(maxima[layer]), np.min(minima[layer], axis=0)
        high = np.maximum(highest.max(axis=0), result.thresholds)
        high = np.where(high > low, high, low + 1)  # of a unit whose maps are constant
        samples[layer] = Sample(np.array(seen), highest, np.zeros((len(low), BINS), np.int64), low, high)
    return samples


def chosen(result: Dissection, sample: Sample) -> Int[np.ndarray, "units shown"]:
    """The images of each unit: its top images, then those of the sample where it is weaker."""
    order = np.argsort(sample.maxima, axis=0, kind="stable")
    ranks = [min(int(share * len(order)), len(order) - 1) for share in LOWER]
    return np.concatenate([result.top_images, sample.numbers[order[ranks].T]], axis=1)


def _overlapping(result: Dissection) -> Int[np.ndarray, "units overlap"]:
    """The images on which each unit's mask shares most pixels with its best concept; −1 where there are no more."""
    if result.images is None:
        return np.zeros((len(result.thresholds), 0), int)
    found = np.full((len(result.thresholds), OVERLAP), -1)
    best, _ = best_concepts(result.iou)
    shared = result.images.intersection.tocsc()
    for unit, column in enumerate(best):
        own = shared[:, [unit * len(result.concepts) + column]].tocoo() if column >= 0 else None
        if own is not None:
            rows = own.row[np.argsort(-own.data.astype(np.int64), kind="stable")][:OVERLAP]
            found[unit, : len(rows)] = result.images.numbers[rows]
    return found


def concepts_of(result: Dissection, unit: int, most: int = 3) -> Sequence[tuple[int, float]]:
    """The concepts that come behind a unit's best one: their columns and IoUs, falling; those without overlap not."""
    order = np.argsort(-result.iou[unit], kind="stable")[1 : most + 1]
    return [(int(column), float(result.iou[unit, column])) for column in order if result.iou[unit, column] > 0]
