"""The notebooks run from top to bottom, in a kernel, with smaller sizes; and they need nothing that is here alone."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="no Jupyter: expected the packages nbclient and ipykernel")
nbclient = pytest.importorskip("nbclient", reason="no Jupyter: expected the packages nbclient and ipykernel")

FOLDER = Path(__file__).parents[1] / "notebooks"
SMALL = {
    "ablation": {
        "SEEDS": "[0, 1]",
        "SMALLER": '{"training.num_steps": 4, "data.two_figures.train_images": 256, '
        '"data.two_figures.test_images": 64, "dissection.chance.draws": 3}',
    },
    "dissect_your_network": {"STEPS": "4", "IMAGES": '{"train": 128, "test": 64}', "DRAWS": "3"},
}
MADE = {"ablation": "ablation/comparison.html", "dissect_your_network": "dissected/page.html"}


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def set_value(cell, name, value):
    lines = cell.source.splitlines()
    (place,) = (number for number, line in enumerate(lines) if line.startswith(f"{name} = "))
    lines[place] = f"{name} = {value}"
    cell.source = "\n".join(lines)


def test_every_notebook_is_tested():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(SMALL) == set(MADE)


@pytest.mark.parametrize("name", SMALL)
def test_the_first_cell_installs_and_all_were_run_in_order(name):
    cells = code_of(read(name))
    assert "%pip install" in cells[0].source
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = [set(output.get("data", {})) for cell in cells for output in cell.outputs]
    assert any("image/png" in kind for kind in kinds)
    told = [output.get("name", output.output_type) for cell in cells for output in cell.outputs]
    assert not {"error", "stderr"} & set(told)


@pytest.mark.long
@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_runs_from_top_to_bottom(name, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    notebook = read(name)
    for field, value in SMALL[name].items():
        set_value(code_of(notebook)[1], field, value)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / MADE[name]).is_file()
