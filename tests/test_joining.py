"""Which processes run together, as flags, SLURM and MPI tell it; and what ends one that finds no others."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interpjax.errors import UserError
from interpjax.hosts import Hosts, find_hosts

ROOT = Path(__file__).parents[1]
STEP = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_NODELIST": "node[01-02]",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS": "8",
}
JOB = {name: value for name, value in STEP.items() if name != "SLURM_STEP_NODELIST"}  # of its own shell, no task
OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}
FLAGS = {"num_processes": 2, "process_id": 1, "coordinator_address": "10.0.0.1:1234"}


@pytest.mark.parametrize(
    ("environment", "flags", "expected"),
    [
        ({}, {}, None),
        (STEP, {}, Hosts(8, 5, cluster="slurm")),
        (STEP, {"local_device_ids": ["0", "2"]}, Hosts(8, 5, local_device_ids=(0, 2), cluster="slurm")),
        (STEP | {"SLURM_NTASKS": "1"}, {}, None),
        (STEP | {"SLURM_STEP_NUM_TASKS": "1"}, {}, None),
        (JOB, {}, None),
        (STEP, {"num_processes": 1}, None),
        (OPEN_MPI | {"OMPI_MCA_orte_hnp_uri": "1.0;tcp://10.0.0.1:1"}, {}, Hosts(4, 3, cluster="ompi")),
        (OPEN_MPI | {"OMPI_COMM_WORLD_SIZE": "1"}, {}, None),
        (STEP, FLAGS, Hosts(2, 1, "10.0.0.1:1234")),
    ],
)
def test_the_processes_are_found(environment, flags, expected):
    assert find_hosts(environment, **flags) == expected


def test_other_launchers_of_mpi_need_mpi4py(monkeypatch):
    environment = {"PMI_SIZE": "2", "PMI_RANK": "0"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"PMI_SIZE = 2: .* mpi4py"):
        find_hosts(environment)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert find_hosts(environment) == Hosts(2, 0, cluster="mpi4py")


@pytest.mark.parametrize(
    ("environment", "flags", "message"),
    [
        ({}, {"num_processes": 2}, "--process_id, --coordinator_address: not given"),
        ({}, {"process_id": 0}, "--num_processes, --coordinator_address: not given"),
        ({}, FLAGS | {"process_id": 2}, "--process_id = 2: expected 0 to 1"),
        ({}, FLAGS | {"num_processes": 1, "process_id": 0}, "--num_processes = 1: expected 2"),
        ({}, FLAGS | {"coordinator_address": "10.0.0.1"}, "--coordinator_address = '10.0.0.1': expected HOST:PORT"),
        ({}, FLAGS | {"coordinator_address": "there:99999"}, "expected HOST:PORT"),
        ({}, FLAGS | {"local_device_ids": ["a"]}, "--local_device_ids = a: expected numbers"),
        (STEP | {"SLURM_PROCID": "x"}, {}, "SLURM_PROCID = 'x' in the environment: expected a number"),
    ],
)
def test_what_cannot_be_is_named(environment, flags, message):
    with pytest.raises(UserError, match=message):
        find_hosts(environment, **flags)


def launch(folder, *flags):
    command = [sys.executable, str(ROOT / "launch.py"), "--workdir=run", *flags]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.long
@pytest.mark.parametrize("number", [0, 1])
def test_a_process_that_finds_no_others_ends_in_one_line(number, tmp_path):
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
    flags = [f"--coordinator_address=127.0.0.1:{port}", "--num_processes=2", f"--process_id={number}"]
    start = time.monotonic()
    ended = launch(tmp_path, *flags, "--initialization_timeout=3")
    assert ended.returncode == 1
    expected = f"process {number} of 2, by flags, process 0 at 127.0.0.1:{port}: the processes did not come together"
    assert expected in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert time.monotonic() - start < 100  # it does not wait for the default timeout
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        ended = launch(tmp_path, f"--coordinator_address={address}", "--num_processes=2", "--process_id=0")
    assert ended.returncode == 1
    assert f"--coordinator_address = {address!r}: process 0 cannot listen" in ended.stderr.splitlines()[-1]
