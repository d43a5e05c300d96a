"""Workdirs of runs that never were, with results that are easily told."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

import interpjax
from interpjax.config import override, to_json
from interpjax.dissection import Dissection, GroupResult
from interpjax.dissection.images import ImageCounts
from interpjax.dissection.protocol import get_protocol
from interpjax.report import scores

CONCEPTS = (("red-c", "color"), ("grass", "object"), ("dog", "object"), ("<script>alert(1)</script>", "object"))
CATEGORIES = ("color", "object")
IMAGES, PIXELS = 10, 20  # of each concept in each image


def dissected(detects, *, images=True, groups=False, concepts=CONCEPTS, protocol="paper") -> Dissection:
    """Unit k has half of the pixels of concept ``detects[k]`` in its mask, so that its IoU is 0.5; −1: none."""
    columns, units, count = len(concepts), len(detects), len(concepts)
    table = pd.DataFrame(
        {"number": np.arange(count) + 1, **dict(zip(("name", "category"), zip(*concepts, strict=True), strict=True))}
    )
    category_of = np.array([CATEGORIES.index(category) for _, category in concepts])
    intersection = np.zeros((units, columns), int)
    for unit, concept in enumerate(detects):
        if concept >= 0:
            intersection[unit, concept] = PIXELS // 2
    area = np.repeat(intersection.max(axis=1)[:, None], len(CATEGORIES), axis=1)
    label_area = np.full(columns, PIXELS)
    counts = ImageCounts(
        numbers=np.arange(IMAGES),
        pixels=np.full(IMAGES, 200),
        intersection=sparse.csr_array(np.tile(intersection.ravel(), (IMAGES, 1))),
        unit_area=sparse.csr_array(np.tile(area.ravel(), (IMAGES, 1))),
        label_area=sparse.csr_array(np.tile(label_area, (IMAGES, 1))),
        category_of=category_of,
    )
    sums = counts.totals()
    result = Dissection(
        concepts=table,
        categories=CATEGORIES,
        protocol=get_protocol(protocol),
        thresholds=np.ones(units),
        intersection=sums[0],
        unit_area=sums[1],
        label_area=sums[2],
        pixels=200 * IMAGES,
        top_images=np.zeros((units, 0), int),
        top_values=np.zeros((units, 0)),
        images=counts if images else None,
        groups=_groups(detects, table, sums) if groups else None,
    )
    assert (result.best()["iou"] == np.where(np.array(detects) >= 0, 0.5, 0)).all()
    return result


def _groups(detects, table, sums) -> GroupResult:
    """Two groups, of the first and the second half of the units."""
    halves = np.arange(len(detects)) * 2 // len(detects)
    return GroupResult(
        concepts=table,
        detector_iou=0.04,
        detects=np.array(detects),
        group_of=halves,
        intersection=np.stack([sums[0][halves == group].max(axis=0) for group in range(2)]),
        unit_area=np.stack([sums[1][halves == group].max(axis=0) for group in range(2)]),
        label_area=sums[2],
        random_of=np.stack([np.roll(halves, shift) for shift in range(3)]),
        random_iou=np.full((3, 2), 0.25),
        relevance=np.array([4.0, 1.0]),
    )


def write_run(folder: Path, layers, *, accuracy=0.9, facts=None, name="two_figures_gbn", **fields) -> Path:
    """A workdir with the dissections of some layers; ``__`` stands for the dots of a field."""
    given = {key.replace("__", "."): value for key, value in fields.items()}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(to_json(override(interpjax.get_config(name), given)))
    tested = {"class_names": ["a", "b"], "test_images by name, order, label and size": "sha256:1"}
    (folder / "data.json").write_text(json.dumps(tested | (facts or {})))
    summary = {"accuracy": accuracy, "top5": 1.0} if accuracy is not None else {}
    (folder / "summary.json").write_text(json.dumps(summary | scores.score(layers)))
    for layer, result in layers.items():
        (folder / "dissection" / layer).mkdir(parents=True)
        result.save(folder / "dissection" / layer / "iou.npz")
    return folder
