"""The main job: train (or import), evaluate, dissect, visualize and report, each done once and kept in the workdir."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from interpjax import config as config_lib
from interpjax import data, imported, models, parallel, training
from interpjax.config.checks import validate
from interpjax.data import sources
from interpjax.data.two_figures import concepts as two_figures_concepts
from interpjax.dissection.upsampling import resampling
from interpjax.report import tables
from interpjax.stages import STAGES, Experiment, check_stages, run_stages
from interpjax.workdir import check_data, check_workdir, claim_workdir, lock_workdir, stage_is_done


def run(config: ConfigDict, workdir: str | Path, stages: Sequence[str] = STAGES) -> dict[str, Any]:
    """Runs an experiment to its end, or goes on with one that was cut off.

    Every stage is done once: a finished workdir is only read. Tables are printed to standard output.

    Args:
      config: of :func:`interpjax.get_config`.
      workdir: a folder of this run's own; everything it writes is in it (but for two-figures data, where
        ``config.data.directory`` says so).
      stages: to run. Without ``"train"`` the network is that of ``config.model.weights``, or the one that was trained
        in the workdir before; an imported network needs no data to train or test on, unless it is evaluated.

    Returns:
      What ``workdir/summary.json`` holds: the results of all stages that were run in this workdir.

    Raises:
      ValueError: naming the field or file, on a wrong configuration, unknown stages, missing data, or a workdir of
        another run or of weights that have changed since.
      BadImageError: on an unreadable image, unless ``config.data.on_bad_image`` is ``"skip"``.
      CheckpointError: if a checkpoint cannot be written or read.
      TrainingDivergedError: if the loss is not finite.
    """
    workdir = Path(workdir).expanduser().absolute()
    validate(config)
    stages = check_stages(stages, workdir)
    imported.check_stages(config, stages, trained=stage_is_done(workdir, "train"))
    check_workdir(config, workdir)
    finished = _is_finished(workdir, stages)
    files = imported.digests(config, missing_ok=finished)
    check_data(workdir, files)
    if finished:
        print(f"already finished: {workdir}", file=sys.stderr)
    else:
        experiment = prepare(config, workdir, stages)
        with lock_workdir(workdir):
            claim_workdir(config, workdir, _identity(experiment) | files)
            run_stages(experiment, stages)
    return _told(workdir)


def _told(workdir: Path) -> dict[str, Any]:
    """The summary, printed as tables."""
    summary = json.loads((workdir / "summary.json").read_text())
    print(f"\n{tables.format_summary(summary)}")
    if "report" in summary["seconds"]:
        print(f"\nreport: {workdir / 'report.html'}")
    return summary


def _is_finished(workdir: Path, stages: Sequence[str]) -> bool:
    path = workdir / "summary.json"
    return path.is_file() and set(stages) <= set(json.loads(path.read_text())["seconds"])


def load(workdir: str | Path) -> tuple[ConfigDict, models.Classifier, dict[str, Any]]:
    """The network of a workdir: at its last checkpoint, or the imported one, read from its file again.

    Args:
      workdir: of a run that got at least to its first checkpoint, or of an imported network.

    Returns:
      Its configuration, the model, and the variables that ``model.apply`` takes, as numpy arrays.

    Raises:
      ValueError: if the folder holds no run, or the file of an imported network is missing or has changed.
      CheckpointError: if it holds no checkpoint.
    """
    workdir = Path(workdir).expanduser().absolute()
    if not (workdir / "config.json").is_file():
        raise ValueError(f"workdir {workdir}: no run there (config.json is missing)")
    config = config_lib.from_json((workdir / "config.json").read_text())
    if config.model.weights:
        check_data(workdir, imported.digests(config, missing_ok=True))
        return config, *_import_network(config, axis_name=None)
    class_names = json.loads((workdir / "data.json").read_text())["class_names"]
    model = _create_model(config, len(class_names), axis_name=None)  # for use outside of parallel steps
    return config, model, training.restore_state(config, model, workdir).variables


def _identity(experiment: Experiment) -> dict[str, Any]:
    """What must be the same in all stages of a run, of the data that these stages need."""
    source, concepts = experiment.source, experiment.concepts
    found: dict[str, Any] = {}
    if source is not None:
        found |= {
            "class_names": list(source.class_names),
            "train_images": len(source.train),
            "test_images": len(source.test),
        }
    if concepts is not None:
        found["labelled images"] = f"{len(concepts.records)}, sha256:{concepts.listing_fingerprint()}"
    return found


def _create_model(config: ConfigDict, num_classes: int, axis_name: str | None) -> models.Classifier:
    settings = config.model
    if settings.name not in models.MODELS:
        raise ValueError(f"config.model.name = {settings.name!r}: choose one of {', '.join(models.MODELS)}")
    return models.create_model(
        settings.name,
        num_classes=num_classes,
        width=settings.width,
        dropout=settings.dropout,
        axis_name=axis_name,
    )


def _import_network(config: ConfigDict, axis_name: str | None) -> tuple[models.Classifier, dict[str, Any]]:
    head = _create_model(config, 1, axis_name).head
    variables = imported.read_variables(config)
    model = _create_model(config, np.size(variables["params"][head]["bias"]), axis_name)
    imported.check_size(config, model)  # load_weights has checked the shapes
    return model, variables


def prepare(config: ConfigDict, workdir: Path, stages: Sequence[str] = STAGES) -> Experiment:
    """Opens data and network and checks that they fit the configuration; nothing is written but data that are made.

    What only shows when it is read – an image, a label map – is not checked here.

    Args:
      config: the experiment.
      workdir: its folder.
      stages: that are to be run; what none of them needs is not opened.

    Raises:
      ValueError: naming the field or file.
    """
    source, variables = None, None
    if config.model.weights:
        model, variables = _import_network(config, parallel.AXIS)
        if "evaluate" in stages:
            source = sources.load_source(config, workdir / "data")
            imported.check_classes(config, model, source)
    else:
        source = sources.load_source(config, workdir / "data")
        model = _create_model(config, len(source.class_names), parallel.AXIS)
    if source is not None:
        training.check(config, model)
    concepts = _open_concepts(config, source) if {"dissect", "visualize"} & set(stages) else None
    experiment = Experiment(config, workdir, source, concepts, model, variables)
    unknown = set(experiment.layers) - set(model.tap_layers)
    if unknown:
        known = ", ".join(model.tap_layers)
        raise ValueError(f"config.dissection.layers: {config.model.name} has no {min(unknown)!r}; it has {known}")
    _ = experiment.protocol, experiment.preprocessing
    _check_upsampling(experiment)
    return experiment


def _check_upsampling(experiment: Experiment) -> None:
    """Finds layers that a protocol cannot upsample by their receptive fields, for labels of the first image's size."""
    if experiment.concepts is None or experiment.protocol.upsampling != "fieldmap":
        return
    size, labels = experiment.config.data.image_size, experiment.concepts.records[0].label_shape
    for layer in models.layers(experiment.model, size):
        if layer.name in experiment.layers:
            try:
                resampling("fieldmap", layer.shape[:2], labels, (size, size), layer.receptive_field)
            except ValueError as error:
                name = experiment.config.dissection.protocol
                raise ValueError(
                    f"config.dissection.protocol = {name!r}, layer {layer.name}: {error} or leave it out of "
                    "config.dissection.layers"
                ) from error


def _open_concepts(config: ConfigDict, source: data.Source | None) -> data.ConceptData:
    if config.data.source == "two_figures" and not config.model.weights:
        assert source is not None
        assert isinstance(source.test, sources.TfdsSplit), source
        return two_figures_concepts.load(config, source.test.records)
    if not config.dissection.broden:
        raise ValueError("config.dissection.broden = '': give a directory in Broden's layout")
    try:
        return data.load_broden(config.dissection.broden)
    except ValueError as error:
        raise ValueError(f"config.dissection.broden = {config.dissection.broden!r}: {error}") from error
