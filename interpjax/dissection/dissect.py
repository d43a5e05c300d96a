"""Dissecting a network or stored activations: thresholds, counts and the table they make."""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Int, UInt8

from interpjax.data.concepts import ConceptData
from interpjax.data.images import SkippedImages
from interpjax.dissection import passes, scoring, tally
from interpjax.dissection.protocol import Protocol, get_protocol

ActivationsFn = Callable[[UInt8[np.ndarray, "batch height width 3"]], Mapping[str, Float[Array, "batch _ _ _"]]]
ARRAYS = ("thresholds", "intersection", "unit_area", "label_area", "top_images", "top_values")
CONCEPT_COLUMNS = {"number": np.int64, "name": np.str_, "category": np.str_}


@dataclasses.dataclass(frozen=True)
class Dissection:
    """What dissection found in one layer: K units against C concepts.

    Attributes:
      concepts: ``number`` (as in label.csv), ``name``, ``category`` (primary); its rows are the columns below.
      categories: in the data's order.
      protocol: by which it was made.
      thresholds: [K] of the units, float64.
      intersection: [K, C] pixels in a unit's mask and the concept, over all images.
      unit_area: [K, C] pixels of a unit's mask in the images that count for the concept.
      label_area: [C] pixels of the concept.
      pixels: label pixels of all images.
      top_images: [K, n] numbers of the images (records of the data) on which the unit's maximum is largest.
      top_values: [K, n] those maxima, falling.
    """

    concepts: pd.DataFrame
    categories: tuple[str, ...]
    protocol: Protocol
    thresholds: Float[np.ndarray, " units"]
    intersection: Int[np.ndarray, "units concepts"]
    unit_area: Int[np.ndarray, "units concepts"]
    label_area: Int[np.ndarray, " concepts"]
    pixels: int
    top_images: Int[np.ndarray, "units top"]
    top_values: Float[np.ndarray, "units top"]

    @functools.cached_property
    def iou(self) -> Float[np.ndarray, "units concepts"]:
        """[K, C] intersection over union."""
        return tally.iou(self.intersection, self.unit_area, self.label_area)

    @property
    def category_of(self) -> Int[np.ndarray, " concepts"]:
        """The primary category of each concept, as an index into ``categories``."""
        return np.array([self.categories.index(category) for category in self.concepts["category"]])

    def best(self) -> pd.DataFrame:
        """A row per unit: ``unit`` (0-based), ``concept``, ``category`` (both empty without overlap), ``iou``."""
        column, score = scoring.best_concepts(self.iou)
        names, categories = self.concepts["name"].to_numpy(), self.concepts["category"].to_numpy()
        return pd.DataFrame(
            {
                "unit": np.arange(len(column)),
                "concept": np.where(column >= 0, names[column], ""),
                "category": np.where(column >= 0, categories[column], ""),
                "iou": score,
            }
        )

    def detected(self, threshold: float | None = None, convention: str = "best-label") -> pd.DataFrame:
        """The rows of ``concepts`` that have a detector; arguments as :meth:`unique_detectors`."""
        cut = self.protocol.detector_iou if threshold is None else threshold
        return self.concepts.iloc[
            scoring.detected_concepts(self.iou, self.category_of, threshold=cut, convention=convention)
        ]

    def unique_detectors(self, threshold: float | None = None, convention: str = "best-label") -> int:
        """Number of distinct concepts that have a detector, by a ``convention`` of :func:`scoring.detected_concepts`.

        The IoU cut ``threshold`` is by default the protocol's, 0.04.
        """
        return len(self.detected(threshold, convention))

    def ceilings(self) -> Float[np.ndarray, " concepts"]:
        """The largest IoU a unit can reach on each concept, see :func:`scoring.ceilings`."""
        return scoring.ceilings(self.label_area, self.pixels, self.protocol.top_quantile)

    def to_csv(self, path: str | Path) -> None:
        """Writes NetDissect's ``tally.csv``: a row per unit, numbered from 1, in falling order of score."""
        order = np.argsort(-self.best()["iou"].to_numpy(), kind="stable")
        self._tally_table().iloc[order].to_csv(path, index=False)

    def save(self, path: str | Path) -> None:
        """Writes everything to an ``.npz`` file that :meth:`load` reads; no part of it is a pickle."""
        arrays = {name: getattr(self, name) for name in (*ARRAYS, "iou")}
        columns = {f"concept_{name}": self.concepts[name].to_numpy(CONCEPT_COLUMNS[name]) for name in CONCEPT_COLUMNS}
        protocol = json.dumps(dataclasses.asdict(self.protocol))
        np.savez_compressed(
            path,
            pixels=self.pixels,
            categories=np.array(self.categories),
            protocol=protocol,
            **arrays,
            **columns,
        )

    @classmethod
    def load(cls, path: str | Path) -> "Dissection":
        """Reads what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(
                concepts=pd.DataFrame({name: stored[f"concept_{name}"] for name in CONCEPT_COLUMNS}),
                categories=tuple(stored["categories"].tolist()),
                protocol=Protocol(**json.loads(str(stored["protocol"]))),
                pixels=int(stored["pixels"]),
                **{name: stored[name] for name in ARRAYS},
            )

    def _tally_table(self) -> pd.DataFrame:
        best = self.best()
        table = pd.DataFrame({"unit": best["unit"] + 1, "category": best["category"]})
        table["label"], table["score"] = best["concept"], best["iou"]
        units, names = np.arange(len(best)), self.concepts["name"].to_numpy()
        for number, category in enumerate(self.categories):
            column, score = scoring.best_in_category(self.iou, self.category_of, number)
            found = column >= 0
            table[f"{category}-label"] = np.where(found, names[column], "")
            table[f"{category}-truth"] = np.where(found, self.label_area[column], 0)
            table[f"{category}-activation"] = np.where(found, self.unit_area[units, column], 0)
            table[f"{category}-intersect"] = np.where(found, self.intersection[units, column], 0)
            table[f"{category}-iou"] = score
        return table


def dissect(
    activations_fn: ActivationsFn,
    broden: ConceptData,
    *,
    layers: Sequence[str],
    protocol: Protocol | None = None,
    batch_size: int = 64,
    image_size: int | None = None,
    top_images: int = 5,
    skipped: SkippedImages | None = None,
) -> dict[str, Dissection]:
    """Dissects a network: two passes over the images, one for thresholds and one that counts.

    Args:
      activations_fn: uint8 RGB images → activation maps by layer (NHWC); it normalizes for itself.
      broden: images and labels.
      layers: names of those to dissect.
      protocol: how to threshold and count; by default ``"paper"``.
      batch_size: images at a time.
      image_size: squash images to this side first; by default they go in as they are.
      top_images: how many images to remember for each unit.
      skipped: collects unreadable images; without it they are errors.

    Returns:
      The result of each layer.

    Raises:
      ValueError: if a layer is missing in what ``activations_fn`` returns, or an activation is not finite.
      BadImageError: on an unreadable image.
    """

    def batches():
        for numbers, images in broden.batches(batch_size, image_size=image_size, skipped=skipped):
            maps = activations_fn(images)
            missing = [layer for layer in layers if layer not in maps]
            if missing:
                raise ValueError(f"layer {missing[0]!r}: activations_fn returned only {', '.join(sorted(maps))}")
            yield numbers, {layer: np.asarray(maps[layer]) for layer in layers}

    return _dissect(batches, broden, protocol or get_protocol("paper"), None, top_images)


def dissect_arrays(
    activations: Mapping[str, Float[np.ndarray, "images _ _ _"]],
    broden: ConceptData,
    *,
    images: Sequence[str],
    protocol: Protocol | None = None,
    thresholds: Mapping[str, Float[np.ndarray, " units"]] | None = None,
    top_images: int = 5,
) -> dict[str, Dissection]:
    """Dissects stored activations, of whatever framework.

    Args:
      activations: by layer, [images, h, w, units]: channels last (of PyTorch's, ``a.transpose(0, 2, 3, 1)``).
      broden: labels of the images.
      images: the name of each row, as in ``index.csv``; rows that carry no label are left out.
      protocol: how to threshold and count; by default ``"paper"``.
      thresholds: by layer, in place of the protocol's.
      top_images: how many images to remember for each unit.

    Returns:
      The result of each layer; ``top_images`` are records of ``broden``.

    Raises:
      ValueError: if a name is unknown or twice there, shapes do not fit, or an activation is not finite.
    """
    numbers = {record.name: number for number, record in enumerate(broden.records)}
    unknown = set(images) - set(numbers) - set(broden.unlabelled)
    if unknown or len(set(images)) != len(images):
        problem = f"{min(unknown)!r} is not in the data" if unknown else "a name is twice in it"
        raise ValueError(f"images: {problem} ({broden.name})")
    for layer, maps in activations.items():
        if maps.ndim != 4:
            raise ValueError(f"activations[{layer!r}] has the shape {maps.shape}; needed is [images, h, w, units]")
        if len(maps) != len(images):
            raise ValueError(f"activations[{layer!r}] has {len(maps)} rows, images has {len(images)} names")
    rows = [row for row, name in enumerate(images) if name in numbers]

    def batches():
        for row in rows:
            maps = {layer: np.asarray(stored[row : row + 1]) for layer, stored in activations.items()}
            yield np.array([numbers[images[row]]]), maps

    return _dissect(batches, broden, protocol or get_protocol("paper"), thresholds, top_images)


def _dissect(
    batches: passes.Pass,
    broden: ConceptData,
    protocol: Protocol,
    thresholds: Mapping[str, np.ndarray] | None,
    top_images: int,
) -> dict[str, Dissection]:
    categories = {name: number for number, name in enumerate(broden.categories)}
    category_of = np.array([categories[category] for category in broden.concepts["category"]])
    concepts = passes.ConceptColumns(broden.concepts["number"].to_numpy(), category_of, len(categories))
    found, top = passes.find_thresholds(batches, protocol.top_quantile, len(broden.records), top_images)
    if thresholds is not None:
        missing = set(found) - set(thresholds)
        if missing:
            raise ValueError(f"thresholds: the layer {min(missing)!r} is missing; give those of every layer")
        found = {layer: np.asarray(thresholds[layer], np.float64) for layer in found}
    labels, units = passes.count(batches, broden.records, concepts, found)
    return {
        layer: Dissection(
            concepts=broden.concepts,
            categories=broden.categories,
            protocol=protocol,
            thresholds=counts.thresholds,
            intersection=counts.intersection,
            unit_area=counts.area_by_category[:, category_of],
            label_area=labels.label_area,
            pixels=labels.pixels,
            top_images=top[layer].numbers,
            top_values=top[layer].values,
        )
        for layer, counts in units.items()
    }
