"""From IoU to numbers: best concepts, detectors, unique detectors by either official convention."""

import numpy as np
from jaxtyping import Float, Int

CONVENTIONS = ("best-label", "per-category")


def best_concepts(
    iou: Float[np.ndarray, "units concepts"],
) -> tuple[Int[np.ndarray, " units"], Float[np.ndarray, " units"]]:
    """Each unit's concept of the largest IoU (of equals the first) and that IoU; −1 and 0 where it overlaps none."""
    column = np.argmax(iou, axis=1)
    score = iou[np.arange(len(iou)), column]
    return np.where(score > 0, column, -1), score


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
      ValueError: if there is no such convention.

    References:
      Bau et al., *Network Dissection*, CVPR 2017, and its published code.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"convention = {convention!r}: choose one of {', '.join(CONVENTIONS)}")
    if convention == "best-label":
        best, score = best_concepts(iou)
        return np.unique(best[(score >= threshold) & (best >= 0)])
    found = [best_in_category(iou, category_of, category) for category in np.unique(category_of).tolist()]
    return np.unique(np.concatenate([best[score > threshold] for best, score in found]))


def ceilings(
    label_area: Int[np.ndarray, " concepts"], pixels: int, top_quantile: float
) -> Float[np.ndarray, " concepts"]:
    """The largest IoU that any unit can reach on each concept, if its mask keeps its share of the pixels.

    A unit is above its threshold on a share ``top_quantile`` of all positions, so on about as many of the
    ``pixels``; a concept that covers more of them than that is never covered whole: IoU ≤ mask / concept.
    Concepts smaller than a mask are not bounded by this (1), those that never occur cannot be detected (0). A guide,
    not a bound: upsampling makes peaks smaller and lone cells of a threshold near 0 larger, up to several times.

    Args:
      label_area: pixels of each concept.
      pixels: of all images.
      top_quantile: of the thresholds.
    """
    bound = np.minimum(1.0, top_quantile * pixels / np.maximum(label_area, 1))
    return np.where(label_area > 0, bound, 0.0)
