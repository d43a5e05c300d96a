"""Image classifiers whose filters can be tapped by layer name."""

from interpjax.models.squeezenet_weights import load_squeezenet_places365
from interpjax.models.taps import apply_in_training, apply_with_taps
from interpjax.models.zoo import MODELS, create_model

__all__ = ["MODELS", "apply_in_training", "apply_with_taps", "create_model", "load_squeezenet_places365"]
