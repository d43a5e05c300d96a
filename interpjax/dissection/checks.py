"""What single arguments must be: names, whole numbers, a protocol; every error names the argument and its value."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from interpjax.dissection.protocol import PROTOCOLS, Protocol

LISTED = 20  # names in an error message
LONGEST = 80  # characters of a value in an error message


def check_layers(layers: Any) -> tuple[str, ...]:
    """Names of layers; raises ValueError unless they are a sequence of strings, one at least, and none twice."""
    names = check_names("layers", layers, "conv5")
    if not names:
        raise ValueError("layers = (): name one at least")
    if len(set(names)) < len(names):
        raise ValueError(f"layers: {next(name for name in names if names.count(name) > 1)!r} is twice in it")
    return names


def check_names(name: str, value: Any, example: str) -> tuple[str, ...]:
    """Names; raises ValueError unless they are a sequence of strings, which a string itself is not."""
    found = value.tolist() if getattr(value, "ndim", 0) == 1 and hasattr(value, "tolist") else value
    if isinstance(found, str | bytes) or not isinstance(found, Sequence):
        one = found if isinstance(found, str) and found else example
        raise ValueError(f"{name} = {shown(value)}: needed is a sequence of names, as ({one!r},)")
    for number, item in enumerate(found):
        if not isinstance(item, str):
            raise ValueError(f"{name}[{number}] = {shown(item)}: must be a name, a string")
    return tuple(found)


def check_whole(name: str, value: Any, least: int) -> int:
    """An int; raises ValueError unless it is a whole number (True is none) of ``least`` or more."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} = {shown(value)}: must be a whole number of {least} or more")
    return int(value)


def check_protocol(protocol: Any, name: str = "protocol") -> Protocol:
    """A protocol; raises ValueError if it is none."""
    if not isinstance(protocol, Protocol):
        known = protocol if isinstance(protocol, str) and protocol in PROTOCOLS else "paper"
        raise ValueError(f"{name} = {shown(protocol)}: a Protocol is needed, get_protocol({known!r})")
    return protocol


def listed(names: Sequence[str]) -> str:
    """The first of the names, and how many there are."""
    more = f", … ({len(names)} in all)" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def shown(value: Any) -> str:
    """A value in an error message: an array by its shape, anything else by its ``repr``, cut short."""
    if hasattr(value, "shape") and np.ndim(value):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
