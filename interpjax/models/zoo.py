"""Names of models."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn

from interpjax.models.alexnet import AlexNet
from interpjax.models.squeezenet import SqueezeNet
from interpjax.models.two_figures_cnn import TwoFiguresCNN

MODELS: dict[str, Callable[..., nn.Module]] = {
    "alexnet": AlexNet,
    "alexnet_b": functools.partial(AlexNet, norm=True),
    "squeezenet_places365": SqueezeNet,
    "two_figures_cnn": TwoFiguresCNN,
}


def create_model(name: str, *, num_classes: int, **fields: Any) -> nn.Module:
    """A model by name.

    Args:
      name: one of ``MODELS``.
      num_classes: number of logits.
      **fields: ``width`` (multiplies filters), ``dropout``, ``axis_name`` (devices that share batch statistics).

    Raises:
      ValueError: if there is no such model.
    """
    if name not in MODELS:
        raise ValueError(f"model {name!r}: choose one of {', '.join(MODELS)}")
    return MODELS[name](num_classes=num_classes, **fields)
