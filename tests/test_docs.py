"""README and the documentation: their code runs, their commands name what there is, their links lead somewhere."""

import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import broden_layout
import jax
import numpy as np
import pytest
import tiny

import docs
import interpjax
from interpjax import models
from interpjax.__main__ import _resolve_config
from interpjax.commands import dissect

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_CODE = [page for page in PAGES if docs.blocks(page, "python") and page.stem != "extending"]  # it has its own test
PROGRAMS = re.compile(r"^(interpjax|python launch\.py|python -m interpjax)( |$)")
TORCH = importlib.util.find_spec("torch") is not None


@pytest.fixture
def folder(tmp_path):
    """Where the code of a page is run: what it reads is there, small."""
    broden_layout.make_broden(tmp_path / "broden1_224", side=224)
    model = models.create_model("resnet18", num_classes=10)
    shapes = models.outline(model, 64).variables
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), shapes)
    with (tmp_path / "resnet18.pth").open("wb") as file:  # what a file is shows by its content
        np.savez(file, **models.export_torch("resnet18", variables))
    return tmp_path


# Of what the pages train, a few steps on fewer images will do: test_launch.py trains the example to its end.
FEWER = '"training.num_steps": 8, "data.two_figures.train_images": 256, "data.two_figures.test_images": 64}'
SHORTER = {
    '{"regularizer.block_norm.q": 4 / 3}': '{"regularizer.block_norm.q": 4 / 3, ' + FEWER,
    '{"training.num_steps": 64}': "{" + FEWER,
}
# Their code is run once: what is compiled for it need not be fast.
UNOPTIMIZED = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}


@pytest.mark.long
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, folder):
    code = [block for block in docs.blocks(page, "python") if TORCH or "torch." not in block or "PyTorch's" in block]
    text = "\n".join(code)
    for whole, short in SHORTER.items():
        text = text.replace(whole, short)
    (folder / "page.py").write_text(text)
    process = tiny.start_command([sys.executable, "page.py"], folder, environment=UNOPTIMIZED)
    tiny.finish(process, seconds=600)


def commands(page):
    text = "\n".join(docs.blocks(page, "bash") + docs.blocks(page, "text"))
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if PROGRAMS.match(line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_name_configurations_and_fields_that_there_are(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for command in commands(page):
        if command.startswith("interpjax dissect "):
            assert dissect.parser().parse_args(docs.arguments(command)[1:])
            continue
        flags = [word for word in docs.arguments(command) if word.startswith("--")]
        assert _resolve_config(flags)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere_and_lines_wrap(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
    headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(#([^)]*)\)", text):
        assert target in anchors, f"{page.name}: #{target}"
    for number, line in enumerate(text.splitlines(), start=1):
        assert len(line) <= 120 or line.startswith("|") or "http" in line, f"{page.name} line {number}"


@pytest.mark.parametrize("name", interpjax.ROOMS)
def test_every_room_has_a_page_in_the_reference(name):
    page = ROOT / "docs" / "reference" / f"{name}.md"
    assert f".. automodule:: interpjax.{name}\n   :members:\n   :imported-members:\n" in page.read_text()
    assert f"\n{name}\n" in (page.parent / "index.md").read_text()
    module = importlib.import_module(f"interpjax.{name}")
    for each in module.__all__:  # automodule tells of classes and functions alone
        if not (inspect.isclass(getattr(module, each)) or inspect.isroutine(getattr(module, each))):
            assert f".. py:data:: interpjax.{name}.{each}\n" in page.read_text()


def test_readme_begins_with_the_two_commands():
    first, second = docs.blocks(ROOT / "README.md", "bash")[:2]
    assert first.split() == ["pip", "install", "-e", ".", "python", "launch.py"]
    assert second.split() == ["pip", "install", "-e", "'.[test]'", "python", "-m", "pytest"]


@pytest.mark.parametrize("program", [["-m", "interpjax"], [str(ROOT / "launch.py")]])
def test_help_and_version_are_told_by_every_way_to_start(program, tmp_path):
    def told(argument):
        command = [sys.executable, *program, argument]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout

    assert told("--version").strip() == interpjax.__version__
    page = told("--help")
    for word in ("--config.FIELD=VALUE", "--workdir", "--stages", "places365_gbn", "two_figures_gbn", "Examples:"):
        assert word in page
    assert not list(tmp_path.iterdir())
