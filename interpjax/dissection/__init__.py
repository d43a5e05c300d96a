"""Network Dissection: how well each filter's activation matches each concept's pixels."""

from interpjax.dissection.dissect import ActivationsFn, Dissection, dissect, dissect_arrays
from interpjax.dissection.protocol import Protocol, get_protocol

__all__ = ["ActivationsFn", "Dissection", "Protocol", "dissect", "dissect_arrays", "get_protocol"]
