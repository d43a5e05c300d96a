"""Image classifiers whose filters can be tapped by layer name."""

from interpjax.models.classifier import Classifier
from interpjax.models.interventions import apply_with_changes
from interpjax.models.layers import Layer, LayerInfo, Outline, check_logits, layers, outline, outside_of_devices
from interpjax.models.offers import offer
from interpjax.models.taps import apply_in_training, apply_with_taps
from interpjax.models.weights.files import read_weights
from interpjax.models.weights.loading import load_weights
from interpjax.models.weights.torch import export_torch, import_torch
from interpjax.models.zoo import MODELS, create_model, find_model

__all__ = [
    "MODELS",
    "Classifier",
    "Layer",
    "LayerInfo",
    "Outline",
    "apply_in_training",
    "apply_with_changes",
    "apply_with_taps",
    "check_logits",
    "create_model",
    "export_torch",
    "find_model",
    "import_torch",
    "layers",
    "load_weights",
    "offer",
    "outline",
    "outside_of_devices",
    "read_weights",
]
