"""Image classifiers whose filters can be tapped by layer name."""

from interpjax.models.classifier import Classifier
from interpjax.models.inspection import LayerInfo, layers
from interpjax.models.squeezenet_weights import load_squeezenet_places365
from interpjax.models.taps import apply_in_training, apply_with_taps
from interpjax.models.torch_weights import export_torch, import_torch
from interpjax.models.zoo import MODELS, create_model

__all__ = [
    "MODELS",
    "Classifier",
    "LayerInfo",
    "apply_in_training",
    "apply_with_taps",
    "create_model",
    "export_torch",
    "import_torch",
    "layers",
    "load_squeezenet_places365",
]
