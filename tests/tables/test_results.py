"""What ``results/`` keeps makes the tables that the pages of results show, and the choice that the tables go by."""

import importlib
import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from interpjax.commands import table as command
from interpjax.comparison import paired_difference
from interpjax.comparison.statistics import mean_interval
from interpjax.tables import read_table, write_table
from interpjax.tables.scores import scores_of

ROOT = Path(__file__).parents[2]
PAGES = "\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("results*.md")))
COMMAND = r"^\| `(\w+)` \| `interpjax table (\S+) --workdir=DIR --jobs=2(.*?)` \|"
GRIDS = {  # by the name of a mark, the flags of grid.py; of the exponents in place of the whole table, which is long
    "two_figures_controls, minus block norm": [
        *("--quantities", "interpretability_score", "conv2", "calibrated", "--minus", "binary", "block norm"),
    ],
    "two_figures_exponents": [
        *("--quantities", "accuracy", "interpretability_score", "conv1", "conv2", "zero_groups"),
    ],
    "two_figures_exponents, differences": [
        *("--quantities", "interpretability_score", "conv2", "--minus", "p = 2", "q = 1"),
    ],
    "two_figures_strengths, minus weight decay": [
        *("--quantities", "interpretability_score", "conv2", "--minus", "weight decay", "0.001"),
    ],
}
IN_SHORT = {  # by data and network, the folder and section whose block norm is held beside weight decay
    ("two figures, binary", "32 and 64 filters"): ("two_figures", "binary"),
    ("two figures, multiclass", "32 and 64 filters"): ("two_figures", "multiclass"),
    ("two figures, binary", "128 and 256 filters"): ("two_figures_published_width", "binary"),
    ("six classes of scenes", "AlexNet, half the width, from random weights"): ("small", "AlexNet"),
    ("six classes of scenes", "AlexNet-B, half the width, from random weights"): ("small", "AlexNet-B"),
    ("six classes of scenes", "ResNet-18, a quarter of the width, from random weights"): ("small", "ResNet-18"),
    ("six classes of scenes", "SqueezeNet, fine-tuned"): ("small_finetuned", "SqueezeNet of Places365"),
}
KNOWN = re.findall(COMMAND, (ROOT / "results" / "README.md").read_text(), re.M)


def rows_of(text):
    return [line for line in text.splitlines() if line.startswith("|")]


def shown(name):
    """The rows of tables that the pages of results have between the mark of this name and the next end."""
    assert PAGES.count(f"<!-- {name} -->") == 1
    return rows_of(PAGES.partition(f"<!-- {name} -->")[2].partition("<!-- end -->")[0])


def test_every_folder_is_told_of():
    assert {folder for folder, _, _ in KNOWN} == {path.parent.name for path in (ROOT / "results").glob("*/results.csv")}


@pytest.mark.parametrize(("folder", "name", "flags"), KNOWN, ids=[folder for folder, _, _ in KNOWN])
def test_tables_are_those_of_the_results(folder, name, flags, tmp_path):
    shutil.copy(ROOT / "results" / folder / "results.csv", tmp_path)
    fields = dict(re.findall(r" --config\.(\S+?)=(\S+)", flags))
    table = command.with_fields(read_table(name), fields)
    write_table(table, tmp_path)
    rows = rows_of((tmp_path / "table.md").read_text())
    assert len(rows) > len(table.rows)
    if folder not in GRIDS:
        assert shown(folder) == rows
    assert (tmp_path / "results.csv").read_text() == (ROOT / "results" / folder / "results.csv").read_text()
    if table.search:
        chosen = json.loads((tmp_path / "chosen.json").read_text())
        told = importlib.import_module(f"interpjax.configs.{name.partition(':')[0]}").CHOSEN
        assert chosen == {section: told[section] for section in table.sections}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "results").glob("*/*.md")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_rows_of_the_measures_of_iou_are_those_that_were_printed(path):
    found = shown(f"{path.parent.name}/{path.stem}")
    assert len(found) > 4
    assert [row for row in found if row not in rows_of(path.read_text())] == []


def printed(name, folder, flags, monkeypatch, capsys):
    """The rows of tables that a program prints of a folder of results."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(sys, "argv", [name, str(ROOT / "results" / folder / "results.csv"), *flags])
    runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"), run_name="__main__")
    return rows_of(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("name", "flags"), [("single_runs", ["--layer=conv2", "--at_least", "2", "4"]), ("over_untrained", [])]
)
def test_what_is_told_of_the_seeds_is_what_the_programs_print(name, flags, monkeypatch, capsys):
    assert shown(name) == printed(name, "two_figures", flags, monkeypatch, capsys)


def test_runs_and_hours_are_those_of_the_results(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(sys, "argv", ["hours", str(ROOT / "results")])
    runpy.run_path(str(ROOT / "benchmarks" / "hours.py"), run_name="__main__")
    _, _, *rows, total = [line.strip("| ").split(" | ") for line in rows_of(capsys.readouterr().out)]
    made = {folder: (runs, hours) for folder, runs, hours in rows}
    text = (ROOT / "docs" / "results.md").read_text().partition("## The tables")[2].partition("\n## ")[0]
    _, _, *shown_rows = [line.strip("| ").split(" | ") for line in rows_of(text)]
    told = {config.strip("`"): (runs.partition(" ")[0], hours) for _, config, runs, hours in shown_rows}
    assert told == {config: made[folder] for folder, config, _ in KNOWN}
    assert f"{total[-1]} hours in sum" in (ROOT / "docs" / "protocol.md").read_text()


@pytest.mark.parametrize(("mark", "flags"), GRIDS.items())
def test_grids_are_those_of_the_results(mark, flags, monkeypatch, capsys):
    assert shown(mark) == printed("grid", mark.partition(",")[0], flags, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("folder", "quantity", "minus", "row", "told"),
    [
        ("small_finetuned", "score", "weight decay, 0.0001", "block norm", "+1.5 ± 2.3 (p 0.25)"),
        ("small_finetuned", "score", "block norm", "weight decay, 0.001", "+3.3 ± 5.0 (p 0.19)"),
        ("two_figures_published_width", "conv2", "weight decay, rate 0.001", "all three", "+0.4 ± 0.5 (p 0.31)"),
        ("two_figures_published_width", "conv2", "weight decay, rate 0.001", "block norm", "-1.5 ± 1.1 (p 0.023)"),
    ],
)
def test_differences_of_two_rows_are_those_of_the_results(folder, quantity, minus, row, told, monkeypatch, capsys):
    found = pd.read_csv(ROOT / "results" / folder / "results.csv")
    own = found if quantity == "score" else found[found["layer"] == quantity]
    scores = own.groupby(["row", "seed"])["unique_detectors"].sum().unstack("row")
    mean, _, high, _ = (by_hand := paired_difference("", (scores[row] - scores[minus]).to_numpy())).difference
    assert f"{mean:+.1f} ± {high - mean:.1f} (p {by_hand.p:.2g})" == told
    name = "interpretability_score" if quantity == "score" else quantity
    flags = ["--quantities", name, "--minus", found["section"].iloc[0], minus]
    header, _, cells = (line.strip("| ").split(" | ") for line in printed("grid", folder, flags, monkeypatch, capsys))
    assert dict(zip(header[1:], cells[1:], strict=False))[row] == told
    written = told.replace("-", "−")
    assert any(words in " ".join(PAGES.split()) for words in (written, written.replace(" (p", " in conv2 (p")))


def by_row(folder, section, quantity="interpretability_score"):
    """Of each row a quantity by seed."""
    scores = scores_of(pd.read_csv(ROOT / "results" / folder / "results.csv", dtype={"row": str}))
    return scores[scores["section"] == section].set_index("seed").groupby("row")[quantity]


def with_interval(mean, sign=""):
    return f"{mean.value:{sign}.1f} ± {mean.high - mean.value:.1f}".replace("-", "−")


def test_the_verdict_in_short_is_that_of_the_results():
    text = (ROOT / "docs" / "results.md").read_text().partition("## In short")[2].partition("\n## ")[0]
    _, _, *rows = [line.strip("| ").split(" | ") for line in rows_of(text)]
    assert {tuple(row[:2]) for row in rows} == set(IN_SHORT)
    for data, network, *cells, _ in rows:
        own = dict(iter(by_row(*IN_SHORT[data, network])))
        base, norm = own["weight decay"], own["block norm"]
        found = paired_difference("", (norm - base).dropna().to_numpy())
        expected = [f"{base.mean():.1f}", f"{norm.mean():.1f}", with_interval(found.difference, "+")]
        assert cells == [*expected, str(found.difference.seeds), f"{found.p:.2g}"]


def test_the_result_of_the_readme_is_that_of_the_results():
    text = (ROOT / "README.md").read_text().partition("## A result")[2].partition("\n## ")[0]
    _, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in rows_of(text)[:6]]
    for name, _, *counts, apart in rows[:3]:
        row = "all three" if name == "all three terms" else name
        for told, quantity in zip(counts, ("conv1", "conv2", "interpretability_score"), strict=True):
            own = by_row("two_figures", "binary", quantity).get_group(row)
            assert told == with_interval(mean_interval(own.to_numpy(float))), (name, quantity)
        own, base = (by_row("two_figures", "binary").get_group(each) for each in (row, "weight decay"))
        found = paired_difference("", (own - base).to_numpy(float))
        assert apart == ("" if row == "weight decay" else f"{with_interval(found.difference, '+')} (p {found.p:.2g})")


def test_the_other_results_of_the_readme_are_those_of_the_verdict():
    readme = (ROOT / "README.md").read_text().partition("Elsewhere:")[2].partition("\n## ")[0]
    verdict = (ROOT / "docs" / "results.md").read_text().partition("## In short")[2].partition("\n## ")[0]
    _, _, *rows = [line.strip("| ").split(" | ") for line in rows_of(readme)]
    _, _, *known = [line.strip("| ").split(" | ") for line in rows_of(verdict)]
    told = [(decay, apart, seeds) for _, _, decay, apart, seeds in rows]
    assert told == [(decay, f"{apart} (p {p})", seeds) for _, _, decay, _, apart, seeds, p, _ in known[2:]]
