"""Finding kernels in a pytree of Flax parameters, by the names on their path."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import jax
from jaxtyping import Array, Float

from interpjax.regularizers.checks import check_groupings
from interpjax.regularizers.groups import Grouping

PyTree = Any
Groupings = Grouping | Mapping[str, Grouping | None]


def path_names(path: tuple) -> tuple[str, ...]:
    """The names along a pytree path, whether its nodes are dictionaries, attributes or sequences.

    The ``.value`` of an nnx variable is not one of the network's names and is left out.
    """
    names = tuple(str(getattr(entry, "key", getattr(entry, "name", getattr(entry, "idx", entry)))) for entry in path)
    return names[:-1] if names and isinstance(path[-1], jax.tree_util.GetAttrKey) and names[-1] == "value" else names


def layer_name(path: tuple) -> str:
    """The layer that a leaf belongs to: ``"block/conv2"`` for the leaf ``block/conv2/kernel``.

    In the variables of a network, as ``model.init`` returns them, the name of the collection is left out: the layer is
    not called ``"params/block/conv2"``.
    """
    names = path_names(path)[:-1]
    return "/".join(names[1:] if names[:1] == ("params",) and len(names) > 1 else names)


def is_convolution_kernel(path: tuple, leaf: Any) -> bool:
    """Whether a leaf is the kernel of a convolution: named ``kernel``, with a spatial axis or more before (in, out).

    Kernels of dense layers have rank 2, so they do not count; nor do biases and the scales of batch norm. A dense layer
    over several axes (``DenseGeneral``, as in attention) looks like a convolution: leave it out by a name pattern.
    """
    return _is_kernel(path, leaf, rank=3)


def convolution_kernels(params: PyTree) -> dict[str, Float[Array, "..."]]:
    """The convolution kernels of a network by the path of their layer: ``{"conv1": kernel, "block/conv2": kernel, …}``.

    Raises:
      ValueError: if there is none.
    """
    return select_kernels(params)


def select_kernels(
    params: PyTree, *, layers: Sequence[str] = (), dense: bool = False
) -> dict[str, Float[Array, "..."]]:
    """Kernels of a network by the path of their layer, in the pytree's order.

    Args:
      params: a pytree of Flax parameters (linen's dictionaries or nnx's state; arrays, or their shapes).
      layers: name patterns, or one; a kernel that matches one of them is selected. By default, all.
      dense: whether kernels of dense layers are meant too.

    Returns:
      ``{"conv1": kernel, "block/conv2": kernel, …}``

    Raises:
      ValueError: if there is no kernel, or a pattern matches none.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    kernels = {layer_name(path): leaf for path, leaf in leaves if _is_kernel(path, leaf, rank=2 if dense else 3)}
    if not kernels:
        kind = "kernel" if dense else "convolution kernel"
        rank = 2 if dense else 3
        raise ValueError(f"these parameters hold no {kind}; expected a leaf named 'kernel' of rank {rank} or more")
    patterns = (layers,) if isinstance(layers, str) else layers
    check_patterns("layers", patterns, kernels, kind="layer" if dense else "convolution")
    return {layer: kernel for layer, kernel in kernels.items() if matches(layer, patterns)}


def grouped_kernels(
    params: PyTree, grouping: Groupings, *, layers: Sequence[str] = (), dense: bool = False
) -> dict[str, tuple[Float[Array, "..."], Grouping]]:
    """The kernels that a term is about, each with its grouping.

    Args:
      params: a pytree of Flax parameters (linen's dictionaries or nnx's state; arrays, or their shapes), or all of a
        linen network's variables.
      grouping: one for all; or one for each name pattern, of which the first that matches counts. Where that is
        None, or none matches, the layer is left out.
      layers: name patterns, or one; by default all layers. A pattern is a shell's, minds case, and is held against the
        layer's whole path: ``"conv[1-3]"``, ``"block1/*"``, ``"*/conv2"``.
      dense: whether kernels of dense layers are meant too.

    Returns:
      ``{layer: (kernel, grouping)}``

    Raises:
      ValueError: if there is no kernel, a pattern (of the grouping, too) matches none, or all are left out.
    """
    check_groupings(grouping)
    kernels = select_kernels(params, layers=layers, dense=dense)
    if isinstance(grouping, Mapping):
        used, kind = select_kernels(params, dense=dense), "layer" if dense else "convolution"
        check_patterns("grouping", tuple(grouping), used, kind=kind)
    found = {layer: (kernel, grouping_of(layer, grouping)) for layer, kernel in kernels.items()}
    kept = {layer: (kernel, group) for layer, (kernel, group) in found.items() if group is not None}
    if not kept:
        raise ValueError(f"grouping: all layers are left out; expected a Grouping for one of {', '.join(kernels)}")
    return kept


def grouping_of(layer: str, grouping: Groupings) -> Grouping | None:
    """The grouping of a layer by its name; None if it is left out."""
    if isinstance(grouping, Grouping):
        return grouping
    return next((group for pattern, group in grouping.items() if fnmatchcase(layer, pattern)), None)


def matches(layer: str, patterns: Sequence[str]) -> bool:
    """Whether a layer's name matches one of some patterns. If there are no patterns, every name does."""
    return not patterns or any(fnmatchcase(layer, pattern) for pattern in patterns)


def check_patterns(field: str, patterns: Iterable[str], layers: Iterable[str], *, kind: str = "layer") -> None:
    """Raises ValueError, naming the field, if a pattern matches no layer; ``kind`` is the word for what these are."""
    for pattern in patterns:
        if not any(fnmatchcase(layer, pattern) for layer in layers):
            raise ValueError(f"{field}: {pattern!r} matches no {kind}; choose from {', '.join(layers)}")


def check_names(field: str, names: Iterable[str], layers: Collection[str]) -> None:
    """Raises ValueError, naming the field, if a name is not that of a layer."""
    for name in names:
        if name not in layers:
            raise ValueError(f"{field}: no layer {name!r}; choose from {', '.join(layers)}")


def _is_kernel(path: tuple, leaf: Any, rank: int) -> bool:
    names = path_names(path)
    return bool(names) and names[-1] == "kernel" and leaf.ndim >= rank
