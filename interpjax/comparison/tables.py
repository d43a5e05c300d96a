"""The tables over runs and settings."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from interpjax.comparison.runs import Run, differences_in_layers, differences_in_measure, differences_in_test
from interpjax.comparison.settings import Setting
from interpjax.comparison.statistics import Difference, Mean, mean_interval, paired_difference
from interpjax.sweep import SCORES


class Pair(NamedTuple):
    """Two settings beside each other.

    Attributes:
      first: the one.
      second: the other.
      seeds: that both have.
      differences: of all that can be held against each other; empty without common seeds.
      obstacles: why some or all of it cannot, in words.
    """

    first: Setting
    second: Setting
    seeds: tuple[int, ...]
    differences: list[Difference]
    obstacles: list[str]


def runs_table(settings: Sequence[Setting]) -> pd.DataFrame:
    """A row for each run, setting by setting.

    Returns:
      ``run``, its name; ``setting``, its number from 1; the fields that tell the settings apart; ``seed``;
      ``accuracy``, ``top5``, ``validation_accuracy``, ``interpretability_score`` and ``rud`` where they were measured;
      the unique detectors of each layer (a column named as the layer); and ``workdir``.
    """
    rows: list[dict[str, Any]] = []
    for setting in settings:
        for run in setting.runs:
            scores = {name: run.summary[name] for name in SCORES if name in run.summary}
            layers = {layer: result.unique_detectors() for layer, result in run.results.items()}
            own = {"run": run.name, "setting": setting.number, **setting.fields, "seed": run.seed}
            rows.append({**own, **scores, **layers, "workdir": str(run.workdir)})
    table = pd.DataFrame(rows)
    return table[[*(name for name in table.columns if name != "workdir"), "workdir"]]


def means(setting: Setting) -> dict[str, Mean]:
    """The mean over seeds of all that every run of a setting was scored by, see :attr:`Run.scores`."""
    scores = [run.scores for run in setting.runs]
    return {
        name: mean_interval(np.array([own[name] for own in scores]))
        for name in scores[0]
        if all(name in own for own in scores)
    }


def category_means(setting: Setting) -> dict[str, Mean]:
    """The mean over seeds of the unique detectors of each category, summed over layers."""
    counts = [
        {
            category: sum(result.by_category()[category] for result in run.results.values())
            for category in run.dissection.categories
        }
        for run in setting.runs
    ]
    return {category: mean_interval(np.array([float(own[category]) for own in counts])) for category in counts[0]}


def paired_differences(settings: Sequence[Setting]) -> list[Pair]:
    """All pairs of settings, with what differs between them over the seeds that both have."""
    return [_pair(first, second) for first, second in itertools.combinations(settings, 2)]


def _pair(first: Setting, second: Setting) -> Pair:
    ours, theirs = first.by_seed(), second.by_seed()
    seeds = tuple(seed for seed in ours if seed in theirs)
    runs = [(ours[seed], theirs[seed]) for seed in seeds]
    obstacles = [] if seeds else ["they have no seed in common"]
    # Each seed for itself, for it may have images of its own.
    measure, layers, test = (
        list(dict.fromkeys(why for one, other in runs or [(first.runs[0], second.runs[0])] for why in find(one, other)))
        for find in (differences_in_measure, differences_in_layers, differences_in_test)
    )
    if measure or layers:
        obstacles.append(f"scores are not held against each other, since {' and '.join(measure + layers)}")
    if test:
        obstacles.append(f"accuracies are not held against each other, since {' and '.join(test)}")
    against = {"accuracy": test, "interpretability_score": measure + layers}
    differences = [_difference(name, runs) for name in _common_scores(runs) if not against.get(name, measure)]
    return Pair(first, second, seeds, differences, obstacles)


def _common_scores(runs: Sequence[tuple[Run, Run]]) -> list[str]:
    flat = [run.scores for pair in runs for run in pair]
    return [name for name in flat[0] if all(name in own for own in flat)] if flat else []


def _difference(quantity: str, runs: Sequence[tuple[Run, Run]]) -> Difference:
    return paired_difference(
        quantity, np.array([second.scores[quantity] - first.scores[quantity] for first, second in runs])
    )
