"""The trained network of one run as that of another folder, to be dissected there in another way."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from interpjax import json_files
from interpjax.atomic import TEMPORARY, locked
from interpjax.changes import current_config
from interpjax.config import from_json, override, to_json
from interpjax.errors import UserError, refusals
from interpjax.prepare import facts, networks, prepare
from interpjax.training.saved import FOLDER
from interpjax.workdir import check_data, read_facts, read_stage, stage_is_done

RECORDS = ("stages/train.json", "stages/evaluate.json", "metrics.jsonl")  # what the report tells of the network


def take_network(workdir: Path, fields: Mapping[str, Any], out: Path) -> ConfigDict:
    """Makes a folder in which the network of a run can be dissected by a configuration with other fields.

    Of a trained network the last checkpoint is copied, with what was measured of it. An imported one stays in its file.
    What its units cause is not measured, for that takes images to test on.
    All that can be checked is checked before; where the folder is there, only that it is of this network.

    Args:
      workdir: of the run.
      fields: that are to be others than the run's, ``{"dissection.layers": …}``.
      out: the folder, absolute; either new or empty, or made here before.

    Returns:
      The configuration to run there.

    Raises:
      UserError: if ``workdir`` holds no run whose training has come to its end, the network cannot be dissected by
        this configuration, or ``out`` holds anything else.
    """
    if not (workdir / "config.json").is_file():
        raise UserError(f"--weights={workdir}: no run there (config.json is missing); expected its folder, or a file")
    if workdir.resolve() == out.resolve():
        raise UserError(f"--out={out}: this is the folder of the run; expected another one")
    if out.resolve().is_relative_to(workdir.resolve()):
        raise UserError(f"--out={out}: is inside of the folder of the run, which stays as it is; expected another one")
    config = _without_causes(override(from_json(current_config(workdir)), fields))
    if not networks.is_trained(workdir):
        check_data(workdir, networks.digests(config, missing_ok=True))  # that the file is still the run's
        return config
    networks.check_origin(config, workdir, ("dissect",))
    if (out / "config.json").is_file():
        _check_network(workdir, out)
        return config
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out={out}: it is not empty and holds no config.json; expected a new folder")
    prepare(config, workdir, ("dissect",))
    with refusals(f"the copy of the network of {workdir}"):
        _copy(workdir, to_json(config), out)
    return config


def _without_causes(config: ConfigDict) -> ConfigDict:
    """The configuration without what needs images to test on, which a dissection does not."""
    pictures = tuple(kind for kind in config.visualization.pictures if kind != "causes")
    return override(config, {"visualization.pictures": pictures})


def _check_network(workdir: Path, out: Path) -> None:
    done = stage_is_done(out, "train")
    if not done or read_stage(out, "train") != read_stage(workdir, "train"):
        held = "the network of another training" if done else "a run of its own"
        raise UserError(f"--out={out}: it holds {held}, and not that of {workdir}; expected a new folder")


def _copy(workdir: Path, config_text: str, out: Path) -> None:
    """Copies into a folder beside, which takes the name of ``out`` when all is in it."""
    temporary = out.with_name(out.name + TEMPORARY)
    temporary.mkdir(parents=True, exist_ok=True)
    with locked(temporary, f"--out={out}: another process is copying the network there; wait for its end"):
        for left in (FOLDER, "stages"):  # by a process that was cut off
            shutil.rmtree(temporary / left, ignore_errors=True)
        (temporary / "stages").mkdir()
        step = str(read_stage(workdir, "train")["result"]["num_steps"])
        shutil.copytree(workdir / FOLDER / step, temporary / FOLDER / step)
        for name in RECORDS:
            if (workdir / name).is_file():
                shutil.copyfile(workdir / name, temporary / name)
        data = {name: fact for name, fact in read_facts(workdir).items() if name != facts.LABELLED}
        (temporary / "data.json").write_text(json_files.to_text(data) + "\n", encoding="utf-8")
        (temporary / "config.json").write_text(config_text + "\n", encoding="utf-8")
        temporary.rename(out)
