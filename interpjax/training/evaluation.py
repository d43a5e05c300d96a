"""Evaluates a network on images that it was not trained on."""

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import UInt8

from interpjax import parallel, processes
from interpjax.data.images import SkippedImages
from interpjax.data.pipeline import PipelineSettings, test_batches
from interpjax.data.splits import Split
from interpjax.errors import UserError

SAMPLE = 64  # images, no more, for the maps of all layers of a deep network take much memory
AHEAD = 4  # batches that may be on their way to the devices before the sums of the first are read


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """The scores of a network on a split, and the names of the unreadable images that were left out of them."""

    scores: dict[str, float]
    skipped: tuple[str, ...]


def evaluate(
    eval_step: Callable,
    variables: Any,
    split: Split,
    pipeline: PipelineSettings,
    skipped: SkippedImages,
    name: str = "test",
) -> Evaluated:
    """Accuracy, top-5 accuracy and mean cross-entropy over every readable image of a split.

    Args:
      eval_step: the function that :func:`make_eval_step` returns.
      variables: the network's variables, replicated over the devices.
      split: the examples.
      pipeline: the settings by which they become batches.
      skipped: collects the unreadable images, if these are to be skipped.
      name: the name of the split, ``"test"`` or ``"validation"``, for the error message.

    Raises:
      UserError: if no image could be read.
    """
    sums: dict[str, float] = {}
    waiting: collections.deque[Any] = collections.deque()
    for batch in test_batches(split, pipeline, skipped, shard=parallel.shard()):
        waiting.append(eval_step(variables, parallel.put_batch(batch)))
        if len(waiting) > AHEAD:
            _add(sums, waiting.popleft())
    for parts in waiting:
        _add(sums, parts)
    skipped.names.update(processes.union(skipped.names))
    if not sums.get("count"):
        raise UserError(f"config.data.{name}: none of its {len(split)} images could be read; expected at least one")
    scores = {
        "accuracy": sums["correct"] / sums["count"],
        "top5": sums["correct_top5"] / sums["count"],
        "cross_entropy": sums["loss"] / sums["count"],
    }
    return Evaluated(scores, skipped.sorted())


def sample_images(split: Split, pipeline: PipelineSettings) -> UInt8[np.ndarray, "n h w 3"]:
    """The readable images among a split's first batch, at most :data:`SAMPLE`; the same in every process."""
    batch = next(iter(test_batches(split, pipeline, SkippedImages(), shard=(0, 1))))
    return batch["image"][batch["mask"] > 0][:SAMPLE]


def _add(sums: dict[str, float], parts: Any) -> None:
    for name, value in parallel.first(parts).items():
        sums[name] = sums.get(name, 0.0) + float(value)
