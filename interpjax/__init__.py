"""Interpretable groups of filters: regularizers that form them, Network Dissection that measures them."""

import importlib
from typing import TYPE_CHECKING, Any

from interpjax.sweep import sweep  # not when it is asked for, since the file bears the function's name

if TYPE_CHECKING:
    from interpjax import config, data, dissection, models, regularizers, training, visualization
    from interpjax.comparison import compare
    from interpjax.config.files import get_config
    from interpjax.experiment import load, run

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "compare",
    "config",
    "data",
    "dissection",
    "get_config",
    "load",
    "models",
    "regularizers",
    "run",
    "sweep",
    "training",
    "visualization",
]
ROOMS = ("config", "data", "dissection", "models", "regularizers", "training", "visualization")
NAMES = {
    "compare": "interpjax.comparison",
    "get_config": "interpjax.config.files",
    "load": "interpjax.experiment",
    "run": "interpjax.experiment",
}


def __getattr__(name: str) -> Any:
    """Loads what is asked for, so that one room does not bring the libraries of all others."""
    if name in ROOMS:
        return importlib.import_module(f"interpjax.{name}")
    if name in NAMES:
        return getattr(importlib.import_module(NAMES[name]), name)
    raise AttributeError(f"module 'interpjax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
