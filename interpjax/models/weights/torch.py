"""PyTorch's weights to variables of a network, and back.

References:
  The layouts are PyTorch's: kernels [out, in, height, width], dense weights [out, in]; ``running_var`` is unbiased.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from interpjax.models.classifier import Classifier
from interpjax.models.layers import outline
from interpjax.models.weights.torch_names import COUNTER, plain_names, torch_name
from interpjax.models.zoo import create_model

LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
    ("params", "bias"): "bias",
    ("batch_stats", "mean"): "running_mean",
    ("batch_stats", "var"): "running_var",
}


def import_torch(
    name: str, state_dict: Mapping[str, Any], *, num_classes: int | None = None, **fields: Any
) -> dict[str, Any]:
    """The variables of a model with the weights of its published PyTorch definition.

    Args:
      name: of the model, one of ``MODELS``.
      state_dict: name → array (numpy's, JAX's or a tensor on the host), as torchvision, CSAIL's Places365 release and
        the CGL code name them; ``module.`` before all names, counters and auxiliary heads are taken off.
      num_classes: of the model; by default as many as the last layer has.
      **fields: of the model, as of :func:`create_model`.

    Returns:
      ``{"params": …}``, and ``"batch_stats"`` where there are any, of numpy arrays in the dtype that they came in.

    Raises:
      ValueError: naming every entry that is missing, surplus, or of another shape; two that are the same; one that
        does not hold floating-point numbers.
    """
    arrays = {entry: _as_array(entry, value) for entry, value in state_dict.items()}
    model = create_model(name, num_classes=1, **fields)
    plain = plain_names(model, arrays)
    if num_classes is None:
        bias = plain.get(f"{torch_name(model, model.head)}.bias")
        num_classes = 1 if bias is None else arrays[bias].size
    expected = _expected(create_model(name, num_classes=num_classes, **fields))
    _check(name, arrays, plain, expected)
    variables: dict[str, Any] = {}
    for entry, (collection, layer, leaf, _) in expected.items():
        variables.setdefault(collection, {}).setdefault(layer, {})[leaf] = _from_torch(arrays[plain[entry]])
    return variables


def export_torch(name: str, variables: Mapping[str, Any], **fields: Any) -> dict[str, np.ndarray]:
    """The inverse of :func:`import_torch`: a ``state_dict`` in torchvision's names, without counters.

    Args:
      name: of the model, one of ``MODELS``.
      variables: of the model; or trees like them, such as ``{"params": gradients}``.
      **fields: of the model, as of :func:`create_model`.

    Raises:
      ValueError: naming every array that is missing, surplus, or of another shape.
    """
    head = variables.get("params", {}).get(create_model(name, num_classes=1, **fields).head, {}).get("bias")
    model = create_model(name, num_classes=1 if head is None else np.size(head), **fields)
    expected = {
        entry: (f"{collection}/{layer}/{leaf}", shape)
        for entry, (collection, layer, leaf, shape) in _expected(model).items()
        if collection in variables
    }
    arrays = {
        f"{collection}/{layer}/{leaf}": _to_torch(np.asarray(array))
        for collection, layers in variables.items()
        for layer, leaves in layers.items()
        for leaf, array in leaves.items()
    }
    own = {path: path for path in arrays}
    _check(name, arrays, own, {path: ("", "", "", shape) for path, shape in expected.values()})
    return {entry: arrays[path] for entry, (path, _) in expected.items()}


def _expected(model: Classifier) -> dict[str, tuple[str, str, str, tuple[int, ...]]]:
    """Entry → collection, layer, leaf, and the shape in PyTorch's layout."""
    shapes = outline(model).variables
    return {
        f"{torch_name(model, layer)}.{LEAVES[collection, leaf]}": (collection, layer, leaf, _torch_shape(array.shape))
        for collection, layers in shapes.items()
        for layer, leaves in layers.items()
        for leaf, array in leaves.items()
    }


def _check(
    name: str,
    arrays: Mapping[str, np.ndarray],
    plain: Mapping[str, str],
    expected: Mapping[str, tuple[str, str, str, tuple[int, ...]]],
) -> None:
    problems = [f"{entry} is missing" for entry in expected if entry not in plain]
    problems += [f"{own} is surplus" for entry, own in plain.items() if entry not in expected]
    problems += [
        f"{plain[entry]} has the shape {arrays[plain[entry]].shape}, not {shape}"
        for entry, (*_, shape) in expected.items()
        if entry in plain and arrays[plain[entry]].shape != shape
    ]
    if problems:
        raise ValueError(f"weights of {name}: {'; '.join(problems)}")


def _as_array(entry: str, value: Any) -> np.ndarray:
    if hasattr(value, "detach"):  # a tensor of PyTorch, whose bfloat16 NumPy does not have
        value = value.detach()
        value = value.float() if value.is_floating_point() and value.element_size() < 4 else value
    array = np.asarray(value)
    if not (jnp.issubdtype(array.dtype, jnp.floating) or entry.endswith(COUNTER)):
        raise ValueError(f"{entry} is of dtype {array.dtype}; weights are floating-point numbers")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _from_torch(array: np.ndarray) -> np.ndarray:
    # Copies also what keeps its order: the caller's own arrays may be trained on.
    return np.array(array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T, order="C")


def _to_torch(array: np.ndarray) -> np.ndarray:
    return np.array(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T, order="C")


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape[::-1]
