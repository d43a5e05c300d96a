"""Labels shuffled between images: which concepts the masks of a layer's units match by chance.

The masks stay where they are, and each image gets, category by category, the labels of another one that is annotated in
the category. So each concept keeps its pixels and their shapes, each unit its mask, and only what the two have to do
with each other is lost.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt64

from interpjax.dissection import scoring, tally
from interpjax.dissection.arguments import check_whole
from interpjax.dissection.category_labels import CategoryLabels, collect_labels
from interpjax.dissection.labels import ConceptColumns
from interpjax.dissection.masks import MaskedBatch
from interpjax.dissection.protocol import Protocol
from interpjax.errors import UserError

SUMS_BYTES = 2**28  # for the sums of the draws that are counted together


class LabelDraws(NamedTuple):
    """What chance gave in each draw.

    Attributes:
      unique_detectors: by the best label of each unit, see :func:`interpjax.dissection.scoring.detected_concepts`.
      best_iou: the largest IoU that any unit has with each concept.
    """

    unique_detectors: Int[np.ndarray, " draws"]
    best_iou: Float[np.ndarray, "draws concepts"]


def label_draws(
    batches: Iterable[MaskedBatch],
    layer: str,
    *,
    units: int,
    concepts: ConceptColumns,
    protocol: Protocol,
    draws: int,
    seed: int = 0,
) -> LabelDraws:
    """Gives the images each other's labels, again and again, and counts a layer's units against them.

    In each draw and each category the images that are annotated in it are permuted at random among those with label
    maps of the same shape, and the masks on image i meet the labels of the category on image π(i). How many images are
    annotated, and so the area of every concept, stays as it is; that of the units' masks does too, but for protocols
    that count it where the mask touches a label (``unit_area="touched"``), for which it is counted anew. The
    permutations depend on the seed, the draw and the category alone, so the layers of a network meet the same ones.

    Args:
      batches: the masks of all images; gone through several times, so an iterator will not do.
      layer: whose masks are counted.
      units: how many units it has.
      concepts: the columns of the labels.
      protocol: by which the masks were made; it says whose pixels count and what a detector is.
      draws: how many times labels are shuffled.
      seed: of the draws; draw n is the same however many there are.

    Raises:
      ValueError: if ``batches`` can be gone through only once, has no image or one twice, or a number is not as
        expected.
      UserError: if no two images with label maps of one shape are annotated in the same category.
    """
    draws, seed = check_whole("draws", draws, 1), check_whole("seed", seed, 0)
    if isinstance(batches, Iterator):
        raise ValueError("batches: an iterator, which is used up after one pass; expected a list, or the like of it")
    labels = collect_labels(batches, concepts)
    if not any(len(members) > 1 for own in labels for members in own.alike):
        raise UserError(
            "labels cannot be shuffled: no two images with label maps of one shape are annotated in the same category"
        )
    found = []
    block = max(1, SUMS_BYTES // (8 * units * len(concepts.numbers)))
    for first in range(0, draws, block):
        partners = [draw_partners(labels, seed, draw) for draw in range(first, min(first + block, draws))]
        for own in _count(batches, layer, units, labels, partners, protocol):
            found.append(own.scores(labels, concepts, protocol.detector_iou))
    return LabelDraws(np.array([number for number, _ in found]), np.stack([best for _, best in found]))


def draw_partners(labels: Sequence[CategoryLabels], seed: int, draw: int) -> list[Int[np.ndarray, " _"]]:
    """For each category and each image annotated in it, the place of the image whose labels it gets in a draw."""
    partners = []
    for category, own in enumerate(labels):
        random, partner = np.random.default_rng([seed, draw, category]), np.arange(len(own.numbers))
        for members in own.alike:
            partner[members] = random.permutation(members)
        partners.append(partner)
    return partners


def _count(
    batches: Iterable[MaskedBatch],
    layer: str,
    units: int,
    labels: Sequence[CategoryLabels],
    partners: Sequence[Sequence[np.ndarray]],
    protocol: Protocol,
) -> list["_Sums"]:
    """The sums of draws, given by their partners; each draw is added up in one thread."""
    sums = [_Sums(units, labels) for _ in partners]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for batch in batches:
            meetings = _meetings(batch, layer, units, labels, protocol.unit_area)
            list(threads.map(lambda own, draw, met=meetings: own.add(met, labels, draw), sums, partners))
    return sums


class _Meeting(NamedTuple):
    """The masks on the images of a batch that are annotated in a category; the first fields have one entry a record.

    Attributes:
      image: place of the image in the batch.
      place: its place among the images annotated in the category.
      tile: number of the tile.
      unit: number of the unit.
      words: pixels of the tile that are in the mask.
      area: [images of the batch, units] pixels of the masks on the images that count for the category.
      only_touched: whether of these pixels only those count on images where the mask touches a label of it.
    """

    image: Int[np.ndarray, " records"]
    place: Int[np.ndarray, " records"]
    tile: Int[np.ndarray, " records"]
    unit: Int[np.ndarray, " records"]
    words: UInt64[np.ndarray, " records"]
    area: Int[np.ndarray, "images units"]
    only_touched: bool


class _Sums:
    """Pixels of one draw: of masks and concepts in common, and of masks in the images that count for a category."""

    def __init__(self, units: int, labels: Sequence[CategoryLabels]):
        self.shared = [np.zeros((units, len(own.columns)), np.int64) for own in labels]
        self.area = [np.zeros(units, np.int64) for _ in labels]

    def add(
        self,
        meetings: Sequence[_Meeting],
        labels: Sequence[CategoryLabels],
        partners: Sequence[np.ndarray],
    ) -> None:
        """Counts a batch against the labels of the images' partners."""
        for category, (masks, own, partner) in enumerate(zip(meetings, labels, partners, strict=True)):
            record, column, shared = _meet(masks, own, partner)
            cell = masks.unit.take(record) * len(own.columns) + column
            np.add.at(self.shared[category].reshape(-1), cell, shared)
            area = masks.area
            if masks.only_touched:
                touched, record = np.zeros(area.shape, bool), record[shared > 0]
                touched[masks.image.take(record), masks.unit.take(record)] = True
                area = area * touched
            self.area[category] += area.sum(axis=0)

    def scores(self, labels: Sequence[CategoryLabels], concepts: ConceptColumns, cut: float) -> tuple[int, np.ndarray]:
        """Unique detectors, and the best IoU over units of each concept."""
        iou = np.zeros((len(self.area[0]), len(concepts.numbers)))
        for own, shared, area in zip(labels, self.shared, self.area, strict=True):
            iou[:, own.columns] = tally.iou(shared, np.repeat(area[:, None], len(own.columns), axis=1), own.area)
        return len(scoring.detected_concepts(iou, concepts.category_of, threshold=cut)), iou.max(axis=0)


def _meetings(
    batch: MaskedBatch, layer: str, units: int, labels: Sequence[CategoryLabels], unit_area: str
) -> list[_Meeting]:
    """The masks of a batch, by category; ``unit_area`` as of the protocol."""
    masks = batch.masks[layer]
    image, unit, tile = (part.astype(np.int64) for part in (masks.image, masks.unit, masks.tile))  # NumPy's own indices
    words = np.ascontiguousarray(masks.words).view(np.uint64)[:, 0]
    pixels = np.bincount(image * units + unit, np.bitwise_count(words), minlength=len(batch.numbers) * units)
    area, found = pixels.astype(np.int64).reshape(-1, units), []
    for own in labels:
        place = own.places(batch.numbers)
        annotated = place >= 0
        chosen = np.flatnonzero(annotated[image])
        counted = area if unit_area == "all" else area * annotated[:, None]
        records = (image[chosen], place[image[chosen]], tile[chosen], unit[chosen], words[chosen])
        found.append(_Meeting(*records, counted, unit_area == "touched"))
    return found


def _meet(
    masks: _Meeting, labels: CategoryLabels, partner: Int[np.ndarray, " images"]
) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Each record with each concept in the tile that it meets: number of the record, the concept, pixels in common."""
    slot = labels.first[partner].take(masks.place) + masks.tile
    begin = labels.start.take(slot)
    times = labels.start.take(slot + 1) - begin
    record = np.repeat(np.arange(len(slot)), times)
    entry = np.arange(len(record)) + (begin - (np.cumsum(times) - times)).take(record)
    shared = np.bitwise_count(masks.words.take(record) & labels.words.take(entry))
    return record, labels.column.take(entry).astype(np.int64), shared.astype(np.int64)
