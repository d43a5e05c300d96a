"""The main job: train, evaluate, dissect, visualize and report, each stage done once and kept in the workdir."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from interpjax import config as config_lib
from interpjax import data, models, parallel, training
from interpjax.data import sources, two_figures_concepts
from interpjax.report import tables
from interpjax.stages import Experiment, run_stages
from interpjax.workdir import check_workdir, claim_workdir, lock_workdir


def run(config: ConfigDict, workdir: str | Path) -> dict[str, Any]:
    """Runs an experiment to its end, or goes on with one that was cut off.

    Every stage is done once: a finished workdir is only read. Tables are printed to standard output.

    Args:
      config: of :func:`interpjax.get_config`.
      workdir: a folder of this run's own; everything it writes is in it (but for two-figures data, where
        ``config.data.directory`` says so).

    Returns:
      What ``workdir/summary.json`` holds.

    Raises:
      ValueError: naming the field or file, on a wrong configuration, missing data, or a workdir of another run.
      BadImageError: on an unreadable image, unless ``config.data.on_bad_image`` is ``"skip"``.
      CheckpointError: if a checkpoint cannot be written or read.
      TrainingDivergedError: if the loss is not finite.
    """
    workdir = Path(workdir).expanduser().absolute()
    config_lib.validate(config)
    check_workdir(config, workdir)
    if (workdir / "summary.json").is_file():
        print(f"already finished: {workdir}", file=sys.stderr)
    else:
        experiment = prepare(config, workdir)
        with lock_workdir(workdir):
            claim_workdir(config, workdir, _identity(experiment.source))
            run_stages(experiment)
    summary = json.loads((workdir / "summary.json").read_text())
    print(f"\n{tables.format_summary(summary)}\n\nreport: {workdir / 'report.html'}")
    return summary


def load(workdir: str | Path) -> tuple[ConfigDict, nn.Module, dict[str, Any]]:
    """The network of a workdir at its last checkpoint.

    Args:
      workdir: of a run that got at least to its first checkpoint.

    Returns:
      Its configuration, the model, and the variables that ``model.apply`` takes, as numpy arrays.

    Raises:
      ValueError: if the folder holds no run.
      CheckpointError: if it holds no checkpoint.
    """
    workdir = Path(workdir).expanduser().absolute()
    if not (workdir / "config.json").is_file():
        raise ValueError(f"workdir {workdir}: no run there (config.json is missing)")
    config = config_lib.from_json((workdir / "config.json").read_text())
    class_names = json.loads((workdir / "data.json").read_text())["class_names"]
    model = _create_model(config, class_names, axis_name=None)  # for use outside of parallel steps
    return config, model, training.restore_state(config, model, workdir).variables


def _identity(source: data.Source) -> dict[str, Any]:
    return {
        "class_names": list(source.class_names),
        "train_images": len(source.train),
        "test_images": len(source.test),
    }


def _create_model(config: ConfigDict, class_names: Sequence[str], axis_name: str | None) -> nn.Module:
    settings = config.model
    if settings.name not in models.MODELS:
        raise ValueError(f"config.model.name = {settings.name!r}: choose one of {', '.join(models.MODELS)}")
    return models.create_model(
        settings.name,
        num_classes=len(class_names),
        width=settings.width,
        dropout=settings.dropout,
        axis_name=axis_name,
    )


def prepare(config: ConfigDict, workdir: Path) -> Experiment:
    """Opens data and network and checks that they fit the configuration; nothing is written but data that are made.

    What only shows when it is read – an image, a label map – is not checked here.

    Raises:
      ValueError: naming the field or file.
    """
    source = sources.load_source(config, workdir / "data")
    if config.data.source == "two_figures":
        assert isinstance(source.test, sources.TfdsSplit), source
        concepts = two_figures_concepts.load(config, source.test.records)
    elif config.dissection.broden:
        try:
            concepts = data.load_broden(config.dissection.broden)
        except ValueError as error:
            raise ValueError(f"config.dissection.broden = {config.dissection.broden!r}: {error}") from error
    else:
        raise ValueError("config.dissection.broden = '': give a directory in Broden's layout")
    model = _create_model(config, source.class_names, axis_name=parallel.AXIS)
    training.check(config, model)
    experiment = Experiment(config, workdir, source, concepts, model)
    unknown = set(experiment.layers) - set(model.tap_layers)
    if unknown:
        known = ", ".join(model.tap_layers)
        raise ValueError(f"config.dissection.layers: {config.model.name} has no {min(unknown)!r}; it has {known}")
    _ = experiment.protocol
    return experiment
