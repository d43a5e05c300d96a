"""Names and addresses on a page: of units, groups and concepts, all numbered from 1 as in files."""

import re
from collections.abc import Sequence

import pandas as pd

from interpjax.report.drawing import COLORS


def unit_address(layer: str, unit: int) -> str:
    """``conv5-unit-7`` of the unit 6, counted from 0."""
    return f"{_word(layer)}-unit-{unit + 1}"


def group_address(layer: str, group: int) -> str:
    """``conv5-group-2`` of the group 1, counted from 0."""
    return f"{_word(layer)}-group-{group + 1}"


def layer_address(layer: str) -> str:
    """``layer-conv5``."""
    return f"layer-{_word(layer)}"


def concept_addresses(concepts: pd.DataFrame) -> list[str]:
    """``concept-grass`` for each row; where several would have one address, their numbers stand behind it."""
    words = [f"concept-{_word(name)}" for name in concepts["name"]]
    found: list[str] = []
    for word, number in zip(words, concepts["number"], strict=True):
        own = word
        while words.count(own) > 1 or own in found or (own != word and own in words):
            own = f"{own}-{number}"
        found.append(own)
    return found


def category_class(category: str) -> str:
    """The class that gives a category its colour; that of others has none."""
    return category if category in COLORS else "other"


def _word(name: str) -> str:
    return re.sub(r"\s+", "-", name.strip())


def share(value: float, digits: int = 2) -> str:
    """A share in percent."""
    return f"{100 * value:.{digits}f} %"


def span(bounds: Sequence[float] | None, form: str = "g") -> str:
    """``46–53``; empty where there is none."""
    return "" if bounds is None else f"{bounds[0]:{form}}–{bounds[1]:{form}}"
