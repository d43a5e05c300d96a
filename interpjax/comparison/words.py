"""What a comparison says: numbers with their intervals as people read them, and the result in one sentence."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from interpjax.comparison.settings import Setting
from interpjax.comparison.statistics import Mean
from interpjax.comparison.tables import Pair

SCORE = "interpretability_score"
MOST_SETTINGS = 8  # whose scores the first sentence has
LEVEL = 0.05


def mean_words(mean: Mean, signed: bool = False) -> str:
    """``"17.3 (16.1 to 18.5)"``, or ``"17 (all equal)"``; of one seed alone, the value."""
    if not mean.has_interval:
        return _number(mean.value, "g", signed) + (" (all equal)" if mean.all_equal else "")
    return _with_span([_number(each, ".1f", signed) for each in mean[:3]])


def percent_words(mean: Mean, signed: bool = False) -> str:
    """A share in percent, as ``"99.20 (98.10 to 100.30)"``; otherwise as :func:`mean_words`."""
    value, low, high = (_number(100 * each, ".2f", signed) for each in mean[:3])
    if not mean.has_interval:
        return value + (" (all equal)" if mean.all_equal else "")
    return _with_span([value, low, high])


def span_words(difference: tuple[float, float, float]) -> str:
    """A difference of counts with its interval, as ``"+2 (−1 to +4)"``."""
    return _with_span([_number(each, "g", True) for each in difference])


def p_words(p: float, smallest: float = 0.0) -> str:
    """A p-value; a dash where it can be nothing but 1, as of a single pair."""
    return "–" if smallest >= 1 else f"{p:.3g}"


def seeds_words(setting: Setting) -> str:
    """``"1 (seed 0)"``, ``"3 (seeds 0, 1, 2)"``."""
    seeds = [str(run.seed) for run in setting.runs]
    return f"{len(seeds)} ({'seed' if len(seeds) == 1 else 'seeds'} {', '.join(seeds)})"


def short_names(settings: Sequence[Setting]) -> dict[str, str]:
    """What the runs of each setting are called, by its label: ``gbn``, if they are ``gbn-0``, ``gbn-1`` and so on.

    The label itself where their names differ by more than a number, or those of two settings begin alike.
    """
    names = {setting.label: _common_name([run.name for run in setting.runs]) for setting in settings}
    taken = list(names.values())
    return {label: name if name and taken.count(name) == 1 else label for label, name in names.items()}


def _common_name(runs: Sequence[str]) -> str:
    if len(runs) == 1:
        return runs[0]
    found = {re.sub(r"[\W_]*(?:(?<![a-z])seed)?[\W_]*\d+$", "", run, flags=re.IGNORECASE) for run in runs}
    return found.pop() if len(found) == 1 else ""


def result(
    settings: Sequence[Setting], pairs: Sequence[Pair], own_means: Mapping[str, Mapping[str, Mean]]
) -> dict[str, Any]:
    """The result in one sentence, on the interpretability score.

    Returns:
      ``scores``, the name, label and score of each setting, empty if there are too many; and ``rest``, what can be said
      of their differences.
    """
    names = short_names(settings)
    told = list(settings) if len(settings) <= MOST_SETTINGS else []
    if len(pairs) == 1:  # their difference is the second minus the first
        told.reverse()
    return {
        "scores": [(names[own.label], own.label, mean_words(own_means[own.label][SCORE])) for own in told],
        "rest": _of_one_pair(pairs[0]) if len(pairs) == 1 else _of_many(pairs, len(settings)),
    }


def _of_one_pair(pair: Pair) -> str:
    found = next((each for each in pair.differences if each.quantity == SCORE), None)
    if found is None:
        return f"not tested against each other, for {'; '.join(pair.obstacles)}"
    difference = f"difference {mean_words(found.difference, signed=True)}"
    shared = len(pair.seeds)
    if shared > 1:
        best = f"{found.smallest_p:.2g}"
        return f"{difference}, p {p_words(found.p)} with {shared} shared seeds, which can show {best} at best"
    alone = len(pair.first.runs) == len(pair.second.runs) == 1
    return f"{difference}; {'one seed each' if alone else 'one shared seed'}: nothing can be said of the settings"


def _of_many(pairs: Sequence[Pair], settings: int) -> str:
    if not pairs:
        return "all runs are of one setting, so that there is nothing to compare but their seeds"
    tested = [each for pair in pairs for each in pair.differences if each.quantity == SCORE]
    able = [each for each in tested if each.smallest_p <= LEVEL]
    said = f"{settings} settings in {len(pairs)} pairs"
    if not tested:
        return f"{said}: the scores of no two of them can be tested"
    if not able:
        return f"{said}: none shares the six seeds that p below 0.05 takes, so the test can show nothing"
    below = sum(each.p < LEVEL for each in able)
    have = f"{below or 'none'} {'have' if below > 1 else 'has'} p below 0.05"
    return f"{said}: of the {len(able)} with seeds enough, {have} (by chance at most one in twenty has)"


def _number(value: float, form: str, signed: bool) -> str:
    """With a true minus; signed, with a plus too, but at 0."""
    text = format(value, form)
    if not float(text):
        return text.removeprefix("-")
    return ("+" if signed and value > 0 else "") + text.replace("-", "−")


def _with_span(words: Sequence[str]) -> str:
    value, low, high = words
    return f"{value} ({low} to {high})"
