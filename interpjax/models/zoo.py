"""Names of models."""

import functools
from collections.abc import Callable
from typing import Any

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


def create_model(name: str, *, num_classes: int, **fields: Any) -> Classifier:
    """A model by name.

    Args:
      name: one of ``MODELS``.
      num_classes: number of logits.
      **fields: ``width`` (multiplies filters), ``dropout``, ``dtype`` (to compute in), ``axis_name`` (devices that
        share batch statistics).

    Raises:
      ValueError: if there is no such model.
    """
    if name not in MODELS:
        raise ValueError(f"model {name!r}: choose one of {', '.join(MODELS)}")
    return MODELS[name](num_classes=num_classes, **fields)
