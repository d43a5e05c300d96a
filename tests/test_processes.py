"""Processes that wait for each other: what becomes of signals and failures meanwhile."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny

ROOT = Path(__file__).parents[1]
SECONDS = 120
# A process tells what it did, and ends as a run does.
PROGRAM = """
import sys, time
import jax
number, address, how = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(address, 2, number)
from interpjax import processes, stopping

def work():
    print("at work", flush=True)
    for _ in range(60):
        time.sleep(0.1)
    return "done"

def run():
    processes.together(lambda: None)
    if how == "led":
        processes.lead(work)
    else:
        processes.together(work if number == 0 else lambda: None)
    processes.together(lambda: None)

try:
    with stopping.on_signals():
        run()
except stopping.Stopped as stopped:
    print(stopped, file=sys.stderr)
    sys.exit(stopped.exit_code)
"""


@pytest.mark.long
@pytest.mark.parametrize("how", ["led", "together"])
@pytest.mark.parametrize("whom", [(0,), (1,), (0, 1)])
def test_a_signal_while_one_works_and_the_other_waits_stops_both(tmp_path, how, whom):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    started = [tiny.start_command([sys.executable, str(program), str(n), address, how], ROOT) for n in (0, 1)]
    assert "at work\n" in iter(started[0].stdout.readline, "")
    time.sleep(0.5)  # the other one waits by now
    for number in whom:
        started[number].send_signal(signal.SIGTERM)
    told = [process.communicate(timeout=SECONDS)[1] for process in started]
    assert [process.returncode for process in started] == [143, 143], told
    assert all("stopped by SIGTERM" in each and "Traceback" not in each for each in told), told


def test_one_that_is_alone_needs_no_other():
    code = "from interpjax import processes; print(processes.lead(lambda: 1), processes.together(lambda: 2))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "1 2\n"
