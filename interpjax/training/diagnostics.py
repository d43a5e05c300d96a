"""Measures the groups of filters, for the metrics while training goes on and for the summary."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from interpjax import models
from interpjax import regularizers as reg
from interpjax.preprocessing import Preprocessing
from interpjax.regularizers.diagnostics import BATCH_NORM_EPS
from interpjax.regularizers.kernels import grouping_of, select_kernels
from interpjax.training.terms import BlockNorm, Groupings

Variables = Mapping[str, Any]
Images = UInt8[Array | np.ndarray, "n h w 3"]
ByLayer = dict[str, dict[str, Any]]
GROUP_NORM = "group_norm/"  # how the metrics of the norms begin, before LAYER/1
MOST_GROUPS = 16  # the norms of a layer with more groups are not written as metrics


@dataclasses.dataclass(frozen=True)
class GroupDiagnostics:
    """What is measured of a network's groups of filters.

    Attributes:
      model: the network, for use outside of parallel steps.
      image_size: side in pixels of the images that the network sees.
      preprocessing: turns uint8 images into the network's inputs.
      block: the block norm, whose p, axis and kinds of layers the measured norms have.
      grouping: the grouping of filters, by name pattern.
    """

    model: nn.Module
    image_size: int
    preprocessing: Preprocessing
    block: BlockNorm
    grouping: Groupings

    def of_weights(self, variables: Variables) -> ByLayer:
        """Measures each kernel that the grouping fits: its group norms, zero groups and sparsity.

        The norms have the p of the block norm and its axis, filters or inputs. Dense layers are measured if the block
        norm covers them.

        Returns:
          ``{layer: {"relevance", "zero_groups", "hoyer"}}``, with ``folded_relevance`` for layers that batch norm
          follows; empty for a network without convolutions.
        """
        found: ByLayer = {}
        outline = models.outline(self.model, self.image_size)
        for layer, kernel in self._kernels(variables["params"]).items():
            channels = kernel.shape[-1] if self.block.axis == "filters" else kernel.shape[-2]
            group = _fitting(grouping_of(layer, self.block.grouping), channels)
            if group is None:
                continue
            norms = reg.group_norms(kernel, group, self.block.p)
            found[layer] = {
                "relevance": norms,
                "zero_groups": reg.zero_group_share(norms),
                "hoyer": reg.hoyer_sparsity(norms),
            }
            if layer in outline.batch_norms:
                chosen: Any = {layer: group}
                own = {layer: outline.batch_norms[layer]}
                eps: float = getattr(self.model, "epsilon", BATCH_NORM_EPS)
                folded = reg.group_relevance(variables, chosen, p=self.block.p, batch_norms=own, eps=eps)
                found[layer]["folded_relevance"] = folded[layer]
        return found

    def of_maps(self, variables: Variables, images: Images) -> ByLayer:
        """Measures each convolution on some images: its dead filters, and similarities within and between groups.

        The soft receptive fields have P₁ = 1, P₂ = 0 and the statistics of the images, whatever the training uses, so
        that runs can be compared.

        Returns:
          ``{layer: {"dead_filters"}}``, with ``within_similarity`` and ``between_similarity`` for layers in which the
          grouping makes two groups or more, each of two filters or more.
        """
        outline = models.outline(self.model, self.image_size)
        layers = [layer.name for layer in outline.layers if layer.kernel and "pre" in layer.taps]
        inputs = jnp.asarray(self.preprocessing(images))
        _, maps = models.apply_with_taps(self.model, variables, inputs, layers=layers, stage="pre")
        return {layer: _of_maps(maps[layer], grouping_of(layer, self.grouping)) for layer in layers}

    def summary(self, variables: Variables, images: Images) -> ByLayer:
        """All measures of a trained network by layer, as numbers and lists that can be written as JSON."""
        parts = jax.device_get((jax.jit(self.of_weights)(variables), jax.jit(self.of_maps)(variables, images)))
        layers = dict.fromkeys(layer for part in parts for layer in part)
        return {
            layer: {name: np.asarray(value).tolist() for part in parts for name, value in part.get(layer, {}).items()}
            for layer in layers
        }

    def zero_weights(self, variables: Variables) -> float:
        """The share of weights that are exactly 0, of all convolutions together; 0 if there is none.

        Dense layers count too if the block norm covers them.
        """
        kernels = self._kernels(jax.tree.map(jnp.asarray, variables["params"])).values()
        return sum(int(jnp.sum(kernel == 0)) for kernel in kernels) / max(1, sum(kernel.size for kernel in kernels))

    def relevance(self, variables: Variables) -> dict[str, Float[np.ndarray, " groups"]]:
        """The norm of each group of a layer's kernel, with the scale of a batch norm that follows."""
        measured = jax.device_get(jax.jit(self.of_weights)(variables))
        return {layer: own.get("folded_relevance", own["relevance"]) for layer, own in measured.items()}

    def groupings(self, layers: Sequence[str]) -> dict[str, reg.Grouping]:
        """The groupings of those of some layers whose filters are in two groups or more."""
        found = {}
        for layer in models.outline(self.model, self.image_size).layers:
            units = layer.shape[2]
            group = _fitting(grouping_of(layer.name, self.grouping), units)
            if layer.name in layers and group is not None and group.axis == "filters" and len(group.sizes(units)) > 1:
                found[layer.name] = group
        return found

    def _kernels(self, params: Any) -> dict[str, Any]:
        try:
            return select_kernels(params, dense=self.block.dense)
        except ValueError:  # a network of one's own may have no convolution
            return {}


def as_metrics(by_layer: ByLayer) -> dict[str, float]:
    """The measures as metrics: norms as ``group_norm/LAYER/1`` …, the others as ``groups/NAME/LAYER``."""
    metrics: dict[str, float] = {}
    by_layer = jax.device_get(by_layer)  # all at once, for a deep network has thousands of numbers
    for layer, values in by_layer.items():
        for name, value in values.items():
            if name == "relevance" and len(value) <= MOST_GROUPS:
                metrics |= {f"{GROUP_NORM}{layer}/{i}": float(norm) for i, norm in enumerate(value, start=1)}
            elif np.ndim(value) == 0:
                metrics[f"groups/{name}/{layer}"] = float(value)
    return metrics


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
    """The grouping of a layer; None if the layer is left out or too narrow, as it may be if no term is on groups."""
    if grouping is None:
        return None
    try:
        grouping.members(channels)
    except ValueError:
        return None
    return grouping
