"""Penalties and losses on groups of filters: pure functions of arrays and pytrees."""

from interpjax.regularizers.block_norm import block_norm, block_norm_penalty, group_norms
from interpjax.regularizers.diagnostics import (
    dead_filters,
    group_relevance,
    group_similarities,
    hoyer_sparsity,
    zero_group_share,
)
from interpjax.regularizers.exclusive_lasso import exclusive_lasso
from interpjax.regularizers.group_activation import (
    draw_pairs,
    group_activation_loss,
    group_dissimilarity,
    group_repulsion_loss,
)
from interpjax.regularizers.groups import Grouping
from interpjax.regularizers.kernel_weights import kernel_weights
from interpjax.regularizers.kernels import convolution_kernels, grouped_kernels, is_convolution_kernel, layer_name
from interpjax.regularizers.orthogonality import soft_orthogonality
from interpjax.regularizers.proximal import prox_block_norm
from interpjax.regularizers.proximal_step import proximal_block_norm
from interpjax.regularizers.soft_fields import soft_receptive_field
from interpjax.regularizers.spatial import spatial_loss
from interpjax.regularizers.weight_decay import weight_decay_penalty

__all__ = [
    "Grouping",
    "block_norm",
    "block_norm_penalty",
    "convolution_kernels",
    "dead_filters",
    "draw_pairs",
    "exclusive_lasso",
    "group_activation_loss",
    "group_dissimilarity",
    "group_norms",
    "group_relevance",
    "group_repulsion_loss",
    "group_similarities",
    "grouped_kernels",
    "hoyer_sparsity",
    "is_convolution_kernel",
    "kernel_weights",
    "layer_name",
    "prox_block_norm",
    "proximal_block_norm",
    "soft_orthogonality",
    "soft_receptive_field",
    "spatial_loss",
    "weight_decay_penalty",
    "zero_group_share",
]
