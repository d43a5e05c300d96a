"""Evaluates a network on images that it was not trained on."""

import collections
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8

from interpjax import parallel, processes
from interpjax.data.images import SkippedImages
from interpjax.data.pipeline import PipelineSettings, test_batches
from interpjax.data.splits import Split
from interpjax.errors import UserError
from interpjax.training.diagnostics import as_metrics
from interpjax.training.step import EvalStep

PREFIXES = {"test": "eval", "validation": "validation"}  # of the metrics of each split
SAMPLE = 64  # images, no more, for the maps of all layers of a deep network take much memory
AHEAD = 4  # batches that may be on their way to the devices before the sums of the first are read


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """The scores of a network on a split, and the names of the unreadable images that were left out of them."""

    scores: dict[str, float]
    skipped: tuple[str, ...]


def evaluate(
    eval_step: EvalStep,
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


class Evaluations:
    """The evaluations of one training run: on the test images, and on those that are held out if there are some.

    Attributes:
      found: the latest, for ``"test"`` and ``"validation"``; empty before the first.
    """

    def __init__(
        self,
        eval_step: EvalStep,
        splits: Mapping[str, Split],
        pipeline: PipelineSettings,
        of_maps: Callable[[Any, Any], Any],
    ):
        """Reads nothing yet.

        Args:
          eval_step: as of :func:`evaluate`.
          splits: the examples for ``"test"``, and for ``"validation"`` if some are held out.
          pipeline: the settings by which they become batches.
          of_maps: measures the maps of a replicated network on some images, on the first device.
        """
        self.found: dict[str, Evaluated] = {}
        self._eval_step, self._splits, self._pipeline = eval_step, splits, pipeline
        self._skipped = {name: SkippedImages() for name in splits}
        self._of_maps = of_maps
        self._sample: Any = None

    def read_sample(self) -> None:
        """Puts the sample of the test images on the first device, which is to be done before the first evaluation."""
        self._sample = jax.device_put(sample_images(self._splits["test"], self._pipeline))

    def evaluate(self, variables: Any) -> dict[str, float]:
        """Evaluates a replicated network, once the sample is read.

        Returns:
          The metrics: the scores as ``eval/NAME`` and ``validation/NAME``, and what was measured of the maps.

        Raises:
          UserError: as :func:`evaluate`.
        """
        metrics: dict[str, float] = {}
        for name, split in self._splits.items():
            found = evaluate(self._eval_step, variables, split, self._pipeline, self._skipped[name], name)
            self.found[name] = found
            metrics |= {f"{PREFIXES[name]}/{score}": value for score, value in found.scores.items()}
        return metrics | as_metrics(self._of_maps(variables, self._sample))


def sample_images(split: Split, pipeline: PipelineSettings) -> UInt8[np.ndarray, "n h w 3"]:
    """The readable images among a split's first batch, at most :data:`SAMPLE`; the same in every process."""
    batch = next(iter(test_batches(split, pipeline, SkippedImages(), shard=(0, 1))))
    return batch["image"][batch["mask"] > 0][:SAMPLE]


def _add(sums: dict[str, float], parts: Any) -> None:
    for name, value in parallel.first(parts).items():
        sums[name] = sums.get(name, 0.0) + float(value)
