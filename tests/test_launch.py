"""The command line: one clear line for each mistake, and the right run for the right flags."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def launch(*arguments, cwd):
    command = [sys.executable, str(ROOT / "launch.py"), *arguments]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.data.trian=x"], "config.data.trian: no such field; config.data has no 'trian'"),
        (
            ["--config.regularizer.block_norm.p=0.5"],
            "config.regularizer.block_norm.p = 0.5: a norm needs 1 <= p <= inf",
        ),
        (["--config", "places365_wd", "--config.data.directory=empty"], "places365_small"),
        (["--config=configs/two_figures_gbm.py"], "config 'configs/two_figures_gbm.py': no file"),
        ([f"--config={ROOT}/configs/places365_gbn.py", "--config.data.directory=empty"], "places365_small"),
        (["--config=places50_1:model=vgg17"], "model = 'vgg17': choose one of alexnet"),
        ([f"--config={ROOT}/configs/imagenet.py:model=resnet18,regularizer=wd"], "data set 'imagenet2012'"),
        (["--config.regularizer.grouping.num_groups=33"], "conv1: num_groups = 33: the layer has only 32 filters"),
    ],
)
def test_mistakes_end_in_one_line(arguments, message, tmp_path):
    small = ["--config.data.two_figures.train_images=4", "--config.data.two_figures.test_images=4"]
    result = launch(*arguments, *small, cwd=tmp_path)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert [line for line in result.stderr.splitlines() if "Error" in line] == [result.stderr.splitlines()[-1]]


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ("configs/two_figures_gbn.py", "two_figures_gbn"),
        ("/there/places365.py:model=vgg16,regularizer=wd", "places365,model=vgg16,regularizer=wd"),
        ("mine.py:a/b c", "mine,a_b_c"),
    ],
)
def test_each_argument_of_a_config_has_a_folder_of_its_own(config, name):
    code = f"from interpjax.__main__ import default_workdir; print(default_workdir({config!r}))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == [f"workdirs/{name}"]


@pytest.mark.long
def test_run_of_the_default_config_goes_to_its_own_folder(tmp_path):
    fields = {
        "data.two_figures.train_images": 8,
        "data.two_figures.test_images": 4,
        "model.width": 0.0625,
        "training.batch_size": 4,
        "training.num_steps": 2,
    }
    result = launch(*(f"--config.{name}={value}" for name, value in fields.items()), cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]
    workdir = tmp_path / "workdirs" / "two_figures_gbn"
    assert (workdir / "report.html").is_file()
    for word in ("ceiling", "green (color)", "interpretability score", "test accuracy", str(workdir)):
        assert word in result.stdout
    assert "image/s" in result.stderr  # the progress bar


@pytest.mark.parametrize(
    ("code", "out", "exit_code"),
    [
        ("main(['--version']); print('\\udcff √')", "\\udcff \\u221a", 0),
        ("with told_in_one_line():\n    raise BrokenPipeError", "", 141),
    ],
)
def test_terminal_that_has_not_all_letters_or_is_gone_ends_in_no_traceback(code, out, exit_code):
    command = [sys.executable, "-c", f"from interpjax.__main__ import main, told_in_one_line\n{code}"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (exit_code, "")
    assert done.stdout.splitlines()[1:] == ([out] if out else [])
