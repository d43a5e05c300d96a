"""Every command of docs/reproduce.md from the data on, run by a shell as it is written, on a few images."""

import dataclasses
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import broden_layout
import loopback_server
import pandas as pd
import places365_archives as places
import pytest

import docs

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reproduce.md"
# One of the 36 runs, for the time they take; REPRODUCE=all in the environment runs them all.
ONE = ("--only=Places50₁_AlexNet-B/weight_decay", "--seeds=0")


def all_classes() -> dict[str, bytes]:
    """The archives of Places365 with two images of each of 365 classes, and one to test on."""
    names = [f"/a/class{label:03d}" for label in range(365)]
    train = {f"{name}/{n:08d}.jpg": label for label, name in enumerate(names) for n in (1, 2)}
    validation = {f"Places365_val_{n + 1:08d}.jpg": n % 365 for n in range(365)}
    return places.archive_files(names, train, validation, grain=32)


def broden_archive(folder: Path) -> bytes:
    """A Broden of three images, as its server has it."""
    broden_layout.make_broden(folder / "broden1_224", side=224)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted((folder / "broden1_224").rglob("*")):
            archive.write(path, path.relative_to(folder))
    return packed.getvalue()


@pytest.mark.long
def test_every_command_from_the_data_to_the_table_runs(tmp_path):
    text = "\n".join(docs.blocks(PAGE, "bash"))
    every = os.environ.get("REPRODUCE") == "all"
    files = all_classes()
    files["broden1_224.zip"] = broden_archive(tmp_path)
    with loopback_server.serving(files) as server:
        archives = dataclasses.asdict(places.archives(files, server.url))
        served = {
            "places365": {name: list(archive.values()) for name, archive in archives.items()},
            "broden": f"{server.url}/broden1_224.zip",
        }
        (tmp_path / "server.json").write_text(json.dumps(served | {"some_runs": [] if every else ONE}))
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin" / "interpjax"
        stand_in = Path(__file__).with_name("reproduce_program.py")
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {stand_in} {tmp_path / "server.json"} "$@"\n')
        program.chmod(0o755)
        environment = os.environ | {
            "PATH": f"{program.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DATA": str(tmp_path / "data"),
            "RUNS": str(tmp_path / "runs"),
            "XLA_FLAGS": "--xla_backend_optimization_level=0",  # all is run once: compiling takes longer than running
        }
        told = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], env=environment, cwd=tmp_path, capture_output=True, text=True
        )
    assert told.returncode == 0, told.stderr[-3000:]
    rows = [line.split(" | ") for line in told.stdout.splitlines() if line.startswith("|")]
    made = [row for row in rows if row[1] in ("weight decay", "block norm") and row[2] == ("3" if every else "1")]
    assert len(made) == (12 if every else 1)
    runs = pd.read_csv(tmp_path / "runs" / "table" / "results.csv")
    assert len(runs.groupby(["section", "row", "seed"])) == (36 if every else 1)
    assert runs["layer"].tolist()[:5] == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    assert runs["untrained"].notna().all()
