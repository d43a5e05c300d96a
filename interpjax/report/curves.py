"""Figures of a training: its loss and accuracy, and the norms of its groups, by step."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from interpjax.report.drawing import CYCLE, MOST_LABELS, STYLE, Drawing
from interpjax.training.diagnostics import GROUP_NORM

ZERO_SHARE = "groups/zero_groups/"  # the metric, before the layer's name
LOSSES = ("loss", "cross_entropy")
ACCURACIES = {"accuracy": "training", "eval/accuracy": "test", "validation/accuracy": "validation"}


def training_curves(metrics: Sequence[Mapping[str, float]]) -> Drawing | None:
    """Two panels: the loss with its terms, and the accuracies, by step; None if nothing was logged.

    Args:
      metrics: lines of ``metrics.jsonl``.
    """
    names = list(dict.fromkeys(name for row in metrics for name in row))
    losses = {name: name for name in names if name in LOSSES or name.startswith("penalty/")}
    panels = {"loss": losses, "accuracy": {name: ACCURACIES[name] for name in names if name in ACCURACIES}}
    if not losses:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9.2, 2.6), layout="constrained")
        for axes, (title, shown) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            for number, (name, label) in enumerate(shown.items()):
                rows = [row for row in metrics if name in row]
                marker = "o" if len(rows) < 20 else ""
                axes.plot(
                    [row["step"] for row in rows],
                    [row[name] for row in rows],
                    color=CYCLE[number % len(CYCLE)],
                    label=label.removeprefix("penalty/"),
                    linewidth=1.3,
                    marker=marker,
                    markersize=3,
                )
            axes.set_title(title, fontsize="small")
            axes.set_xlabel("step", fontsize="small")
            axes.tick_params(labelsize="small")
            axes.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))
        if all(row[name] > 0 for row in metrics for name in losses if name in row):
            axis = figure.axes[0].yaxis
            figure.axes[0].set_yscale("log")
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")  # the usual one writes powers as mathematics
            axis.set_minor_formatter(NullFormatter())
    wanted = ["step", *(name for shown in panels.values() for name in shown)]
    kept = [{name: row[name] for name in wanted if name in row} for row in metrics if len(set(wanted) & set(row)) > 1]
    return Drawing("training_curves", figure, pd.DataFrame(kept, columns=wanted))


def groups_over_training(metrics: Sequence[Mapping[str, float]]) -> Drawing | None:
    """Small panels: the norm of each group of filters of each layer by step, and the share of groups that are zero.

    Args:
      metrics: lines of ``metrics.jsonl``.

    Returns:
      None if there is nothing to draw of groups: the configured grouping may fit no layer.
    """
    rows = [row for row in metrics if any(name.startswith(ZERO_SHARE) for name in row)]
    if not rows:
        return None
    layers = [name.removeprefix(ZERO_SHARE) for name in rows[0] if name.startswith(ZERO_SHARE)]
    steps = [row["step"] for row in rows]
    across = min(len(layers) + 1, 4)
    down = -(-(len(layers) + 1) // across)
    with rc_context(STYLE):
        figure = Figure(figsize=(2.6 * across, 2.3 * down), layout="constrained")
        panels = list(figure.subplots(down, across, squeeze=False).flat)
        for layer, axes in zip(layers, panels, strict=False):
            names = [name for name in rows[0] if name.startswith(f"{GROUP_NORM}{layer}/")]
            for name in names:
                axes.plot(steps, [row[name] for row in rows], color=CYCLE[0], linewidth=1, alpha=0.75)
            if not names:
                axes.text(0.5, 0.5, "too many groups", ha="center", transform=axes.transAxes)
            axes.set_title(f"{layer}: norm of each group", fontsize="small")
        last = panels[len(layers)]
        for number, layer in enumerate(layers):
            last.plot(steps, [row[ZERO_SHARE + layer] for row in rows], color=CYCLE[number % len(CYCLE)], label=layer)
        last.set_title("share of zero groups", fontsize="small")
        last.set_ylim(-0.03, 1.03)
        if len(layers) <= MOST_LABELS:
            last.legend(fontsize="x-small")
        for axes in panels[: len(layers) + 1]:
            axes.tick_params(labelsize="x-small")
            axes.set_xlabel("step", fontsize="x-small")
        for axes in panels[: len(layers)]:
            axes.set_ylim(bottom=0)
        for axes in panels[len(layers) + 1 :]:
            axes.remove()
    wanted = ["step", *(name for name in rows[0] if name.startswith((GROUP_NORM, ZERO_SHARE)))]
    return Drawing("groups_over_training", figure, pd.DataFrame([{name: row[name] for name in wanted} for row in rows]))
