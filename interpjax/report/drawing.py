"""A figure with the numbers it was drawn from: for pages as SVG, for papers as PDF and PNG with a CSV beside."""

import contextlib
import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import markupsafe
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interpjax.atomic import write_atomic

# Okabe and Ito's colours, which people of any colour vision can tell apart.
COLORS = {
    "object": "#0072b2",
    "part": "#56b4e9",
    "scene": "#d55e00",
    "material": "#e69f00",
    "texture": "#009e73",
    "color": "#cc79a7",
    "shape": "#0072b2",
    "color-shape": "#d55e00",
}
SPARE_COLOR = "#7f8794"
CYCLE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f8794")
MOST_LABELS = 12  # layers whose names fit below bars, and in a legend
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "interpjax",
    "pdf.fonttype": 42,  # letters that can be edited, which publishers ask for
    "font.family": "sans-serif",
    "text.parse_math": False,  # a name may have a $ in it
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "savefig.transparent": True,
}
WITHOUT_DATE: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes:
      name: of its files.
      figure: itself.
      table: the numbers it was drawn from.
    """

    name: str
    figure: Figure
    table: pd.DataFrame

    def save(self, folder: Path) -> None:
        """Writes ``NAME.pdf``, ``NAME.png`` and ``NAME.csv``."""
        for kind in ("pdf", "png"):
            write_atomic(folder / f"{self.name}.{kind}", self._rendered(kind))
        write_atomic(folder / f"{self.name}.csv", self.table.to_csv(index=False))

    def svg(self) -> markupsafe.Markup:
        """For use inside of a page; what it says has to be told by the text around it."""
        text = self._rendered("svg").decode()
        start = text.index("<svg")
        hidden = text[start:].replace("<svg", '<svg aria-hidden="true"', 1)
        # Figures of one page would have ids in common.
        own = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{self.name}-", hidden)
        return markupsafe.Markup(own)  # drawn here, its text escaped by matplotlib

    def _rendered(self, kind: str) -> bytes:
        buffer = io.BytesIO()
        with rc_context(STYLE):
            self.figure.savefig(buffer, format=kind, dpi=200, metadata=WITHOUT_DATE[kind])
            self.figure.set_layout_engine("none")  # it is laid out now, which takes longer than drawing it
        return buffer.getvalue()


@contextlib.contextmanager
def drawing(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of so many inches with a single panel, drawn in the style that all of them have."""
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots()
