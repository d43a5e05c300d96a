"""Interpretable groups of filters: regularizers that form them, Network Dissection that measures them."""

from interpjax import data, dissection, models, regularizers
from interpjax.config.files import get_config
from interpjax.experiment import load, run
from interpjax.sweep import sweep

__all__ = ["data", "dissection", "get_config", "load", "models", "regularizers", "run", "sweep"]
