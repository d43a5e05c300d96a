"""Draws accuracy and score against the strength of each regularizer, and the score against the accuracy.

A section is a regularizer, and the name of a row its strength. Small marks are runs, one for each seed, and large ones
their means. The last panel shows whether one regularizer has the higher score at the same accuracy; there the means are
labelled with their strengths, but for those within one percentage point of the best accuracy, which lie too near to
each other.

Run:   python benchmarks/strengths.py results/two_figures_strengths/results.csv docs/images
Cost:  seconds. Writes strengths.png and strengths.pdf into the folder, and the runs that they show as strengths.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from dissected_runs import read_results
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from interpjax.report.comparison_figures import MARKERS
from interpjax.report.drawing import CYCLE, STYLE, Drawing
from interpjax.tables.choosing import WITHIN
from interpjax.tables.scores import scores_of

ACCURACY, SCORE = "accuracy", "interpretability_score"
WORDS = {"strength": "strength λ", ACCURACY: "test accuracy, %", SCORE: "interpretability score"}
PANELS = (("strength", ACCURACY), ("strength", SCORE), (ACCURACY, SCORE))


def read(results: Path) -> pd.DataFrame:
    """For each section, strength and seed the accuracy and the score.

    Raises:
      SystemExit: if the name of a row is no strength, or a run has no accuracy or score.
    """
    scores = scores_of(read_results(results))
    scores["strength"] = pd.to_numeric(scores["row"], errors="coerce")
    for name, words in WORDS.items():
        if name not in scores:
            raise SystemExit(f"{results}: no run has {name}; expected it of each")
        if (missing := scores[scores[name].isna()]).size:
            section, row, seed = missing[["section", "row", "seed"]].iloc[0]
            raise SystemExit(f"{results}, {section} / {row}, seed {seed}: no {words}; expected a number")
    if len(wrong := scores[~np.isfinite(scores["strength"]) | (scores["strength"] <= 0)]):
        raise SystemExit(
            f"{results}: strength λ = {wrong['row'].iloc[0]}; expected it above 0, for the axis is of powers"
        )
    return scores[["section", "strength", "seed", ACCURACY, SCORE]]


def drawn(scores: pd.DataFrame) -> Drawing:
    """The figure of such scores."""
    with rc_context(STYLE):
        figure = Figure((10, 3.4), layout="constrained")
        axes = figure.subplots(1, 3)
        for (x, y), panel in zip(PANELS, axes, strict=True):
            for number, (section, own) in enumerate(scores.groupby("section", sort=False)):
                looks = {"color": CYCLE[number], "marker": MARKERS[number]}
                means = own.groupby("strength")[[ACCURACY, SCORE]].mean().reset_index()
                panel.plot(own[x], own[y], linestyle="", markersize=4, alpha=0.4, **looks)
                panel.plot(means[x], means[y], linestyle="-" if x == "strength" else "", label=section, **looks)
            panel.set(xlabel=WORDS[x], ylabel=WORDS[y])
            if x == "strength":
                panel.set_xscale("log")
                panel.xaxis.set(major_locator=LogLocator(numticks=4), major_formatter="{x:g}")
                panel.minorticks_off()
        _label(axes[-1], scores)
        axes[0].legend(loc="lower left")
    return Drawing("strengths", figure, scores)


def _label(panel: Axes, scores: pd.DataFrame) -> None:
    """Writes the strengths beside the means whose accuracy is not that of the best."""
    means = scores.groupby(["section", "strength"])[[ACCURACY, SCORE]].mean()
    below = means[means[ACCURACY] < means[ACCURACY].max() - WITHIN]
    for (_, strength), place in below.iterrows():
        panel.annotate(f"{strength:g}", tuple(place), (5, 4), textcoords="offset points", fontsize="x-small")


def main() -> None:
    """Writes the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("folder", type=Path)
    flags = parser.parse_args()
    drawn(read(flags.results)).save(flags.folder)


if __name__ == "__main__":
    main()
