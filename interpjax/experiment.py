"""The main job: train (or import), evaluate, dissect, visualize and report, each done once and kept in the workdir."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from interpjax import json_files, models, stopping, training
from interpjax.config import from_json, to_json, validate
from interpjax.errors import Problems, UserError, refusals
from interpjax.prepare import DEFAULT_STAGES, Experiment, networks, prepare
from interpjax.report import tables
from interpjax.stages import ordered_stages, pending_stages, run_stages
from interpjax.workdir import (
    check_data,
    check_workdir,
    claim_workdir,
    keeping_tracebacks,
    lock_workdir,
    read_config,
    stage_is_done,
)


def run(config: ConfigDict, workdir: str | Path, stages: Sequence[str] = DEFAULT_STAGES) -> dict[str, Any]:
    """Runs an experiment to its end, or goes on with one that was cut off.

    Every stage is done once: a finished workdir is only read. Tables are printed to standard output. A stage is done
    again if its file in ``workdir/stages`` is removed, and so are those that are made from it. Training goes on from
    its last checkpoint even then; it begins anew where ``workdir/checkpoints`` is removed too.

    Args:
      config: of :func:`interpjax.get_config`.
      workdir: a folder of this run's own; everything it writes is in it (but for two-figures data, where
        ``config.data.directory`` says so).
      stages: to run; by default all but ``"chance"``. With ``"train"``, training starts from the file
        ``config.model.weights`` if it is set. Without, the network is the one that was trained in the workdir before,
        or else that of this file as it is; it then needs no data to train or test on, unless it is evaluated.

    Returns:
      What ``workdir/summary.json`` holds: the results of all stages that were run in this workdir.

    Raises:
      UserError: naming the field or file, on a wrong configuration, unknown stages, missing data, or a workdir of
        another run or of weights that have changed since; several are told at once. Naming the stage and the file
        and what to do, where the machine refuses something: a full disk, a missing right, too little memory.
      BadImageError: on an unreadable image, unless ``config.data.on_bad_image`` is ``"skip"``.
      CheckpointError: if a checkpoint cannot be written or read.
      TrainingDivergedError: if the loss is not finite.
      Stopped: on SIGINT, SIGTERM or SIGHUP, after training has saved a checkpoint, or a dissection what it has counted.
    """
    workdir = Path(workdir).expanduser().absolute()
    stages = ordered_stages(stages)
    with refusals(f"workdir {workdir}"):
        experiment = prepared(config, workdir, stages)
    if experiment is None:
        print(f"already finished: {workdir}", file=sys.stderr)
        return _told(workdir)
    if experiment.labelled is not None and experiment.labelled.memory is not None:
        print(experiment.labelled.memory, file=sys.stderr)
    told = refusals(f"workdir {workdir}")
    with told, lock_workdir(workdir), keeping_tracebacks(workdir), stopping.on_signals():
        claim_workdir(experiment.config_text, workdir, identity(experiment) | networks.digests(config))
        run_stages(experiment, pending_stages(stages, workdir))
    return _told(workdir)


def prepared(config: ConfigDict, workdir: Path, stages: Sequence[str]) -> Experiment | None:
    """The experiment, checked as far as it can be before anything is written; None if its stages are all done.

    Args:
      config: of the experiment.
      workdir: its folder, absolute.
      stages: that are asked for, in their order.

    Raises:
      UserError: as :func:`run`.
    """
    validate(config)
    networks.check_origin(config, stages, trained=stage_is_done(workdir, "train"))
    check_workdir(to_json(config), workdir)
    pending, problems = pending_stages(stages, workdir), Problems()
    finished = not pending and (workdir / "summary.json").is_file()
    with problems.collected():
        check_data(workdir, networks.digests(config, missing_ok=finished))
    if finished:
        problems.raise_all()
        return None
    return prepare(config, workdir, pending, problems)


def load(workdir: str | Path) -> tuple[ConfigDict, nn.Module, dict[str, Any]]:
    """The network of a workdir: at its last checkpoint, or the imported one, from its file, if none was trained.

    Args:
      workdir: of a run that got at least to its first checkpoint, or of an imported network.

    Returns:
      Its configuration, the model, and the variables that ``model.apply`` takes, as numpy arrays.

    Raises:
      UserError: if the folder holds no run, or the file of an imported network is missing or has changed.
      CheckpointError: if it holds no checkpoint.
    """
    workdir = Path(workdir).expanduser().absolute()
    if not (workdir / "config.json").is_file():
        raise UserError(f"workdir {workdir}: no run there (config.json is missing)")
    config = from_json(read_config(workdir))
    check_data(workdir, networks.digests(config, missing_ok=True))
    imported = None if (workdir / "checkpoints").is_dir() else networks.read_weights(config)
    model = networks.create(config, workdir, None, imported)
    alone = models.outside_of_devices(model)
    if imported is not None:
        return config, alone, imported
    return config, alone, training.read_variables(model, config.data.image_size, workdir)


def identity(experiment: Experiment) -> dict[str, Any]:
    """What must be the same in all stages of a run, of the data that these stages need."""
    found: dict[str, Any] = {}
    if experiment.source is not None:
        found["class_names"] = list(experiment.source.class_names)
        splits = {"train_images": experiment.source.train, "test_images": experiment.source.test}
        splits |= {"validation_images": experiment.source.validation}
        found |= {name: len(split) for name, split in splits.items() if split is not None}
    if experiment.labelled is not None:
        concepts = experiment.labelled.concepts
        found["labelled images"] = f"{len(concepts.records)}, sha256:{concepts.listing_fingerprint()}"
    return found


def _told(workdir: Path) -> dict[str, Any]:
    """The summary, printed as tables."""
    summary = json_files.read(workdir / "summary.json", "remove it, and the same command makes it again")
    print(f"\n{tables.format_summary(summary)}")
    if "report" in summary["seconds"]:
        print(f"\nreport: {workdir / 'report.html'}")
    return summary
