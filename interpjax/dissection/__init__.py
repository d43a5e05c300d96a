"""Network Dissection: how well each filter's activation matches each concept's pixels."""

from interpjax.dissection.dissect import ActivationsFn, Dissection, dissect, dissect_arrays
from interpjax.dissection.networks import Network, Preprocessing, from_jax, from_torch
from interpjax.dissection.protocol import Protocol, get_protocol

__all__ = [
    "ActivationsFn",
    "Dissection",
    "Network",
    "Preprocessing",
    "Protocol",
    "dissect",
    "dissect_arrays",
    "from_jax",
    "from_torch",
    "get_protocol",
]
