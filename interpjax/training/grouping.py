"""The grouping that a configuration gives to all terms."""

from collections.abc import Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from interpjax import regularizers as reg
from interpjax.regularizers.kernels import check_patterns, select_kernels

PyTree = Any


def make_grouping(config: ConfigDict, **fields: Any) -> dict[str, reg.Grouping | None]:
    """The configured grouping by name pattern, as the regularizers take it; ``fields`` are further ones of each.

    Raises:
      ValueError: naming the field.
    """
    settings = config.regularizer.grouping
    shared = {"remainder": settings.remainder, "order": settings.order, **fields}
    instead = {name: settings[name] for name in ("group_size", "indices") if settings[name]}
    chosen = instead or {"num_groups": settings.num_groups}
    for entry in settings.by_layer:
        if isinstance(entry, str) or not isinstance(entry, Sequence) or [type(x) for x in entry] != [str, int]:
            raise ValueError(
                f"config.regularizer.grouping.by_layer = {settings.by_layer!r}: needs pairs of a name pattern and a "
                "number of groups, as (('conv1', 8), ('conv5', 0)); of a single pair (('conv1', 8),), with the comma"
            )
    try:
        groupings: dict[str, reg.Grouping | None] = {}
        for pattern, count in settings.by_layer:  # the first that matches counts
            groupings.setdefault(pattern, reg.Grouping(num_groups=count, **shared) if count else None)
        groupings.setdefault("*", reg.Grouping(**chosen, **shared))
        return groupings
    except (TypeError, ValueError) as error:
        raise ValueError(f"config.regularizer.grouping: {error}") from error


def check_groupings(config: ConfigDict, params: PyTree) -> None:
    """Raises ValueError, naming the field, if a pattern of ``grouping.by_layer`` matches no layer that any term is of.

    Args:
      config: the experiment.
      params: the network's parameters, or their shapes.
    """
    make_grouping(config)
    dense = config.regularizer.block_norm.dense
    kind = "layer" if dense else "convolution (of dense layers only with block_norm.dense)"
    patterns = [pattern for pattern, _ in config.regularizer.grouping.by_layer]

    def check(params: PyTree) -> None:
        check_patterns("config.regularizer.grouping.by_layer", patterns, select_kernels(params, dense=dense), kind=kind)

    jax.eval_shape(check, params)
