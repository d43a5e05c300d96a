"""Turns the weights of a PyTorch network into variables of a network here, and back.

References:
  The layouts are PyTorch's: kernels [out, in, height, width], dense weights [out, in]; ``running_var`` is unbiased.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from interpjax.errors import UserError
from interpjax.models.alexnet import AlexNet
from interpjax.models.classifier import Classifier
from interpjax.models.densenet import DenseNet
from interpjax.models.googlenet import GoogLeNet
from interpjax.models.layers import outline
from interpjax.models.vgg import STAGES as VGG_STAGES
from interpjax.models.vgg import VGG
from interpjax.models.weights.entries import check_entries
from interpjax.models.zoo import MODELS, create_model

LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
    ("params", "bias"): "bias",
    ("batch_stats", "mean"): "running_mean",
    ("batch_stats", "var"): "running_var",
}
# Layers of torchvision's AlexNet, which numbers its convolutions and dense layers.
ALEXNET = {f"conv{i}": f"features.{place}" for i, place in enumerate((0, 3, 6, 8, 10), start=1)} | {
    f"fc{i}": f"classifier.{place}" for i, place in enumerate((1, 4, 6), start=1)
}
# Layers of the CGL code's AlexNet_bn, which numbers its convolutions, batch norms and dense layers.
ALEXNET_BN = (
    {f"features.{place}": f"conv{i}" for i, place in enumerate((0, 4, 8, 11, 14), start=1)}
    | {f"features.{place}": f"bn{i}" for i, place in enumerate((1, 5, 9, 12, 15), start=1)}
    | {f"classifier.{place}": f"fc{i}" for i, place in enumerate((1, 4, 6), start=1)}
)
COUNTER = ".num_batches_tracked"
AUXILIARY = re.compile(r"aux[12]\..*")  # GoogLeNet's heads that are used in training only
WRAPPED = re.compile(r"(^|\.)module\.")  # DataParallel puts it before the whole network, or its features alone
OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)$")


def import_torch(
    name: str, state_dict: Mapping[str, Any], *, num_classes: int | None = None, **fields: Any
) -> dict[str, Any]:
    """The variables of a model with the weights of its published PyTorch definition.

    Args:
      name: name of the model, one of ``MODELS``.
      state_dict: the arrays by name (of NumPy or JAX, or tensors on the host), named as in torchvision, in CSAIL's
        Places365 release or in the CGL code. ``module.`` before all names, counters and auxiliary heads are left out.
      num_classes: number of classes of the model; by default as many as the stored last layer has.
      **fields: fields of the model, as in :func:`create_model`.

    Returns:
      ``{"params": …}``, and ``"batch_stats"`` where there are any, of numpy arrays in the dtype that they came in.

    Raises:
      UserError: naming every entry that is missing, surplus, of another shape, or not of floating-point numbers; or two
        entries that are the same array.
    """
    model = create_classifier(name, num_classes=1, **fields)
    stored_names = plain_names(model, state_dict)
    arrays = {entry: _as_array(state_dict[stored]) for entry, stored in stored_names.items()}
    if num_classes is None:
        bias = arrays.get(f"{torch_name(model, model.head)}.bias")
        num_classes = 1 if bias is None else bias.size
    entries = _entries(create_classifier(name, num_classes=num_classes, **fields))
    check_entries(f"weights of {name}", arrays, {entry: shape for entry, (_, shape) in entries.items()}, stored_names)
    return unflatten_dict({path: _from_torch(arrays[entry]) for entry, (path, _) in entries.items()})


def export_torch(name: str, variables: Mapping[str, Any], **fields: Any) -> dict[str, np.ndarray]:
    """The inverse of :func:`import_torch`: a ``state_dict`` in torchvision's names, without counters.

    Args:
      name: name of the model, one of ``MODELS``.
      variables: variables of the model, or trees of the same form, such as ``{"params": gradients}``.
      **fields: fields of the model, as in :func:`create_model`.

    Raises:
      UserError: naming every array that is missing, surplus, of another shape, or of other numbers.
    """
    arrays = {path: _to_torch(np.asarray(array)) for path, array in flatten_dict(variables).items()}
    head = arrays.get(("params", create_classifier(name, num_classes=1, **fields).head, "bias"))
    model = create_classifier(name, num_classes=1 if head is None else head.size, **fields)
    entries = {entry: own for entry, own in _entries(model).items() if own[0][0] in variables}
    check_entries(
        f"weights of {name}",
        {"/".join(path): array for path, array in arrays.items()},
        {"/".join(path): shape for path, shape in entries.values()},
    )
    return {entry: arrays[path] for entry, (path, _) in entries.items()}


def create_classifier(name: str, *, num_classes: int, **fields: Any) -> Classifier:
    """A model of this package by name.

    Raises:
      UserError: if there is no such model, or its name is the import path of another.
    """
    model = create_model(name, num_classes=num_classes, **fields)
    if not isinstance(model, Classifier):
        raise UserError(
            f"model = {name!r}: weights are imported for the networks of interpjax; choose one of {', '.join(MODELS)}"
        )
    return model


def _entries(model: Classifier) -> dict[str, tuple[tuple[str, str, str], tuple[int, ...]]]:
    """By the name of each entry: its place here (collection, layer, leaf), and its shape in PyTorch's layout."""
    return {
        f"{torch_name(model, layer)}.{LEAVES[collection, leaf]}": ((collection, layer, leaf), _torch_shape(array.shape))
        for (collection, layer, leaf), array in flatten_dict(outline(model).variables).items()
    }


def _as_array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):  # a tensor of PyTorch, whose bfloat16 NumPy does not have
        value = value.detach()
        value = value.float() if value.is_floating_point() and value.element_size() < 4 else value
    array = np.asarray(value)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _from_torch(array: np.ndarray) -> np.ndarray:
    # np.array copies even where the order stays, for the caller may go on training the arrays.
    return np.array(array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T, order="C")


def _to_torch(array: np.ndarray) -> np.ndarray:
    return np.array(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T, order="C")


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape[::-1]


def torch_name(model: Classifier, layer: str) -> str:
    """The name that a layer of a network has in torchvision's definition, or in the published one."""
    if isinstance(model, VGG):
        return _vgg_names(model.with_norm)[layer]
    if isinstance(model, AlexNet) and not model.with_norm:
        return ALEXNET[layer]
    if isinstance(model, DenseNet) and layer != "classifier":
        return f"features.{layer}"
    return layer


def plain_names(model: Classifier, entries: Mapping[str, object]) -> dict[str, str]:
    """The names of the entries that matter, from today's name in torchvision to the given one.

    Wrappers and older versions give other names: ``module.`` before the network (or its features alone) if it was
    trained on several devices, ``denselayer1.norm.1`` for ``denselayer1.norm1``, and the CGL code's names of AlexNet.

    Raises:
      UserError: if two entries have the same name in torchvision.
    """
    own = _other_names(model)
    plain: dict[str, str] = {}
    for entry in entries:
        name = WRAPPED.sub(r"\1", entry)
        name = OLD_DENSENET.sub(r"\1\2", name) if isinstance(model, DenseNet) else name
        layer, _, leaf = name.rpartition(".")
        name = f"{own[layer]}.{leaf}" if layer in own else name
        if name.endswith(COUNTER) or (isinstance(model, GoogLeNet) and AUXILIARY.fullmatch(name)):
            continue
        if name in plain:
            raise UserError(f"{plain[name]} and {entry} are both {name}, expected one of them")
        plain[name] = entry
    return plain


def _other_names(model: Classifier) -> dict[str, str]:
    """Other names that layers were published with, each with the name of :func:`torch_name`."""
    if not isinstance(model, AlexNet):
        return {}
    return ALEXNET_BN if model.with_norm else ALEXNET


def _vgg_names(with_norm: bool) -> dict[str, str]:
    names, place = {}, 0
    for stage, (_, convolutions) in enumerate(VGG_STAGES, start=1):
        for number in range(1, convolutions + 1):
            names[f"conv{stage}_{number}"] = f"features.{place}"
            if with_norm:
                names[f"bn{stage}_{number}"] = f"features.{place + 1}"
            place += 3 if with_norm else 2
        place += 1  # pooling
    return names | {f"fc{i}": f"classifier.{place}" for i, place in enumerate((0, 3, 6), start=1)}
