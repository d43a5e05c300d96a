"""The networks by name, and how one is made from its name."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn

from interpjax.errors import UserError
from interpjax.imports import import_object, is_import_path
from interpjax.models.alexnet import AlexNet
from interpjax.models.caffe_alexnet import CaffeAlexNet
from interpjax.models.classifier import Classifier
from interpjax.models.densenet import DenseNet
from interpjax.models.googlenet import GoogLeNet
from interpjax.models.resnet import ResNet
from interpjax.models.squeezenet import SqueezeNet
from interpjax.models.two_figures_cnn import TwoFiguresCNN
from interpjax.models.vgg import VGG

MODELS: dict[str, Callable[..., Classifier]] = {
    "alexnet": AlexNet,
    "alexnet_b": functools.partial(AlexNet, with_norm=True),
    "alexnet_caffe": CaffeAlexNet,
    "caffenet": functools.partial(CaffeAlexNet, pool_first=True),
    "vgg16": VGG,
    "vgg16_bn": functools.partial(VGG, with_norm=True),
    "resnet18": functools.partial(ResNet, blocks=(2, 2, 2, 2)),
    "resnet34": functools.partial(ResNet, blocks=(3, 4, 6, 3)),
    "resnet50": functools.partial(ResNet, blocks=(3, 4, 6, 3), bottleneck=True),
    "resnet101": functools.partial(ResNet, blocks=(3, 4, 23, 3), bottleneck=True),
    "resnet152": functools.partial(ResNet, blocks=(3, 8, 36, 3), bottleneck=True),
    "densenet121": functools.partial(DenseNet, blocks=(6, 12, 24, 16)),
    "densenet161": functools.partial(DenseNet, blocks=(6, 12, 36, 24), growth=48, stem=96),
    "densenet169": functools.partial(DenseNet, blocks=(6, 12, 32, 32)),
    "densenet201": functools.partial(DenseNet, blocks=(6, 12, 48, 32)),
    "googlenet": GoogLeNet,
    "squeezenet_places365": SqueezeNet,
    "two_figures_cnn": TwoFiguresCNN,
}
# The values at which these fields ask for nothing, so that a user's own network need not have the field.
PASSED_OVER = {"width": 1.0, "dropout": True, "dtype": None}


def create_model(name: str, *, num_classes: int, **fields: Any) -> nn.Module:
    """A model by name.

    Args:
      name: one of ``MODELS``, which gives a :class:`~interpjax.models.Classifier`; or the import path of a
        ``flax.linen.Module`` class, ``"mynets:SmallNet"``, in a notebook ``"__main__:SmallNet"``.
      num_classes: number of logits.
      **fields: ``width`` (multiplies the number of filters), ``dropout`` (whether training drops units), ``dtype``
        (to compute in), ``axis_name`` (of the devices that share batch statistics), and any other field of the class.
        An imported class need not declare these four as long as they ask for nothing: width 1, dropout True, dtype
        None, and any axis name.

    Raises:
      UserError: if there is no such model, or its class does not have one of the fields.
    """
    make = find_model("model", name)
    if name not in MODELS:
        fields = _declared(name, make, fields)
    return make(num_classes=num_classes, **fields)


def find_model(field: str, name: str) -> Callable[..., nn.Module]:
    """The function or class that makes a model of this name: an entry of ``MODELS``, or a class by its import path.

    Args:
      field: the field of a configuration that holds the name, as ``"config.model.name"``, for error messages.
      name: as in :func:`create_model`.

    Raises:
      UserError: if there is no such model; if an import path leads nowhere, or not to a ``flax.linen.Module`` class
        with a field ``num_classes`` that is called as ``(images, *, train)``.
    """
    if name in MODELS:
        return MODELS[name]
    if not is_import_path(name):
        raise UserError(
            f"{field} = {name!r}: choose one of {', '.join(MODELS)}, or give the import path of a network of your own, "
            "as 'mynets:SmallNet'"
        )
    found = import_object(field, name)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        given = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
        raise UserError(f"{field} = {name!r}: this is {given}, expected a class made of flax.linen.Module")
    if "num_classes" not in _fields(found):
        raise UserError(
            f"{field} = {name!r}: {found.__name__} has no field num_classes, expected `num_classes: int` in the class"
        )
    parameters = inspect.signature(found.__call__).parameters.values()
    if not any(parameter.name == "train" or parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        raise UserError(
            f"{field} = {name!r}: {found.__name__} takes no `train`; expected `__call__(self, images, *, train)`"
        )
    return found


def _declared(name: str, cls: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the fields that a user's class declares. Raises UserError for any other that asks for something."""
    declared = _fields(cls)
    for field, value in fields.items():
        passed_over = field == "axis_name" or value == PASSED_OVER.get(field, dataclasses.MISSING)
        if field not in declared and not passed_over:
            expected = f"expected {PASSED_OVER[field]!r}" if field in PASSED_OVER else "leave it out"
            raise UserError(f"{field} = {value!r}: {cls.__name__} of model {name!r} has no such field; {expected}")
    missing = [field for field, required in declared.items() if required and field not in (*fields, "num_classes")]
    if missing:
        raise UserError(
            f"name = {name!r}: {cls.__name__} has no default for {', '.join(missing)}; expected one for each"
        )
    return {field: value for field, value in fields.items() if field in declared}


def _fields(cls: Any) -> dict[str, bool]:
    """The fields that a class is made with; True for those that have no default and have to be given."""
    none = dataclasses.MISSING
    return {
        field.name: field.default is none and field.default_factory is none
        for field in dataclasses.fields(cls)
        if field.init
    }
