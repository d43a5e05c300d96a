"""What ``results/`` keeps makes the tables that docs/results.md shows, and the choice that the tables go by."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from interpjax.tables import read_table, write_table

ROOT = Path(__file__).parents[2]
KNOWN = re.findall(
    r"^\| `(\w+)` \| `interpjax table (\S+) --workdir", (ROOT / "results" / "README.md").read_text(), re.M
)


def rows_of(text):
    return [line for line in text.splitlines() if line.startswith("|")]


def shown(name):
    """The rows of tables that docs/results.md has between the mark of this name and the next end."""
    page = (ROOT / "docs" / "results.md").read_text()
    assert page.count(f"<!-- {name} -->") == 1
    return rows_of(page.partition(f"<!-- {name} -->")[2].partition("<!-- end -->")[0])


def test_every_folder_is_told_of():
    assert {folder for folder, _ in KNOWN} == {path.parent.name for path in (ROOT / "results").glob("*/results.csv")}


@pytest.mark.parametrize(("folder", "name"), KNOWN)
def test_tables_are_those_of_the_results(folder, name, tmp_path):
    shutil.copy(ROOT / "results" / folder / "results.csv", tmp_path)
    table = read_table(name)
    write_table(table, tmp_path)
    rows = rows_of((tmp_path / "table.md").read_text())
    assert len(rows) > len(table.rows)
    assert shown(folder) == rows
    assert (tmp_path / "results.csv").read_text() == (ROOT / "results" / folder / "results.csv").read_text()
    if table.search:
        chosen = json.loads((tmp_path / "chosen.json").read_text())
        assert chosen == importlib.import_module(f"interpjax.configs.{name.partition(':')[0]}").CHOSEN


@pytest.mark.parametrize("name", ["best_iou", "iou_cuts"])
def test_rows_of_the_measures_of_iou_are_those_that_were_printed(name):
    printed = rows_of((ROOT / "results" / "two_figures" / f"{name}.md").read_text())
    assert len(shown(name)) > 20
    assert [row for row in shown(name) if row not in printed] == []


def test_how_far_single_runs_are_apart_is_what_the_results_say():
    program, results = ROOT / "benchmarks" / "single_runs.py", ROOT / "results" / "two_figures" / "results.csv"
    command = [sys.executable, str(program), str(results), "--layer=conv2", "--at_least", "2", "4"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown("single_runs") == rows_of(printed)
