"""Draws the picture of the README from a workdir: unique detectors of each layer, and one detector of each concept.

python docs/images/detectors.py workdirs/two_figures_gbn docs/images/detectors.png
"""

import json
import sys
from pathlib import Path

import pandas as pd
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from interpjax.report.figures import COLORS

LAYER = "conv2"
ROWS = 6


def best_detectors(workdir: Path) -> pd.DataFrame:
    """The unit with the highest IoU for each of the concepts that the layer detects best."""
    tally = pd.read_csv(workdir / "dissection" / LAYER / "tally.csv")
    return tally.sort_values("score", ascending=False).drop_duplicates("label").head(ROWS)


def draw_bars(figure: Figure, place: SubplotSpec, layers: dict) -> None:
    """Stacked bars of the unique detectors of each layer."""
    axes, bottoms = figure.add_subplot(place), [0] * len(layers)
    for category in next(iter(layers.values()))["by_category"]:
        heights = [layer["by_category"][category] for layer in layers.values()]
        axes.bar(list(layers), heights, 0.6, bottoms, label=category, color=COLORS[category])
        bottoms = [low + high for low, high in zip(bottoms, heights, strict=True)]
    axes.set_ylabel("unique detectors")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small", loc="upper left", reverse=True)
    axes.set_ylim(top=1.5 * max(bottoms))


def main(workdir: Path, output: Path) -> None:
    """Writes the picture."""
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    left, right = figure.add_gridspec(1, 2, width_ratios=(1, 2.6))
    draw_bars(figure, left, json.loads((workdir / "summary.json").read_text())["layers"])
    strips = right.subgridspec(3, 2)
    for place, (_, row) in zip(strips, best_detectors(workdir).iterrows(), strict=True):
        axes = figure.add_subplot(place)
        axes.imshow(pyplot.imread(workdir / "figures" / "top_images" / LAYER / f"unit{row.unit:04d}.jpg"))
        axes.set_title(f"{LAYER}, unit {row.unit}: {row.label}, IoU {row.score:.2f}", fontsize="small")
        axes.set_axis_off()
    figure.savefig(output, dpi=100)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
