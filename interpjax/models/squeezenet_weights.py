"""The published weights of SqueezeNet on Places365, read from plain arrays.

References:
  https://github.com/urbste/squeezenet_places365, a Lasagne model: its kernels belong to true convolutions, and its
  batch norm stores 1/√(variance + ε).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from interpjax.models.squeezenet import SqueezeNet

CLASSES = 365
CLASSIFIER = "conv10"
SCALES = ("bn_beta", "bn_gamma", "bn_mean", "bn_inv_std")

Arrays = Mapping[str, np.ndarray]


def load_squeezenet_places365(path: str | Path) -> dict[str, Any]:
    """The variables of ``SqueezeNet(num_classes=365)`` with the published weights.

    The running variance is 1/bn_inv_std² − ε, computed in float64; as a float32 it gives bn_inv_std back to about
    1e-7 of its value. (The images that the weights expect: BGR, minus the mean image, divided by 255.)

    Args:
      path: an ``.npz`` file of the arrays ``LAYER/W`` [out, in, height, width] and ``LAYER/b`` of each layer
        (``conv1``, ``fire2/squeeze1x1``, …, ``conv10``), and of each but conv10 ``LAYER/bn_beta``, ``bn_gamma``,
        ``bn_mean`` and ``bn_inv_std``. No pickles are read.

    Returns:
      ``{"params": …, "batch_stats": …}`` of float32 numpy arrays.

    Raises:
      ValueError: naming every array that is missing, surplus, or of another shape.
    """
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    _check(path, arrays)
    model, params, batch_stats = SqueezeNet(num_classes=CLASSES), {}, {}
    for layer in (*model.conv_layers, CLASSIFIER):
        kernel = _stored(arrays, layer, "W")[:, :, ::-1, ::-1].transpose(2, 3, 1, 0)
        kernel = kernel[0, 0] if layer == CLASSIFIER else kernel
        params[layer] = {"kernel": np.ascontiguousarray(kernel), "bias": _stored(arrays, layer, "b")}
    for layer, norm in model.batch_norms.items():
        beta, gamma, mean, inverse = (_stored(arrays, layer, name) for name in SCALES)
        variance = 1 / inverse.astype(np.float64) ** 2 - SqueezeNet.epsilon
        params[norm] = {"scale": gamma, "bias": beta}
        batch_stats[norm] = {"mean": mean, "var": variance.astype(np.float32)}
    return {"params": params, "batch_stats": batch_stats}


def _check(path: str | Path, arrays: Arrays) -> None:
    expected = _expected_shapes()
    problems = [f"{name} is missing" for name in expected if name not in arrays]
    problems += [f"{name} is surplus" for name in arrays if name not in expected]
    problems += [
        f"{name} has shape {arrays[name].shape}, not {shape}"
        for name, shape in expected.items()
        if name in arrays and arrays[name].shape != shape
    ]
    if problems:
        raise ValueError(f"{path}: {'; '.join(problems)}")


def _expected_shapes() -> dict[str, tuple[int, ...]]:
    model = SqueezeNet(num_classes=CLASSES)
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 224, 224, 3)))["params"]
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in (*model.conv_layers, CLASSIFIER):
        *window, inputs, filters = params[layer]["kernel"].shape
        shapes[_file_name(layer, "W")] = (filters, inputs, *(window or (1, 1)))
        for name in ("b", *(SCALES if layer in model.batch_norms else ())):
            shapes[_file_name(layer, name)] = (filters,)
    return shapes


def _stored(arrays: Arrays, layer: str, name: str) -> np.ndarray:
    return arrays[_file_name(layer, name)].astype(np.float32)


def _file_name(layer: str, name: str) -> str:
    return f"{layer.replace('_', '/')}/{name}"
