"""Pictures of what units respond to, and what they and each pixel do to the scores of classes."""

from interpjax.visualization.ablation import Ablation, ablate
from interpjax.visualization.activation_maximization import maximize_activation, maximize_activations
from interpjax.visualization.class_model import class_model
from interpjax.visualization.filters import FirstLayerFilters, first_layer_filters
from interpjax.visualization.pictures import displayed
from interpjax.visualization.saliency import grad_cam, saliency, smooth_grad
from interpjax.visualization.unit_figure import show_unit

__all__ = [
    "Ablation",
    "FirstLayerFilters",
    "ablate",
    "class_model",
    "displayed",
    "first_layer_filters",
    "grad_cam",
    "maximize_activation",
    "maximize_activations",
    "saliency",
    "show_unit",
    "smooth_grad",
]
