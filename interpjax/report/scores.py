"""The numbers of a run's summary that come from its dissection."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from interpjax.dissection import Chance, Dissection, bootstrap_all
from interpjax.dissection.chance import calibrated, interval


def score(results: Mapping[str, Dissection]) -> dict[str, Any]:
    """Scores of all layers together, of each layer, and of each concept.

    Returns:
      ``layers`` (of each: ``units``, ``detectors``, ``unique_detectors``, ``by_category``, …, and ``groups``
      where it was dissected by groups),
      ``interpretability_score`` (unique detectors summed over layers), ``rud`` (that per filter), ``concepts``
      (with ``share`` of the pixels, ``ceiling`` and ``best_iou`` by layer) and ``protocol``.
    """
    layers = {name: _layer(result) for name, result in results.items()}
    protocol = next(iter(results.values())).protocol
    total = sum(layer["unique_detectors"] for layer in layers.values())
    return {
        "layers": layers,
        "interpretability_score": total,
        "rud": total / sum(layer["units"] for layer in layers.values()),
        "concepts": _concepts(results),
        "protocol": dataclasses.asdict(protocol) | {"description": protocol.describe()},
    }


def score_with_intervals(results: Mapping[str, Dissection]) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """What :func:`score` gives, with 95 % intervals over images where every layer has kept its counts by image.

    Returns:
      The scores, with ``interpretability_score_interval`` and of each layer ``unique_detectors_interval``, each as
      ``[low, high]``; and of each layer what :meth:`Dissection.bootstrap` gives. Without counts by image these are left
      out, and there is no table.
    """
    found = score(results)
    if any(result.images is None for result in results.values()):
        return found, {}
    intervals, tables = bootstrap_all(results)
    bounds = {row.statistic: [float(row.low), float(row.high)] for row in intervals.itertuples()}
    for layer, own in found["layers"].items():
        own["unique_detectors_interval"] = bounds[f"{layer}/unique_detectors"]
    return found | {"interpretability_score_interval": bounds["interpretability_score"]}, tables


def final_scores(summary: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a run's summary by which runs are compared.

    Args:
      summary: of the stages that are done.

    Returns:
      ``final/accuracy``, and likewise ``validation_accuracy``, ``interpretability_score``, ``rud`` and
      ``unique_detectors/LAYER``; what no stage has found is not among them. The metrics of training have an
      ``accuracy`` too, that of its batches.
    """
    names = ("accuracy", "validation_accuracy", "interpretability_score", "rud")
    found = {name: summary[name] for name in names if name in summary}
    found |= {f"unique_detectors/{name}": own["unique_detectors"] for name, own in summary.get("layers", {}).items()}
    return {f"final/{name}": float(value) for name, value in found.items()}


def beside_chance(results: Mapping[str, Dissection], chances: Mapping[str, Chance]) -> dict[str, Any]:
    """The score of some layers by chance, and what the dissection has above it.

    Args:
      results: of each layer.
      chances: of one kind and with as many draws, of each layer.

    Returns:
      ``draws``, the ``interpretability_score`` in their mean, ``low`` and ``high`` of most of them, and ``layers``: of
      each the same of its ``unique_detectors``, and its ``calibrated_detectors`` and ``calibrated_unique_detectors``.
    """
    totals = np.sum([chance.unique_detectors for chance in chances.values()], axis=0)
    low, high = interval(totals)
    return {
        "draws": len(totals),
        "interpretability_score": float(totals.mean()),
        "low": low,
        "high": high,
        "layers": {layer: _layer_beside_chance(results[layer], chance) for layer, chance in chances.items()},
    }


def _layer_beside_chance(result: Dissection, chance: Chance) -> dict[str, Any]:
    low, high = chance.interval()
    return {
        "unique_detectors": chance.mean,
        "low": low,
        "high": high,
        "calibrated_detectors": calibrated(result, chance),
        "calibrated_unique_detectors": calibrated(result, chance, unique=True),
    }


def _layer(result: Dissection) -> dict[str, Any]:
    groups = {"groups": result.groups.summary()} if result.groups else {}
    return {
        "units": len(result.thresholds),
        "detectors": int((result.best()["iou"] >= result.protocol.detector_iou).sum()),
        "unique_detectors": result.unique_detectors(),
        "by_category": result.by_category(),
        "unique_detectors_per_category": result.unique_detectors(convention="per-category"),
        "zero_threshold_units": len(result.silent_units()),
        **groups,
    }


def _concepts(results: Mapping[str, Dissection]) -> list[dict[str, Any]]:
    first = next(iter(results.values()))
    shares = first.label_area / first.pixels
    ceilings = np.max([result.ceilings() for result in results.values()], axis=0)
    best = {layer: np.max(result.iou, axis=0) for layer, result in results.items()}
    return [
        {
            "number": int(concept["number"]),
            "name": concept["name"],
            "category": concept["category"],
            "share": float(shares[row]),
            "ceiling": float(ceilings[row]),
            "best_iou": {layer: float(values[row]) for layer, values in best.items()},
        }
        for row, concept in enumerate(first.concepts.to_dict("records"))
    ]
