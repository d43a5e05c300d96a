"""From IoU to numbers: best concepts, detectors, unique detectors by either official convention."""

import math
import numbers

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

CONVENTIONS = ("best-label", "per-category")
OVERLAPS = ("f1", "precision", "recall")


def best_concepts(
    iou: Float[np.ndarray, "units concepts"],
) -> tuple[Int[np.ndarray, " units"], Float[np.ndarray, " units"]]:
    """Each unit's concept of the largest IoU (of equals the first) and that IoU; −1 and 0 where it overlaps none."""
    column = np.argmax(iou, axis=1)
    score = iou[np.arange(len(iou)), column]
    return np.where(score > 0, column, -1), score


def best_table(iou: Float[np.ndarray, "units concepts"], concepts: pd.DataFrame, of: str = "unit") -> pd.DataFrame:
    """A row per unit: its number from 0, its best ``concept`` and ``category`` (both empty without overlap), ``iou``.

    Args:
      iou: of the units, or of groups of them.
      concepts: ``name`` and ``category`` of each column.
      of: the name of the column of numbers.
    """
    column, score = best_concepts(iou)
    table = pd.DataFrame({of: np.arange(len(column))})
    for field, name in (("concept", "name"), ("category", "category")):
        table[field] = np.where(column >= 0, concepts[name].to_numpy()[column], "")
    return table.assign(iou=score)


def best_in_category(
    iou: Float[np.ndarray, "units concepts"], category_of: Int[np.ndarray, " concepts"], category: int
) -> tuple[Int[np.ndarray, " units"], Float[np.ndarray, " units"]]:
    """As :func:`best_concepts`, among the concepts whose primary category this is."""
    columns = np.flatnonzero(category_of == category)
    if not columns.size:
        return np.full(len(iou), -1), np.zeros(len(iou))
    best, score = best_concepts(iou[:, columns])
    return np.where(best >= 0, columns[best], -1), score


def detected_concepts(
    iou: Float[np.ndarray, "units concepts"],
    category_of: Int[np.ndarray, " concepts"],
    *,
    threshold: float,
    convention: str = "best-label",
) -> Int[np.ndarray, " detected"]:
    """The distinct concepts that have a detector, as columns.

    Args:
      iou: of one layer.
      category_of: the primary category of each concept.
      threshold: the IoU cut, 0.04 in the publications.
      convention: ``"best-label"``: a unit detects its best concept, at IoU ≥ threshold (the published HTML
        report); ``"per-category"``: it detects its best concept of every category, at IoU > threshold (the
        paper's figures).

    Raises:
      ValueError: if there is no such convention, or the threshold is no number.

    References:
      Bau et al., *Network Dissection*, CVPR 2017, and its published code.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"convention = {convention!r}: choose one of {', '.join(CONVENTIONS)}")
    if isinstance(threshold, bool) or not isinstance(threshold, numbers.Real) or math.isnan(threshold):
        raise ValueError(f"threshold = {threshold!r}: expected a number, the IoU from which a unit is a detector")
    if convention == "best-label":
        best, score = best_concepts(iou)
        return np.unique(best[(score >= threshold) & (best >= 0)])
    found = [best_in_category(iou, category_of, category) for category in np.unique(category_of).tolist()]
    return np.unique(np.concatenate([best[score > threshold] for best, score in found]))


def ceilings(
    unit_area: Int[np.ndarray, "units concepts"], label_area: Int[np.ndarray, " concepts"]
) -> Float[np.ndarray, " concepts"]:
    """The largest IoU that any unit could reach on each concept, had it the same pixels as far as their numbers allow.

    Pixels in common are at most those of the smaller of the two, so IoU ≤ min(mask, concept) / max(mask, concept);
    with masks of half a percent of the pixels, a concept that covers a share p of them stays below about 0.005/p.

    Args:
      unit_area: pixels of each unit's mask, in the images that count for each concept.
      label_area: pixels of each concept; 0 where it never occurs, which has the ceiling 0.
    """
    smaller, larger = np.minimum(unit_area, label_area), np.maximum(unit_area, label_area)
    return np.divide(smaller, larger, out=np.zeros(larger.shape), where=larger > 0).max(axis=0, initial=0)


def overlap(
    name: str,
    intersection: Int[np.ndarray, "units concepts"],
    unit_area: Int[np.ndarray, "units concepts"],
    label_area: Int[np.ndarray, " concepts"],
) -> Float[np.ndarray, "units concepts"]:
    r"""A measure of the pixels that masks and concepts share, 0 where its denominator is.

    With I, A and L the pixels of both, of the mask (those that count for the concept) and of the concept:

    .. math:: \mathrm{precision} = I / A, \quad \mathrm{recall} = I / L, \quad F_1 = 2 I / (A + L)

    Args:
      name: one of ``OVERLAPS``.
      intersection: I.
      unit_area: A.
      label_area: L.
    """
    label_area = np.broadcast_to(label_area, unit_area.shape)
    numerator, denominator = {
        "f1": (2 * intersection, unit_area + label_area),
        "precision": (intersection, unit_area),
        "recall": (intersection, label_area),
    }[name]
    return np.divide(numerator, denominator, out=np.zeros(denominator.shape), where=denominator > 0)
