"""What each of several runs at once gets of a machine, and which code made it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import interpjax
from interpjax.errors import UserError
from interpjax.running import cores
from interpjax.running.version import code_version

PACKAGE = Path(interpjax.__file__).parent


@given(st.integers(1, 64), st.integers(1, 64))
def test_every_core_goes_to_one_run_and_shares_are_even(there, jobs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "cores", lambda: list(range(there)))
        if jobs > there:
            with pytest.raises(UserError, match=rf"jobs = {jobs}: this machine has {there} cores"):
                cores.shares(jobs, {})
            return
        dealt = [own for own, _ in cores.shares(jobs, {})]
    assert sorted(core for own in dealt for core in own) == list(range(there))
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


def test_gpus_that_are_named_are_dealt_out(monkeypatch):
    monkeypatch.setattr(cores, "cores", lambda: list(range(8)))
    assert [own for _, own in cores.shares(2, {cores.GPUS: "0,1,4"})] == [{cores.GPUS: "0"}, {cores.GPUS: "1,4"}]
    assert [own for _, own in cores.shares(2, {})] == [{}, {}]
    assert [own for _, own in cores.shares(2, {cores.GPUS: "-1"})] == [{}, {}]  # hides all
    with pytest.raises(UserError, match="jobs = 2: this machine has 1 GPUs in CUDA_VISIBLE_DEVICES"):
        cores.shares(2, {cores.GPUS: "0"})


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system gives a process no cores of its own")
def test_cores_are_those_that_the_process_may_use():
    own = max(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{own}]); from interpjax.running.cores import cores; print(cores())"
    told = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == f"[{own}]"


def test_version_is_the_commit_of_a_checkout_and_elsewhere_the_release(tmp_path):
    assert re.fullmatch(r"[0-9a-f]{10}(\+changes)?", code_version()) or code_version() == interpjax.__version__
    folder = tmp_path / "project" / "site-packages"
    shutil.copytree(PACKAGE, folder / "interpjax", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "init", "-q", str(tmp_path / "project")], check=True)  # another's, with an environment in it
    code = "from interpjax.running.version import code_version; print(code_version())"
    told = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == interpjax.__version__
