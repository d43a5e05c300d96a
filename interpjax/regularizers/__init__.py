"""Penalties on groups of filters: pure functions of arrays and pytrees."""

from interpjax.regularizers.block_norm import block_norm, block_norm_penalty, group_norms, group_relevance
from interpjax.regularizers.groups import Grouping
from interpjax.regularizers.kernels import convolution_kernels, is_convolution_kernel
from interpjax.regularizers.weight_decay import weight_decay_penalty

__all__ = [
    "Grouping",
    "block_norm",
    "block_norm_penalty",
    "convolution_kernels",
    "group_norms",
    "group_relevance",
    "is_convolution_kernel",
    "weight_decay_penalty",
]
