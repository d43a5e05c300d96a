"""Draws accuracy and score against the strength of each regularizer, and the score against the accuracy.

A section is a regularizer, and the name of a row its strength. Marks are means over seeds, with their 95 % t-intervals;
in the last panel, which shows whether one regularizer has the higher score at the same accuracy, each mark is labelled
with its strength.

Run:   python benchmarks/strengths.py results/two_figures_strengths/results.csv docs/images
Cost:  seconds. Writes strengths.png, strengths.pdf and strengths.csv into the folder.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from interpjax.comparison.statistics import Mean, mean_interval
from interpjax.report.comparison_figures import MARKERS, reach
from interpjax.report.drawing import CYCLE, STYLE, Drawing
from interpjax.tables.scores import scores_of

ACCURACY, SCORE = "accuracy", "interpretability_score"
WORDS = {ACCURACY: "test accuracy, %", SCORE: "interpretability score"}


def means(scores: pd.DataFrame) -> pd.DataFrame:
    """For each section, strength and quantity the mean over seeds, with the ends of its interval."""
    rows = []
    for (section, row), own in scores.groupby(["section", "row"], sort=False):
        for quantity in WORDS:
            found = mean_interval(own[quantity].to_numpy(float))
            rows.append((section, float(row), quantity, *found))
    return pd.DataFrame(rows, columns=["section", "strength", "quantity", *Mean._fields])


def drawn(table: pd.DataFrame) -> Drawing:
    """The figure of such means."""
    with rc_context(STYLE):
        figure = Figure((10, 3.4), layout="constrained")
        panels = dict(zip((*WORDS, "front"), figure.subplots(1, 3), strict=True))
        for number, (section, own) in enumerate(table.groupby("section", sort=False)):
            looks = {"color": CYCLE[number], "marker": MARKERS[number], "capsize": 3, "label": section}
            by_quantity = {name: rows.set_index("strength") for name, rows in own.groupby("quantity")}
            reaches = {name: _reaches(rows) for name, rows in by_quantity.items()}
            for name, rows in by_quantity.items():
                panels[name].errorbar(rows.index, rows["value"], yerr=reaches[name], **looks)
            accuracy, score = by_quantity[ACCURACY]["value"], by_quantity[SCORE]["value"]
            panels["front"].errorbar(accuracy, score, yerr=reaches[SCORE], xerr=reaches[ACCURACY], **looks)
            for strength in accuracy.index:
                place = (accuracy[strength], score[strength])
                panels["front"].annotate(f"{strength:g}", place, (4, 4), textcoords="offset points", fontsize="x-small")
        for name, label in WORDS.items():
            panels[name].set(xscale="log", xlabel="strength λ", ylabel=label)
            panels[name].xaxis.set_major_formatter("{x:g}")
            panels[name].minorticks_off()
        panels["front"].set(xlabel=WORDS[ACCURACY], ylabel=WORDS[SCORE])
        panels[ACCURACY].legend(loc="lower left")
    return Drawing("strengths", figure, table)


def _reaches(rows: pd.DataFrame) -> list[list[float]]:
    sides = [reach(each).ravel() for each in rows[["value", "low", "high"]].itertuples(index=False, name=None)]
    return [list(side) for side in zip(*sides, strict=True)]


def main() -> None:
    """Writes the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("folder", type=Path)
    flags = parser.parse_args()
    drawn(means(scores_of(pd.read_csv(flags.results)))).save(flags.folder)


if __name__ == "__main__":
    main()
