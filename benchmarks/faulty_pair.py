"""The small job of benchmarks/faults.py in two processes on loopback: killed, both or one, and gone on with."""

import functools
import random
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from faulty_job import SECONDS, Job, Outcome

KILLS, SEED = 8, 1  # moments at which a run is killed, drawn by this seed
BOTH = (0, 1)
ALONE = {3: (0,), 5: (1,)}  # the kills that leave the other process, by their place
LONGEST_WAIT = 2 * SECONDS  # a process notices within five minutes that the other is gone
Row = tuple[str, Callable[[Job], Outcome]]


def pairs() -> list[Row]:
    """SIGKILL at random moments over all stages: both processes, as where a job is cancelled, or one of them."""
    draws, found = random.Random(SEED), list[Row]()
    for place, share in enumerate(sorted(draws.random() for _ in range(KILLS))):
        whom = ALONE.get(place, BOTH)
        words = "both" if whom == BOTH else f"process {whom[0]}"
        name = f"two processes: kill -9 of {words} after {100 * share:.0f} % of the time"
        found.append((name, functools.partial(_killed, name=name, share=share, whom=whom)))
    return found


class Pair(Job):
    """The job in two processes of one device each; its undisturbed run is that of one process with two."""

    def run(self, workdir: Path, devices: int = 2) -> tuple[int, str]:
        """Runs the undisturbed one."""
        return super().run(workdir, devices)

    @functools.cached_property
    def seconds(self) -> float:
        """How long two processes take, when what they compile is at hand."""
        assert super().seconds
        for _ in range(2):
            start = time.monotonic()
            codes, told = self.finished(self.started(self.fresh("two whole")))
            assert codes == [0, 0], told
        return time.monotonic() - start

    def started(self, workdir: Path) -> list[subprocess.Popen]:
        """Begins both, each of which tells into a file of its own."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        shared = [f"--coordinator_address=127.0.0.1:{port}", "--num_processes=2"]
        processes = []
        for number in BOTH:
            with self._told(number).open("w") as file:
                processes.append(self.start(workdir, flags=[*shared, f"--process_id={number}"], told=file))
        return processes

    def finished(self, processes: list[subprocess.Popen]) -> tuple[list[int], str]:
        """Exit codes of both, and the last line of the first that was not killed."""
        for process in processes:
            process.wait(LONGEST_WAIT)
        codes = [process.returncode for process in processes]
        own = next((number for number in BOTH if codes[number] >= 0), 0)
        return codes, self.last_line(self._told(own).read_text(errors="replace"))

    def _told(self, number: int) -> Path:
        return self.folder / f"told_{number}"


def _killed(job: Job, name: str, share: float, whom: tuple[int, ...]) -> Outcome:
    pair = _pair_of(job.folder)
    moment = share * pair.seconds  # before the run begins, for this takes long the first time
    workdir = pair.fresh(name)
    processes, begun = pair.started(workdir), time.monotonic()
    while time.monotonic() < begun + moment and None in [process.poll() for process in processes]:
        time.sleep(0.01)
    for number in whom:
        processes[number].kill()
    killed = time.monotonic()
    codes, told = pair.finished(processes)
    waited = f"; ended {time.monotonic() - killed:.0f} s later" if whom != BOTH and min(codes) < 0 else ""
    again, after = pair.finished(pair.started(workdir))
    words = f"{told}{waited}" if not any(again) else f"{told}; then {after}"
    return pair.compared(workdir, ", ".join(map(str, codes)), words, max(again, key=abs))


@functools.cache
def _pair_of(folder: Path) -> Pair:
    own = folder / "pairs"
    own.mkdir(parents=True, exist_ok=True)
    return Pair(own)
