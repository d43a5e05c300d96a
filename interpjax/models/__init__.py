"""Image classifiers whose filters can be tapped by layer name."""

from interpjax.models.classifier import Classifier
from interpjax.models.inspection import LayerInfo, layers
from interpjax.models.loading import load_weights
from interpjax.models.taps import apply_in_training, apply_with_taps
from interpjax.models.torch_weights import export_torch, import_torch
from interpjax.models.weight_files import read_weights
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
    "load_weights",
    "read_weights",
]
