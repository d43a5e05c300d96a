"""The programs in benchmarks/ behind the pages of results that take a results.csv, networks or weights."""

import math
import runpy
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import tiny

import interpjax
from interpjax.dissection import Dissection

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def printed(monkeypatch, capsys):
    """Runs a program and returns the cells of the rows that it prints."""

    def run(name, *arguments):
        monkeypatch.syspath_prepend(str(BENCHMARKS))
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]

    return run


def result(section, row, seed, unique, accuracy=1.0):
    return {"section": section, "row": row, "seed": seed, "layer": "conv1", "accuracy": accuracy, "units": 8} | {
        "unique_detectors": unique,
        "seconds": 1.0,
    }


@pytest.fixture
def results(tmp_path):
    """Three rows of two seeds, of which one row has a third seed, and one is much less accurate."""
    found = [result("s", "1", seed, 10 + seed) for seed in (0, 1)]
    found += [result("s", "0.1", seed, 11 + 2 * seed) for seed in (0, 1, 2)]
    found += [result("t", "1", seed, 5, accuracy=0.5) for seed in (0, 1)]
    pd.DataFrame(found).to_csv(tmp_path / "results.csv", index=False)
    return tmp_path / "results.csv"


def test_grid_tells_other_numbers_of_seeds_and_accuracies_that_are_apart(printed, results):
    header, _, *rows = printed("grid", results, "--quantities", "interpretability_score")
    assert header == ["quantity", "", "0.1", "1"]
    assert rows == [
        ["score", "s", "13.0 ± 5.0 (3 seeds)", "10.5 ± 6.4"],
        ["score", "t", "–", "5.0 (all equal)"],
    ]
    _, _, *rows = printed("grid", results, "--minus", "s", "1")
    assert rows[-2:] == [
        ["score", "s", "+1.5 ± 6.4 (p 0.5)", ""],
        ["score", "t", "–", "-5.5 ± 6.4 (p 0.5) †"],
    ]


def test_grid_refuses_what_is_not_there(printed, results):
    with pytest.raises(SystemExit, match=r"--minus: no run of s / 2; expected one of s / 1, s / 0\.1, t / 1"):
        printed("grid", results, "--minus", "s", "2")
    with pytest.raises(SystemExit, match=r"--quantities: conv9 is not in .*results\.csv; it has accuracy, "):
        printed("grid", results, "--quantities", "conv9")
    found = pd.read_csv(results, dtype={"row": str})
    found.drop(columns="accuracy").to_csv(results, index=False)
    with pytest.raises(SystemExit, match=r"results\.csv, s / 1, seed 0: no accuracy; --minus expects it of each run"):
        printed("grid", results, "--quantities", "interpretability_score", "--minus", "s", "1")


def test_strengths_are_drawn_with_every_run_beside(printed, results, tmp_path):
    printed("strengths", results, tmp_path / "images")
    kept = pd.read_csv(tmp_path / "images" / "strengths.csv")
    assert kept.columns.tolist() == ["section", "strength", "seed", "accuracy", "interpretability_score"]
    assert kept[kept["strength"] == 0.1]["interpretability_score"].tolist() == [11, 13, 15]
    drawing = runpy.run_path(str(BENCHMARKS / "strengths.py"))["drawn"](kept)
    for panel in drawing.figure.axes:
        runs, means = panel.lines[:2]  # of the first section
        assert (len(runs.get_xdata()), len(means.get_xdata())) == (5, 2)
    assert [each.get_text() for each in drawing.figure.axes[-1].texts] == ["1"]  # of the row with half of the accuracy


def test_rows_that_are_no_strengths_are_named(printed, results, tmp_path):
    found = pd.read_csv(results, dtype={"row": str})
    found.loc[2, "row"] = "0.1, rate 1"
    found.to_csv(results, index=False)
    with pytest.raises(SystemExit, match=r"results.csv, s / 0.1, rate 1, seed 0: no strength λ; expected a number"):
        printed("strengths", results, tmp_path)
    found.loc[2, "row"] = "0"
    found.to_csv(results, index=False)
    with pytest.raises(SystemExit, match=r"strength λ = 0; expected it above 0"):
        printed("strengths", results, tmp_path)


def test_gradients_of_both_penalties_are_those_of_their_formulas(printed, shared, untyped):
    weights = shared / "data" / "squeezenet_places365" / "squeezenet_places365.npz"
    config, flags = "imported:squeezenet_places365", ("--weight_decay", 1e-4, "--block_norm", 0.01)
    _, _, *rows = printed("penalty_gradients", config, weights, *flags)
    assert len(rows) == 25  # convolutions: one, and eight times three; the last has no block norm
    for _, kernel, size, decay, norm, ratio in rows:
        *_, filters = shape = list(map(int, kernel.split("×")))
        # λ‖w‖, and λ for each of five groups; where five does not divide the filters, the rest has none.
        assert float(decay) == pytest.approx(1e-4 * float(size) * math.sqrt(math.prod(shape)), rel=0.02), kernel
        assert float(norm) == pytest.approx(0.01 * math.sqrt(5), rel=0.01), (kernel, filters)
        assert float(ratio) == pytest.approx(float(norm) / float(decay), rel=0.06)


@pytest.mark.long
def test_what_a_rotation_leaves_is_counted_for_each_run(printed, tmp_path):
    first = tmp_path / "table" / "task" / "weight_decay" / "seed=0"
    interpjax.run(tiny.tiny_config(), first, ("train", "dissect"))
    shutil.copytree(first, tmp_path / "table" / "task" / "block_norm" / "seed=0")
    header, _, *rows = printed("rotated", tmp_path / "table", "--rows", "weight_decay", "--draws", 2)
    assert header[-6::2] == ["unique", "rotated", "more"]
    assert [row[1:3] for row in rows] == [["conv1", "weight_decay"], ["conv2", "weight_decay"], ["all", "weight_decay"]]
    for layer, row in zip(("conv1", "conv2"), rows, strict=False):
        dissection = Dissection.load(first / "dissection" / layer / "iou.npz")
        assert float(row[5]) == dissection.unique_detectors()
        assert float(row[9]) == pytest.approx(float(row[5]) - float(row[7]), abs=0.11)  # each is rounded to a tenth
    with pytest.raises(SystemExit, match=r"--rows proximal: .* has no dissected run of these"):
        printed("rotated", tmp_path / "table", "--rows", "proximal")
    with pytest.raises(
        SystemExit, match=r"--minus weight_decay: no dissected run of this row; the rows are block_norm"
    ):
        printed("rotated", tmp_path / "table", "--rows", "block_norm")
