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


def test_every_folder_is_told_of():
    assert {folder for folder, _ in KNOWN} == {path.parent.name for path in (ROOT / "results").glob("*/results.csv")}


@pytest.mark.parametrize(("folder", "name"), KNOWN)
def test_tables_are_those_of_the_results(folder, name, tmp_path):
    shutil.copy(ROOT / "results" / folder / "results.csv", tmp_path)
    table = read_table(name)
    write_table(table, tmp_path)
    shown = (ROOT / "docs" / "results.md").read_text()
    made = (tmp_path / "table.md").read_text()
    rows = [line for line in made.splitlines() if line.startswith("|")]
    assert len(rows) > len(table.rows)
    assert [row for row in rows if row not in shown] == []
    assert (tmp_path / "results.csv").read_text() == (ROOT / "results" / folder / "results.csv").read_text()
    if table.search:
        chosen = json.loads((tmp_path / "chosen.json").read_text())
        assert chosen == importlib.import_module(f"interpjax.configs.{name.partition(':')[0]}").CHOSEN


def test_how_far_single_runs_are_apart_is_what_the_results_say():
    program, results = ROOT / "benchmarks" / "single_runs.py", ROOT / "results" / "two_figures" / "results.csv"
    command = [sys.executable, str(program), str(results), "--layer=conv2", "--at_least", "2", "4"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    shown = (ROOT / "docs" / "results.md").read_text().partition("<!-- single_runs -->")[2].partition("<!-- end -->")[0]
    rows = shown.strip().splitlines()
    assert len(rows) > 4
    assert [row for row in rows if row not in printed] == []
