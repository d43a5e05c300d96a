"""The table of faults: what a run does when it is killed, its disk is full, or its files are damaged.

A small two-figures job is disturbed in each way, the same command is given again, and its parameters and summary are
held beside those of a run that nothing disturbed.

Run:   python benchmarks/faults.py [--only=WORD] [--folder=DIR]
Cost:  about an hour on 2 cores. The rows of full disks need Linux's `unshare -rm`, and are left out without it.
"""

import argparse
import functools
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from faulty_job import ROOT, Job, Outcome
from faulty_pair import Row, pairs

sys.path.insert(0, str(ROOT / "tests"))
import loopback_server

from interpjax.data.get import archive, download
from interpjax.errors import UserError

KILLS, SEED = 20, 0  # moments at which a run is killed, drawn by this seed
# In a file system of its own, of $1 KB, mounted at $2: the run $3 is copied there, and all but $4 KB are filled.
FULL_DISK = """
set -e
mount -t tmpfs -o size=$1k none "$2"
if [ -d "$3" ]; then cp -a "$3" "$2/run"; fi
free=$(df --output=avail -k "$2" | tail -1)
if [ $free -gt $4 ]; then head -c $(( (free - $4) * 1024 )) /dev/zero > "$2/filler"; fi
out="$5"; shift 5
set +e
"$@" > /dev/null 2> "$out.first"; echo $? > "$out.first_code"
rm -f "$FILLED/filler"
"$@" > /dev/null 2> "$out.again"; echo $? > "$out.again_code"
cp -a "$FILLED/run" "$out"
"""


def signals() -> list[Row]:
    """Each signal in each stage."""
    found: list[Row] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for stage in ("train", "evaluate", "dissect"):
            name = f"{number.name} in {stage}"
            ready = _has_trained if stage == "train" else functools.partial(_tells_of, stage)
            found.append((name, functools.partial(Job.disturbed, name=name, number=number, ready=ready)))
    return found


def kills() -> list[Row]:
    """SIGKILL at random moments over all stages, those of the start and the end too."""
    draws, found = random.Random(SEED), list[Row]()
    for share in sorted(draws.random() for _ in range(KILLS)):
        name = f"kill -9 after {100 * share:.0f} % of the time"
        found.append((name, functools.partial(_killed, name=name, share=share)))
    return found


def full_disks() -> list[Row]:
    """A full disk at each stage: so many KB are left where it begins."""
    begun = {"rendering": ("train", 40), "training": ("train", 700)}
    begun |= {stage: (stage, 0) for stage in ("evaluate", "dissect", "visualize", "report")}
    return [
        (f"full disk in {name}", functools.partial(_full_disk, name=f"full disk {name}", stage=stage, left=left))
        for name, (stage, left) in begun.items()
    ]


def damages() -> list[Row]:
    """A damaged file of each kind, in a finished run; the stages that read it are to be done again."""
    kinds = {
        "config.json": ("config.json", ()),
        "data.json": ("data.json", ()),
        "record of a stage": ("stages/train.json", ("report",)),
        "summary.json": ("summary.json", ()),
        "array of a checkpoint": ("checkpoints/80/state/d/*", ("evaluate",)),
        "metadata of a checkpoint": ("checkpoints/80/state/_METADATA", ("evaluate",)),
        "last line of metrics.jsonl": ("metrics.jsonl", ("report",)),
        "results of a dissection": ("dissection/conv1/iou.npz", ("visualize",)),
        "array_record": ("data/*/two_figures/1.0.0/*test.array_record*", ("evaluate",)),
        "description of the data": ("data/*/two_figures/1.0.0/dataset_info.json", ("evaluate",)),
    }
    return [
        (f"damaged {name}", functools.partial(_damaged, name=f"damaged {name}", pattern=pattern, redo=redo))
        for name, (pattern, redo) in kinds.items()
    ]


def others() -> list[Row]:
    """A damaged cache of a dissection, and another number of devices."""
    return [
        ("damaged cache of a dissection", _damaged_cache),
        (
            "2 devices in place of 1",
            functools.partial(
                Job.disturbed, name="devices", number=signal.SIGTERM, ready=_has_trained, devices_after=2
            ),
        ),
    ]


def servers() -> list[Row]:
    """What a server may do to a download."""
    faults: dict[str, dict] = {
        "cuts the connection twice": {"cuts": [100, 300]},
        "answers 503 and 429 first": {"codes": [503, 429]},
        "answers 404": {"codes": [404]},
        "announces more than it sends": {"longer": 10},
        "sends another file once": {"wrong": [b"x" * 1000]},
        "tells no length": {"lengths": False},
        "cuts, and knows no ranges": {"cuts": [100], "ranges": False},
    }
    return [(f"server {name}", functools.partial(_served, fault=fault)) for name, fault in faults.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only the rows that have this word in their name")
    parser.add_argument("--folder", type=Path, help="where the runs are; by default a new one, which is left there")
    arguments = parser.parse_args()
    job = Job((arguments.folder or Path(tempfile.mkdtemp(prefix="faults-"))).absolute())
    makers = (signals, kills, pairs, full_disks, damages, others, servers)
    rows = [(name, row) for make in makers for name, row in make() if arguments.only in name]
    print(f"{len(rows)} faults\n")
    print("| fault | exit code | told | again | parameters | summary |\n|---|---|---|---|---|---|")
    for name, row in rows:
        print(_line(name, row(job)), flush=True)


def _line(name: str, outcome: Outcome) -> str:
    words = {True: "equal", False: "differ", None: ""}
    told = outcome.told.replace("|", "¦")
    cells = [name, outcome.code, told, outcome.again, words[outcome.parameters], words[outcome.summary]]
    return f"| {' | '.join(map(str, cells))} |"


def _has_trained(workdir: Path, told: str) -> bool:
    del told
    metrics = workdir / "metrics.jsonl"
    return metrics.is_file() and metrics.read_bytes().count(b"\n") >= 3


def _tells_of(stage: str, workdir: Path, told: str) -> bool:
    del workdir
    return f"{stage} …" in told


def _killed(job: Job, name: str, share: float) -> Outcome:
    moment = time.monotonic() + share * job.seconds
    return job.disturbed(name, signal.SIGKILL, lambda workdir, told: time.monotonic() >= moment)


def _full_disk(job: Job, name: str, stage: str, left: int) -> Outcome:
    """Gives a run a disk with so many KB left, and room afterwards."""
    base = job.folder / "none" if stage == "train" else _before(job, stage)
    mount, out = job.folder / "disk", job.fresh(name)
    mount.mkdir(exist_ok=True)
    shell = ["unshare", "-rm", "sh", "-c", FULL_DISK, "sh", "16000", str(mount), str(base), str(left), str(out)]
    environment = job.environment() | {"FILLED": str(mount)}
    done = subprocess.run(
        [*shell, *job.command(mount / "run")], env=environment, capture_output=True, text=True, check=False
    )
    if not Path(f"{out}.again_code").is_file():
        return Outcome("", f"not run: {job.last_line(done.stderr)}")
    code, again = (int(Path(f"{out}.{which}_code").read_text()) for which in ("first", "again"))
    return job.compared(out, code, job.last_line(Path(f"{out}.first").read_text()), again)


def _before(job: Job, stage: str) -> Path:
    """A run of which a stage, and all that follow it, are not done yet."""
    workdir = job.copy(f"before {stage}")
    order = ("train", "evaluate", "dissect", "visualize", "report")
    for later in order[order.index(stage) :]:
        (workdir / "stages" / f"{later}.json").unlink()
    for file in ("summary.json", "report.html"):  # which the run would remove, and so have room again
        (workdir / file).unlink()
    made = {"visualize": ("figures",), "report": ()}.get(stage, ("figures", "dissection"))
    for folder in made:
        shutil.rmtree(workdir / folder)
    return workdir


def _damaged(job: Job, name: str, pattern: str, redo: tuple[str, ...]) -> Outcome:
    """Damages the largest file of a kind; where the run then refuses, the file is put back, as from a copy."""
    workdir = job.copy(name)
    for stage in redo:
        (workdir / "stages" / f"{stage}.json").unlink()
    path = max(workdir.glob(pattern), key=lambda file: file.stat().st_size)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + b"\xff" * 64)
    code, told = job.run(workdir)
    if code == 0:
        return job.compared(workdir, code, told, code)
    path.write_bytes(content)
    return job.compared(workdir, code, told, job.run(workdir)[0])


def _damaged_cache(job: Job) -> Outcome:
    """Damages what a dissection had added up when it was stopped, and removes it, as the message says."""
    workdir = _before(job, "dissect")
    process = job.start(workdir)
    while not list(workdir.glob("stages/dissect/*/*.npz")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    kept = list(workdir.glob("stages/dissect/*/pass-*.npz"))
    if not kept:
        return Outcome("", "not run: the dissection was done before it could be stopped")
    for path in kept:
        path.write_bytes(path.read_bytes()[:100])
    code, told = job.run(workdir)
    for path in kept:
        path.unlink(missing_ok=True)
    return job.compared(workdir, code, told, job.run(workdir)[0])


def _served(job: Job, fault: dict) -> Outcome:
    """Downloads a small file from a server with a fault; what is compared is the file."""
    content = json.dumps(list(range(500))).encode()
    folder = Path(tempfile.mkdtemp(dir=job.folder))
    download.FIRST_WAIT = 0.01
    with loopback_server.serving({"set.json": content}) as server:
        for field, value in fault.items():
            setattr(server, field, value)
        try:
            size = None if fault.get("lengths") is False else len(content)
            got = download.fetch(archive.Archive(f"{server.url}/set.json", size), folder)
        except UserError as error:
            return Outcome(1, job.last_line(str(error)))
    return Outcome(0, f"the file is {'right' if got.read_bytes() == content else 'WRONG'}")


if __name__ == "__main__":
    main()
