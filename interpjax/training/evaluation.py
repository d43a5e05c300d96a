"""How good a network is, over every test image, and what its groups of filters are like."""

from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import UInt8
from ml_collections import ConfigDict

from interpjax import parallel
from interpjax.data import Source
from interpjax.data.images import SkippedImages
from interpjax.data.pipeline import test_batches
from interpjax.training import diagnostics

SAMPLE = 64  # images; the maps of all layers of a deep network are much memory


def evaluate(config: ConfigDict, eval_step, variables, source: Source, skipped: SkippedImages) -> dict[str, float]:
    """Accuracy, top-5 accuracy and mean cross-entropy over every readable test image.

    Args:
      config: the experiment.
      eval_step: of :func:`make_eval_step`.
      variables: replicated.
      source: the data.
      skipped: collects unreadable images where those are to be skipped.

    Raises:
      ValueError: if no test image could be read.
    """
    sums: dict[str, float] = {}
    for batch in test_batches(source.test, config, skipped, shard=parallel.shard()):
        parts = parallel.first(eval_step(variables, parallel.split_batch(batch)))
        sums = {name: sums.get(name, 0.0) + float(value) for name, value in parts.items()}
    if not sums.get("count"):
        raise ValueError(f"config.data.test = {config.data.test!r}: no image of it could be read")
    count = sums["count"]
    return {
        "accuracy": sums["correct"] / count,
        "top5": sums["correct_top5"] / count,
        "cross_entropy": sums["loss"] / count,
    }


def diagnose(config: ConfigDict, model: nn.Module, variables, source: Source) -> dict[str, dict[str, Any]]:
    """What became of the groups of filters of each convolution, for the summary.

    Args:
      config: the experiment.
      model: the network, for use outside of parallel steps.
      variables: its variables.
      source: the data; dead filters and similarities are of :func:`sample_images`.
    """
    of_weights = jax.jit(diagnostics.make_weight_diagnostics(config, model))(variables)
    of_maps = jax.jit(diagnostics.make_activation_diagnostics(config, model))(variables, sample_images(config, source))
    return diagnostics.as_summary(of_weights, of_maps)


def sample_images(config: ConfigDict, source: Source) -> UInt8[np.ndarray, "n h w 3"]:
    """The readable test images among this process's first batch, at most :data:`SAMPLE`."""
    batch = next(iter(test_batches(source.test, config, SkippedImages(), shard=parallel.shard())))
    return batch["image"][batch["mask"] > 0][:SAMPLE]
