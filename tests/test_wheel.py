"""Installed as a wheel, in another folder: configurations, a run and loading, as in a notebook."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = """
import interpjax
from interpjax.config import override
assert interpjax.__file__.startswith({site!r}), interpjax.__file__
config = interpjax.get_config("two_figures_gbn")
config = override(config, {{
    "data.two_figures.train_images": 8, "data.two_figures.test_images": 4, "model.width": 0.0625,
    "training.batch_size": 4, "training.num_steps": 2,
}})
summary = interpjax.run(config, "run")
loaded, model, variables = interpjax.load("run")
assert loaded == config
print(summary["num_steps"], interpjax.get_config("places365_wd").model.name)
"""


@pytest.mark.long
def test_everything_but_the_launcher_works_from_a_wheel(tmp_path):
    # From a copy without links to this checkout's build folders, as a clone would be.
    source = tmp_path / "source"
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            (source / name).symlink_to((ROOT / name).readlink())
        else:
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(pip, check=True, timeout=280)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = os.environ | {"PYTHONPATH": str(site), "JAX_PLATFORMS": "cpu"}
    code = [sys.executable, "-c", NOTEBOOK.format(site=str(site))]
    result = subprocess.run(
        code, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.splitlines()[-1] == "2 alexnet"
    assert (elsewhere / "run" / "report.html").is_file()
