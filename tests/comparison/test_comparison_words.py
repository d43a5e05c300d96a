"""What the page of a comparison says of its numbers, and that it claims no more than they show."""

import math
import re

import pytest
from elements import Elements
from made_up_runs import dissected, write_run

import interpjax
from interpjax.comparison.concepts import changes, detectors
from interpjax.comparison.over_images import compare_layers
from interpjax.comparison.runs import read_runs
from interpjax.comparison.settings import group_runs
from interpjax.comparison.statistics import Mean
from interpjax.comparison.tables import means, paired_differences
from interpjax.comparison.words import mean_words, p_words, percent_words, result, seeds_words, short_names, span_words
from interpjax.report.comparison_figures import Series, accuracy_against_score, grouped_bars

DETECTS = {1: [0, 0, 0, 0], 2: [0, 1, 0, 0], 3: [0, 1, 2, 0], 4: [0, 1, 2, 3]}  # so many concepts
ALONE = (math.nan, math.nan)


def runs_of(folder, scores):
    """Runs of several settings, ``{"gbn": [3, 2]}`` of two seeds with these scores."""
    return [
        write_run(
            folder / f"{name}-{seed}",
            {"conv1": dissected(DETECTS[score])},
            seed=seed,
            regularizer__block_norm__strength=0.1 * number,
        )
        for number, (name, own) in enumerate(scores.items())
        for seed, score in enumerate(own)
    ]


def result_of(folders):
    settings = group_runs(read_runs(folders))
    return result(settings, paired_differences(settings), {own.label: means(own) for own in settings})


@pytest.mark.parametrize(
    ("scores", "told", "rest"),
    [
        ({"wd": [2], "gbn": [3]}, ["gbn-0 3", "wd-0 2"], "difference +1; one seed each: nothing can be said of"),
        (
            {"wd": [2, 1, 2], "gbn": [3, 3, 2]},
            ["gbn 2.7 (1.2 to 4.1)", "wd 1.7 (0.2 to 3.1)"],
            r"difference +1.0 (−1.5 to +3.5), p 0.5 with 3 shared seeds, which can show 0.25 at best",
        ),
        ({"wd": [1, 1], "gbn": [3, 3]}, ["gbn 3 (all equal)", "wd 1 (all equal)"], "difference +2 (all equal), p 0.5"),
        ({"wd": [1], "gbn": [2, 3]}, ["gbn 2.5 (−3.9 to 8.9)", "wd-0 1"], "difference +1; one shared seed: nothing"),
        ({"wd": [1, 2]}, ["wd 1.5 (−4.9 to 7.9)"], "all runs are of one setting"),
        ({"a": [1], "b": [2], "c": [3]}, ["a-0 1", "b-0 2", "c-0 3"], "3 settings in 3 pairs: none shares the six"),
    ],
)
def test_the_result_is_told_in_one_sentence(tmp_path, scores, told, rest):
    found = result_of(runs_of(tmp_path, scores))
    assert [f"{name} {score}" for name, _, score in found["scores"]] == told
    assert found["rest"].startswith(rest)


def test_many_pairs_are_counted_beside_what_chance_gives(tmp_path):
    found = result_of(runs_of(tmp_path, {"a": [1, 2, 1, 2, 1, 2], "b": [2, 1, 2, 1, 2, 1], "c": [3, 4, 3, 4, 3, 4]}))
    # c is above a and above b in each of six seeds, p = 2/64.
    assert found["rest"] == (
        "3 settings in 3 pairs: of the 3 with seeds enough, 2 have p below 0.05 (by chance at most one in twenty has)"
    )


def test_a_setting_is_called_as_its_runs_are(tmp_path):
    names = ["wd-0", "wd-1", "gbn_p4_0", "gbn_p4_1", "one", "two", "alone-3"]
    runs = [
        write_run(tmp_path / name, {"conv1": dissected([0])}, seed=place, optimizer__momentum=0.1 * (place // 2))
        for place, name in enumerate(names)
    ]
    settings = group_runs(read_runs(runs))
    assert short_names(settings) == {"S1": "wd", "S2": "gbn_p4", "S3": "S3", "S4": "alone-3"}
    assert [seeds_words(own) for own in settings[::3]] == ["2 (seeds 0, 1)", "1 (seed 6)"]


def test_numbers_are_as_sure_as_they_are_shown():
    assert mean_words(Mean(3.0, *ALONE, 1)) == "3"
    assert mean_words(Mean(-2.0, *ALONE, 1), signed=True) == "−2"
    assert mean_words(Mean(0.0, *ALONE, 1), signed=True) == "0"
    assert mean_words(Mean(17.25, 16.0, 18.5, 3)) == "17.2 (16.0 to 18.5)"
    assert mean_words(Mean(2.0, 2.0, 2.0, 3), signed=True) == "+2 (all equal)"
    third = 0.1 + 0.2 - 0.3  # rounding alone
    assert percent_words(Mean(0.05, 0.05 - third, 0.05 + third, 3), signed=True) == "+5.00 (all equal)"
    assert percent_words(Mean(0.9, 0.89, 0.91, 3)) == "90.00 (89.00 to 91.00)"
    assert span_words((-1, -1, 0)) == "−1 (−1 to 0)"
    assert (p_words(1.0, smallest=1.0), p_words(1.0, smallest=0.25), p_words(0.0312)) == ("–", "1", "0.0312")


def test_gained_and_lost_are_told_by_layer_with_both_ious(tmp_path):
    a = write_run(tmp_path / "a", {"conv1": dissected([0, 0]), "conv2": dissected([0, 1])})
    b = write_run(tmp_path / "b", {"conv1": dissected([0, 2]), "conv2": dissected([0, 0])}, seed=1)
    runs = read_runs([a, b])
    compared, _ = compare_layers(*runs, samples=19)
    (change,) = changes([(runs[0], runs[1])], {run.name: detectors(run) for run in runs}, compared)
    assert (change.gained, change.lost, change.kept) == ([("dog", "object")], [("grass", "object")], 1)
    rows = [(each.layer, each.concept[0], each.gained, each.before, each.after) for each in change.by_layer]
    assert rows == [("conv1", "dog", True, 0.0, 0.5), ("conv2", "grass", False, 0.5, 0.0)]
    assert [each.shares for each in change.by_layer] == [(0.0, 1.0), (1.0, 0.0)]
    interpjax.compare([a, b], tmp_path / "page.html", samples=19)
    words = Elements((tmp_path / "page.html").read_text()).words
    assert "dog conv1 gained 0.000 0.500 0 % 100 %" in words
    assert "grass conv2 lost 0.500 0.000 100 % 0 %" in words
    assert "twice the share of the draws in which the difference is 0" in words


def test_groups_of_a_run_without_terms_on_groups_are_called_so(tmp_path):
    folders = [
        write_run(
            tmp_path / name, {"conv1": dissected([0, 1], groups=True)}, regularizer__block_norm__strength=strength
        )
        for name, strength in (("trained", 0.1), ("cut", 0.0))
    ]
    interpjax.compare(folders, tmp_path / "page.html")
    words = Elements((tmp_path / "page.html").read_text()).words
    assert "cut : trained without any term on groups" in words
    assert "trained : trained without" not in words


def test_marks_of_one_place_are_beside_each_other_and_lone_seeds_have_no_interval():
    def series(label):
        return Series(label, {"interpretability_score": (18.0, *ALONE), "accuracy": (1.0, *ALONE)}, [(18.0, 1.0)])

    axes = accuracy_against_score([series("S1"), series("S2")]).figure.axes[0]
    left, right = (line.get_xdata()[0] for line in axes.lines if line.get_label() in ("S1", "S2"))
    assert left < 18 < right
    assert right - left < 0.05
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    drawn = grouped_bars([Series("S1", {"conv1": (3.0, *ALONE)}), Series("S2", {"conv1": (4.0, 3.0, 5.0)})], "bars")
    ends = [line.get_ydata().tolist() for line in drawn.figure.axes[0].lines]  # the caps, lower and upper of each
    assert [end for end in ends if not math.isnan(end[0])] == [[3.0], [5.0]]
    assert "nan" not in re.sub(r"<metadata>.*?</metadata>", "", drawn.svg(), flags=re.DOTALL)
