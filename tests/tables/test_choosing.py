"""The rule by which strengths are chosen, by hand and against brute force."""

import dataclasses
import math

import pandas as pd
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from interpjax.config import override
from interpjax.tables import Row, Table
from interpjax.tables.choosing import choose

CONFIG = override(tiny.tiny_config(), {"data.validation": 0.1, "dissection.half": "validation"})
NAMES = ("a", "b", "c", "d")
TABLE = Table("search", tuple(Row("s", name, CONFIG) for name in NAMES), (0, 1), search=True)


def scores(accuracies, found):
    rows = [
        {"section": "s", "row": name, "seed": seed, "validation_accuracy": accuracy, "interpretability_score": score}
        for name, accuracy, score in zip(NAMES, accuracies, found, strict=True)
        for seed in (0, 1)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("accuracies", "found", "expected"),
    [
        ((99, 99, 99, 99), (10, 12, 11, 9), "b"),  # the best score
        ((99, 97.9, 98.1, 99), (10, 20, 11, 9), "c"),  # whose accuracy is within one point
        ((99, 98, 90, 90), (10, 12, 30, 30), "b"),  # one point is within
        ((98, 99, 99, 99), (12, 12, 12, 11), "b"),  # of equals the higher accuracy, then the earlier
    ],
)
def test_rule_by_hand(accuracies, found, expected):
    assert choose(TABLE, scores(accuracies, found))["s"].name == expected


def test_means_of_the_same_images_are_equal_whatever_the_seeds():
    found = scores((0, 0, 0, 0), (5, 5, 0, 0))
    found["validation_accuracy"] = [100 * right / 540 for right in (540, 536, 538, 538, 0, 0, 0, 0)]
    assert found["validation_accuracy"][:2].mean() < found["validation_accuracy"][2:4].mean()  # by rounding alone
    assert choose(TABLE, found)["s"].name == "a"


@given(
    st.lists(st.integers(600, 640), min_size=4, max_size=4),  # tenths of a point, most of which no binary number is
    st.lists(st.integers(0, 6), min_size=4, max_size=4),
)
def test_no_row_that_is_accurate_enough_has_a_better_score(accuracies, found):
    chosen = NAMES.index(choose(TABLE, scores([each / 10 for each in accuracies], found))["s"].name)
    enough = [n for n in range(4) if accuracies[n] >= max(accuracies) - 10]
    assert chosen in enough
    assert found[chosen] == max(found[n] for n in enough)
    equal = [n for n in enough if found[n] == found[chosen]]
    assert chosen == min(equal, key=lambda n: (-accuracies[n], n))


def test_nothing_is_chosen_before_all_runs_are_finished():
    some = scores((99,) * 4, (1, 2, 3, 4))
    assert choose(TABLE, some[:-1]) == {}
    assert choose(TABLE, some[:0]) == {}
    without = some[some["row"] != "d"]
    assert choose(TABLE, without) == {}
    assert choose(TABLE, without, diverged={"s/d"})["s"].name == "c"
    assert choose(TABLE, some[:0], diverged={f"s/{name}" for name in NAMES}) == {}


@pytest.mark.parametrize("number", ["validation_accuracy", "interpretability_score"])
def test_nothing_is_chosen_without_both_numbers_of_every_seed(number):
    some = scores((99,) * 4, (1, 2, 3, 4))
    assert choose(TABLE, some.drop(columns=number)) == {}
    some[number] = some[number].astype(float)
    some.loc[0, number] = math.nan
    assert choose(TABLE, some) == {}


@pytest.mark.parametrize("fields", [{"dissection.half": "test"}, {"dissection.half": "all"}, {"data.validation": 0.0}])
def test_nothing_is_chosen_on_what_is_reported(fields):
    rows = (*TABLE.rows[:1], Row("s", "e", override(CONFIG, fields)))
    with pytest.raises(ValueError, match=r"row s/e: .* for a search chooses nothing by what is reported"):
        dataclasses.replace(TABLE, rows=rows)
