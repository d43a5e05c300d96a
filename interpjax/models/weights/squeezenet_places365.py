"""The published weights of SqueezeNet on Places365, made of plain arrays.

References:
  https://github.com/urbste/squeezenet_places365, a Lasagne model: its kernels belong to true convolutions, and its
  batch norm stores 1/√(variance + ε).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from interpjax.models.layers import Outline, outline
from interpjax.models.squeezenet import SqueezeNet
from interpjax.models.weights.entries import check_entries

CLASSES = 365
CLASSIFIER = "conv10"
SCALES = ("bn_beta", "bn_gamma", "bn_mean", "bn_inv_std")

Arrays = Mapping[str, Shaped[np.ndarray, "..."]]


def import_squeezenet_places365(arrays: Arrays, *, num_classes: int | None = None, **fields: Any) -> dict[str, Any]:
    """The variables of a ``SqueezeNet``, made of its weights as they were published.

    The running variance is 1/bn_inv_std² − ε, computed in float64; as a float32 it gives bn_inv_std back to about
    1e-7 of its value.

    Args:
      arrays: ``LAYER/W`` [out, in, height, width] and ``LAYER/b`` [out] of each layer (``conv1``,
        ``fire2/squeeze1x1``, …, ``conv10``), and of each but conv10 ``LAYER/bn_beta``, ``bn_gamma``, ``bn_mean`` and
        ``bn_inv_std``, all [out].
      num_classes: number of classes of the network; by default the 365 of Places365.
      **fields: fields of the network, as in :func:`~interpjax.models.zoo.create_model`.

    Returns:
      ``{"params": …, "batch_stats": …}`` of float32 numpy arrays.

    Raises:
      UserError: naming every array that is missing, surplus, of another shape, or of other numbers.
    """
    model = SqueezeNet(num_classes=CLASSES if num_classes is None else num_classes, **fields)
    found = outline(model)
    check_entries("weights of squeezenet_places365", arrays, _expected_shapes(found))
    params: dict[str, Any] = {}
    batch_stats: dict[str, Any] = {}
    for layer in (*found.convolutions, CLASSIFIER):
        kernel = _stored(arrays, layer, "W")[:, :, ::-1, ::-1].transpose(2, 3, 1, 0)
        kernel = kernel[0, 0] if layer == CLASSIFIER else kernel
        params[layer] = {"kernel": np.ascontiguousarray(kernel), "bias": _stored(arrays, layer, "b")}
    for layer, norm in found.batch_norms.items():
        beta, gamma, mean, inverse = (_stored(arrays, layer, name) for name in SCALES)
        variance = 1 / inverse.astype(np.float64) ** 2 - SqueezeNet.epsilon
        params[norm] = {"scale": gamma, "bias": beta}
        batch_stats[norm] = {"mean": mean, "var": variance.astype(np.float32)}
    return {"params": params, "batch_stats": batch_stats}


def has_published_names(arrays: Arrays) -> bool:
    """Whether the arrays have the names that they were published with, rather than those of a PyTorch definition."""
    return any("/" in name for name in arrays)


def _expected_shapes(found: Outline) -> dict[str, tuple[int, ...]]:
    params, batch_norms = found.variables["params"], found.batch_norms
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in (*found.convolutions, CLASSIFIER):
        *window, inputs, filters = params[layer]["kernel"].shape
        shapes[_file_name(layer, "W")] = (filters, inputs, *(window or (1, 1)))
        for name in ("b", *(SCALES if layer in batch_norms else ())):
            shapes[_file_name(layer, name)] = (filters,)
    return shapes


def _stored(arrays: Arrays, layer: str, name: str) -> np.ndarray:
    return arrays[_file_name(layer, name)].astype(np.float32)


def _file_name(layer: str, name: str) -> str:
    return f"{layer.replace('_', '/')}/{name}"
