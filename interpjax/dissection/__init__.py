"""Network Dissection: how well each filter's activation matches each concept's pixels."""

import importlib
from typing import Any

from interpjax.dissection.by_chance import chance
from interpjax.dissection.chance import Chance
from interpjax.dissection.comparison import Comparison, compare
from interpjax.dissection.dissect import dissect, dissect_all, dissect_arrays
from interpjax.dissection.feeds import ActivationsFn
from interpjax.dissection.group_result import GroupResult
from interpjax.dissection.images import ImageCounts
from interpjax.dissection.networks import Network, from_jax
from interpjax.dissection.protocol import PROTOCOLS, Protocol, get_protocol
from interpjax.dissection.result import Dissection
from interpjax.dissection.significance import bootstrap_all, bootstrap_score
from interpjax.dissection.torch_network import from_torch
from interpjax.preprocessing import Preprocessing

__all__ = [
    "PROTOCOLS",
    "ActivationsFn",
    "Chance",
    "Comparison",
    "Dissection",
    "GroupResult",
    "ImageCounts",
    "Network",
    "Preprocessing",
    "Protocol",
    "bootstrap_all",
    "bootstrap_score",
    "chance",
    "compare",
    "dissect",
    "dissect_all",
    "dissect_arrays",
    "from_jax",
    "from_torch",
    "from_workdir",
    "get_protocol",
    "report",
]
# They know of runs and of pages, of which dissection does not: loaded when they are asked for.
NAMES = {"from_workdir": "interpjax.experiment", "report": "interpjax.report.of_dissection"}


def __getattr__(name: str) -> Any:
    """Hands on what knows of a run or a page."""
    if name in NAMES:
        return getattr(importlib.import_module(NAMES[name]), name)
    raise AttributeError(f"module 'interpjax.dissection' has no attribute {name!r}")
