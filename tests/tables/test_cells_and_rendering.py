"""The numbers of a table by hand, and the three forms that they are written in."""

import dataclasses
import io
import math

import numpy as np
import pandas as pd
import tiny
from scipy import stats

from interpjax.config import override
from interpjax.tables import Row, Table, rendering
from interpjax.tables.cells import lines
from interpjax.tables.notes import notes_on_choice, notes_on_runs
from interpjax.tables.scores import scores_of

BASE = [12.0, 14.0, 13.0, 15.0]
OTHER = [15.0, 16.0, 13.0, 18.0]


def table(columns=("accuracy", "interpretability_score")):
    config = tiny.tiny_config()
    rows = (
        Row("A & B", "base_line", config, {"interpretability_score": 130}),
        Row("A & B", "other", config, {"interpretability_score": 187}),
        Row("C", "alone|", config),
        Row("C", "never run", config),
    )
    return Table("A title", rows, (0, 1, 2, 3), columns, notes="A note.")


def scores():
    rows = [("A & B", "base_line", seed, 50.0, value) for seed, value in enumerate(BASE)]
    rows += [("A & B", "other", seed, 51.0, value) for seed, value in enumerate(OTHER)]
    rows += [("C", "alone|", 2, 60.0, 9.0)]
    return pd.DataFrame(rows, columns=["section", "row", "seed", "accuracy", "interpretability_score"])


def test_means_and_differences_are_those_of_scipy():
    made = {line.row.name: line for line in lines(table(), scores())}
    mean = made["base_line"].means["interpretability_score"]
    low, high = stats.t.interval(0.95, 3, np.mean(BASE), stats.sem(BASE))
    np.testing.assert_allclose(mean[:3], (np.mean(BASE), low, high))
    assert made["base_line"].differences == {}
    difference = made["other"].differences["interpretability_score"]
    apart = np.subtract(OTHER, BASE)
    expected = stats.permutation_test((apart,), np.mean, permutation_type="samples", n_resamples=np.inf)
    np.testing.assert_allclose(difference.p, expected.pvalue)
    np.testing.assert_allclose(difference.difference.value, apart.mean())
    assert made["alone|"].means["interpretability_score"].seeds == 1
    assert made["alone|"].differences == made["never run"].means == {}


def test_seeds_that_one_row_lacks_are_left_out_of_the_difference():
    fewer = scores().query("row != 'other' or seed != 3")
    made = {line.row.name: line for line in lines(table(), fewer)}
    mean = made["other"].differences["interpretability_score"].difference
    assert mean.seeds == 3
    np.testing.assert_allclose(mean.value, np.mean(np.subtract(OTHER, BASE)[:3]))


def test_equal_scores_that_were_summed_differently_differ_by_nothing():
    found = scores()
    found.loc[found["row"] == "other", "interpretability_score"] = [value + 1e-15 * value for value in BASE]
    made = {line.row.name: line for line in lines(table(), found)}
    difference = made["other"].differences["interpretability_score"]
    assert (difference.difference.value, difference.p) == (0, 1)


def test_a_search_has_no_baseline():
    searched = {"dissection.half": "validation", "data.validation": 0.2}
    rows = tuple(dataclasses.replace(row, config=override(row.config, searched)) for row in table().rows)
    search = dataclasses.replace(table(), rows=rows, search=True)
    worse = scores()
    worse.loc[worse["row"] == "other", "accuracy"] -= 2.5
    made = lines(search, worse)
    assert all(line.differences == {} and math.isnan(line.apart) for line in made)
    assert not any(map(rendering.is_apart, made))
    cells = pd.read_csv(io.StringIO(rendering.to_csv(search, made)))
    assert "difference_value" not in cells
    assert cells["accuracy_apart"].isna().all()


def test_a_column_of_fewer_seeds_than_the_others_says_so():
    fewer = scores()
    fewer.loc[(fewer["row"] == "other") & (fewer["seed"] == 3), "interpretability_score"] = None
    text = rendering.to_markdown(table(), lines(table(), fewer))
    assert "|  | other | 4 | 51 (all equal) | 14.67 ± 3.8 (3 seeds) | 187 |" in text
    assert "| A & B | other | 4 | 0.12 | +1 (all equal) | 0.12 | +1.667 ± 3.8 (3 seeds) | 0.5 |" in text


def test_a_mean_of_nothing_but_rounding_is_none():
    found = scores()
    for row, values in (("base_line", [0, 0, 0.3, 0]), ("other", [0.1, 0.2, 0, 0])):
        found.loc[found["row"] == row, "interpretability_score"] = values
    difference = lines(table(), found)[1].differences["interpretability_score"].difference
    assert 0 < abs(difference.value) < 1e-12
    assert "| +0 ± 0.34 |" in rendering.to_markdown(table(), lines(table(), found))


def test_wide_intervals_are_written_out():
    wide = scores()
    wide.loc[wide["row"] == "other", "interpretability_score"] = [437.4, 562.6, 437.4, 562.6]
    assert "| 500 ± 115 |" in rendering.to_markdown(table(), lines(table(), wide))
    wide.loc[wide["row"] == "other", "interpretability_score"] = [445.8, 554.2, 445.8, 554.2]
    assert "| 500 ± 100 |" in rendering.to_markdown(table(), lines(table(), wide))


def test_markdown_has_a_row_for_each_and_escapes():
    text = rendering.to_markdown(table(), lines(table(), scores()))
    assert "| A & B | base_line | 4 | 50 (all equal) | 13.5 ± 2.1 | 130 |" in text
    assert "|  | other | 4 | 51 (all equal) | 15.5 ± 3.3 | 187 |" in text
    assert r"| C | alone\| | 1 | 60 | 9 | – |" in text
    assert "|  | never run | 0 | – | – | – |" in text
    assert "| A & B | other | 4 | 0.12 | +1 (all equal) | 0.12 | +2 ± 2.3 | 0.25 |" in text
    assert "A note." in text


def test_scores_at_unequal_accuracy_are_marked():
    assert "†" not in rendering.to_markdown(table(), lines(table(), scores()))  # one point, and no more
    worse = scores()
    worse.loc[worse["row"] == "other", "accuracy"] -= 2.5
    text = rendering.to_markdown(table(), lines(table(), worse))
    assert "| A & B | other † | 4 |" in text
    assert "† The accuracies are more than one percentage point apart" in text
    own = table(columns=("interpretability_score",))  # also where the accuracy is not shown
    assert "| A & B | other † | 4 |" in rendering.to_markdown(own, lines(own, worse))
    found = pd.read_csv(io.StringIO(rendering.to_csv(own, lines(own, worse)))).set_index("row")["accuracy_apart"]
    assert found["other"] == -1.5
    assert found.drop("other").isna().all()


def test_latex_escapes_and_divides_sections():
    text = rendering.to_latex(table(), lines(table(), scores()))
    assert r"A \& B & base\_line & 4 & 50 (all equal) & 13.5 $\pm$ 2.1 & 130 \\" in text
    assert text.count(r"\midrule") == 2
    assert r"accuracy, \%" in text
    assert text.startswith(r"\begin{tabular}{llrrrr}")
    assert (r"$\dag$" in text) == any(map(rendering.is_apart, lines(table(), scores())))


def test_csv_has_the_numbers():
    found = pd.read_csv(io.StringIO(rendering.to_csv(table(), lines(table(), scores())))).set_index(["row", "column"])
    own = found.loc[("other", "interpretability_score")]
    assert (own["value"], own["seeds"], own["difference_value"], own["published"]) == (15.5, 4, 2, 187)
    assert found.loc[("never run", "accuracy"), "seeds"] == 0


def test_scores_of_a_run_are_those_of_its_layers():
    layers = pd.DataFrame(
        {
            "section": "s",
            "row": "r",
            "seed": 0,
            "layer": ["conv1", "conv2"],
            "accuracy": 0.5,
            "units": [10, 30],
            "unique_detectors": [3, 5],
            "calibrated": [1, 4],
            "by_chance": [0.5, 1.5],
            "zero_groups": [0.0, 0.5],
            "seconds": 7.0,
        }
    )
    found = scores_of(layers).iloc[0].to_dict()
    assert found == {
        "section": "s",
        "row": "r",
        "seed": 0,
        "accuracy": 50,
        "interpretability_score": 8,
        "rud": 0.2,
        "conv1": 3,
        "conv2": 5,
        "zero_groups": 25,
        "calibrated": 5,
        "by_chance": 2,
        "calibrated/conv1": 1,
        "calibrated/conv2": 4,
    }


def test_what_was_not_measured_of_a_run_is_no_zero():
    layers = pd.DataFrame(
        {
            "section": "s",
            "row": "r",
            "seed": [0, 0, 1, 1, 2],
            "layer": ["conv1", "conv2", "conv1", "conv2", ""],
            "units": [10, 30, 10, 30, None],
            "unique_detectors": [3, 5, 4, 6, None],
            "calibrated": [1, 4, None, None, None],
            "seconds": 7.0,
        }
    )
    config = tiny.tiny_config()
    own = Table("t", (Row("s", "r", config),), (0, 1, 2), ("calibrated", "interpretability_score", "conv9"))
    means = lines(own, scores_of(layers))[0].means
    assert {name: (mean.value, mean.seeds) for name, mean in means.items()} == {
        "calibrated": (5, 1),
        "interpretability_score": (9, 2),
    }


def test_a_run_that_failed_has_no_scores():
    layers = pd.DataFrame(
        {
            "section": "s",
            "row": "r",
            "seed": [0, 1],
            "layer": ["conv1", ""],
            "accuracy": [0.5, None],
            "units": [10, None],
            "unique_detectors": [3, None],
            "seconds": [7.0, None],
            "failed": ["", "TrainingDivergedError: at step 3"],
        }
    )
    assert scores_of(layers)["seed"].tolist() == [0]


def test_seeds_are_those_of_finished_runs_whatever_the_columns():
    made = lines(dataclasses.replace(table(), columns=("conv9",)), scores())
    assert [line.seeds for line in made] == [4, 4, 1, 0]
    assert "| A & B | base_line | 4 | – |" in rendering.to_markdown(table(("conv9",)), made)


def test_a_single_pair_has_no_p():
    one = scores().query("seed == 2")
    text = rendering.to_markdown(table(), lines(table(), one))
    assert "| A & B | other | 1 | – | +1 | – | +0 | – |" in text


def test_failures_columns_that_no_run_has_and_the_choice_are_told():
    failed = {"s/b/seed=3": "TrainingDivergedError: at step 3"}
    found = notes_on_runs(table(("accuracy", "conv9")), scores(), failed)
    assert found == [
        "Failed: s/b/seed=3: TrainingDivergedError: at step 3",
        "No finished run has the column 'conv9'; they have accuracy, interpretability_score.",
    ]
    assert notes_on_runs(table(("conv9",)), scores()[:0], {}) == []
    assert notes_on_choice(table(), {"C": "alone|"}) == [
        "Chosen of A & B: none, for its runs are not all finished, or those of all rows diverged.",
        "Chosen of C: alone|.",
    ]
    text = rendering.to_markdown(table(), lines(table(), scores()), found)
    assert text.endswith(f"A note.\n\n{found[0]}\n\n{found[1]}\n")


def test_without_any_run_there_is_a_table_of_dashes():
    nothing = pd.DataFrame(columns=["section", "row", "seed", "seconds"])
    text = rendering.to_markdown(table(), lines(table(), scores_of(nothing)))
    assert "|  | other | 0 | – | – | 187 |" in text
