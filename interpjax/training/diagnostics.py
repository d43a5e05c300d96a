"""What became of the groups of filters: numbers for the metrics while training goes on, and for the summary."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array, Float, UInt8
from ml_collections import ConfigDict

from interpjax import models
from interpjax import regularizers as reg
from interpjax.data.normalization import normalization
from interpjax.regularizers.kernels import grouping_of, select_kernels
from interpjax.training.grouping import make_grouping
from interpjax.training.step import normalize

Variables = Mapping[str, Any]
Images = UInt8[Array, "n h w 3"]
ByLayer = dict[str, dict[str, Any]]
MOST_GROUPS = 16  # of a layer, whose norms are written as metrics one by one


def make_weight_diagnostics(config: ConfigDict, model: nn.Module) -> Callable[[Variables], ByLayer]:
    """Of each kernel that the configured grouping fits: group norms, zero groups, sparsity.

    The norms are the block norm's, with its p, over filters or inputs; of dense layers if it covers those.

    Returns:
      A function of variables: ``{layer: {"relevance", "zero_groups", "hoyer"}}``, and
      ``folded_relevance`` where batch norm is behind the layer.
    """
    block = config.regularizer.block_norm
    groupings = make_grouping(config, axis=block.axis)

    def diagnose(variables: Variables) -> ByLayer:
        found: ByLayer = {}
        for layer, kernel in select_kernels(variables["params"], dense=block.dense).items():
            channels = kernel.shape[-1] if block.axis == "filters" else kernel.shape[-2]
            group = _fitting(grouping_of(layer, groupings), channels)
            if group is None:
                continue
            norms = reg.group_norms(kernel, group, block.p)
            found[layer] = {
                "relevance": norms,
                "zero_groups": reg.zero_group_share(norms),
                "hoyer": reg.hoyer_sparsity(norms),
            }
            if layer in model.batch_norms:
                chosen: Any = {layer: group}
                folded = reg.group_relevance(
                    variables, chosen, p=block.p, batch_norms=model.batch_norms, eps=model.epsilon
                )
                found[layer]["folded_relevance"] = folded[layer]
        return found

    return diagnose


def make_activation_diagnostics(config: ConfigDict, model: nn.Module) -> Callable[[Variables, Images], ByLayer]:
    """Of each convolution, on some images: dead filters, and similarity within and between groups.

    The soft receptive fields are those of P₁ = 1, P₂ = 0 and the images' statistics, whatever is trained with, so
    that runs can be compared.

    Returns:
      A function of variables and uint8 images: ``{layer: {"dead_filters"}}``, and, where the configured
      grouping makes two groups or more of two filters or more, ``within_similarity`` and ``between_similarity``.
    """
    groupings, constants = make_grouping(config), normalization(config)

    def diagnose(variables: Variables, images: Images) -> ByLayer:
        images = normalize(images, **constants)
        _, maps = models.apply_with_taps(model, variables, images, layers=model.conv_layers, stage="pre")
        return {layer: _of_maps(maps[layer], grouping_of(layer, groupings)) for layer in model.conv_layers}

    return diagnose


def as_metrics(by_layer: ByLayer) -> dict[str, float]:
    """The numbers as metrics: ``group_norm/LAYER/1`` …, and ``groups/NAME/LAYER`` for the others."""
    metrics: dict[str, float] = {}
    by_layer = jax.device_get(by_layer)  # at once: a deep network has thousands of numbers
    for layer, values in by_layer.items():
        for name, value in values.items():
            if name == "relevance" and len(value) <= MOST_GROUPS:
                metrics |= {f"group_norm/{layer}/{i}": float(norm) for i, norm in enumerate(value, start=1)}
            elif np.ndim(value) == 0:
                metrics[f"groups/{name}/{layer}"] = float(value)
    return metrics


def as_summary(*parts: ByLayer) -> ByLayer:
    """The numbers of a trained network by layer, as JSON holds them."""
    layers = dict.fromkeys(layer for part in parts for layer in part)
    return {
        layer: {name: np.asarray(value).tolist() for part in parts for name, value in part.get(layer, {}).items()}
        for layer in layers
    }


def _of_maps(maps: Float[Array, "n h w c"], grouping: reg.Grouping | None) -> dict[str, Any]:
    found: dict[str, Any] = {"dead_filters": reg.dead_filters(maps)}
    group = _fitting(grouping, maps.shape[-1])
    if group is not None:
        sizes = group.sizes(maps.shape[-1])
        if len(sizes) > 1 and min(sizes) > 1:
            pairs = reg.draw_pairs(jax.random.key(0), group, maps.shape[-1])
            similarities = reg.group_similarities(reg.soft_receptive_field(maps), group, pairs)
            found["within_similarity"], found["between_similarity"] = similarities
    return found


def _fitting(grouping: reg.Grouping | None, channels: int) -> reg.Grouping | None:
    """None where the layer is left out, or is too narrow: a run without any term on groups may have such layers."""
    if grouping is None:
        return None
    try:
        grouping.members(channels)
    except ValueError:
        return None
    return grouping
