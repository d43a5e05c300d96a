"""The main job: train, evaluate, dissect, visualize and report, each stage done once and kept in the workdir."""

import dataclasses
import functools
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from ml_collections import ConfigDict

from interpjax import config as config_lib
from interpjax import data, dissection, models, parallel, training
from interpjax.data import sources, two_figures_concepts
from interpjax.data.images import SkippedImages
from interpjax.report import figures, page, scores, tables
from interpjax.training.step import make_eval_step, normalize
from interpjax.visualization import top_images
from interpjax.workdir import check_workdir, claim_workdir, lock_workdir, run_stage, write_atomic


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What the stages of one run share."""

    config: ConfigDict
    workdir: Path
    source: data.Source
    concepts: data.ConceptData
    model: nn.Module

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers to dissect: the configured ones, or every convolution."""
        return tuple(self.config.dissection.layers) or self.model.conv_layers

    @property
    def protocol(self) -> dissection.Protocol:
        """By which the network is dissected."""
        try:
            return dissection.get_protocol(self.config.dissection.protocol)
        except ValueError as error:
            raise ValueError(f"config.dissection.{error}") from error


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
    if not (workdir / "summary.json").is_file():
        experiment = prepare(config, workdir)
        with lock_workdir(workdir):
            claim_workdir(config, workdir, _identity(experiment.source))
            _run_stages(experiment)
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
    model = _create_model(config, json.loads((workdir / "data.json").read_text())["class_names"])
    return config, model, training.restore_state(config, model, workdir).variables


def _identity(source: data.Source) -> dict[str, Any]:
    return {
        "class_names": list(source.class_names),
        "train_images": len(source.train),
        "test_images": len(source.test),
    }


def _create_model(config: ConfigDict, class_names: Sequence[str]) -> nn.Module:
    settings = config.model
    if settings.name not in models.MODELS:
        raise ValueError(f"config.model.name = {settings.name!r}: choose one of {', '.join(models.MODELS)}")
    return models.create_model(
        settings.name,
        num_classes=len(class_names),
        width=settings.width,
        dropout=settings.dropout,
        axis_name=parallel.AXIS,
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
        concepts = data.load_broden(config.dissection.broden)
    else:
        raise ValueError("config.dissection.broden = '': give a directory in Broden's layout")
    model = _create_model(config, source.class_names)
    training.check(config, model)
    experiment = Experiment(config, workdir, source, concepts, model)
    unknown = set(experiment.layers) - set(model.conv_layers)
    if unknown:
        known = ", ".join(model.conv_layers)
        raise ValueError(f"config.dissection.layers: {config.model.name} has no {min(unknown)!r}; it has {known}")
    _ = experiment.protocol
    return experiment


def _run_stages(experiment: Experiment) -> None:
    stages = {
        "train": _train,
        "evaluate": _evaluate,
        "dissect": _dissect,
        "visualize": _visualize,
    }
    done, seconds = {}, {}
    for name, stage in stages.items():
        done[name], seconds[name] = run_stage(experiment.workdir, name, functools.partial(stage, experiment))
    summary = {
        "accuracy": done["evaluate"]["accuracy"],
        "top5": done["evaluate"]["top5"],
        "cross_entropy": done["evaluate"]["cross_entropy"],
        **done["dissect"]["scores"],
        "num_steps": done["train"]["num_steps"],
        "skipped_images": {
            "train": done["train"]["skipped"],
            "test": done["evaluate"]["skipped"],
            "dissection": done["dissect"]["skipped"],
        },
        "seconds": seconds,
    }
    _, seconds["report"] = run_stage(experiment.workdir, "report", lambda: _report(experiment, summary))
    write_atomic(experiment.workdir / "summary.json", json.dumps(summary, indent=2) + "\n")


def _train(experiment: Experiment) -> dict[str, Any]:
    trained = training.train(experiment.config, experiment.model, experiment.source, experiment.workdir)
    return {
        "num_steps": trained.num_steps,
        "skipped": trained.skipped,
        "earlier_seconds": trained.earlier_seconds,
    }


def _evaluate(experiment: Experiment) -> dict[str, Any]:
    config, skipped = experiment.config, SkippedImages()
    state = training.restore_state(config, experiment.model, experiment.workdir)
    eval_step = make_eval_step(experiment.model, mean=config.data.mean, std=config.data.std)
    variables = parallel.replicate(state.variables)
    scores = training.evaluate(config, eval_step, variables, experiment.source, skipped)
    return {**scores, "skipped": sorted(skipped.names)}


def _activations_fn(experiment: Experiment) -> dissection.ActivationsFn:
    config, layers, stage = experiment.config, experiment.layers, experiment.protocol.tap
    variables = jax.device_put(training.restore_state(config, experiment.model, experiment.workdir).variables)

    @jax.jit
    def forward(variables, images):
        images = normalize(images, config.data.mean, config.data.std)
        return models.apply_with_taps(experiment.model, variables, images, layers=layers, stage=stage)[1]

    def activations(images: np.ndarray) -> Mapping[str, jax.Array]:
        # The last batch is filled up, so that it is not compiled for anew.
        size = config.dissection.batch_size
        filled = np.concatenate([images, np.zeros((size - len(images), *images.shape[1:]), images.dtype)])
        return {layer: maps[: len(images)] for layer, maps in forward(variables, filled).items()}

    return activations


def _dissect(experiment: Experiment) -> dict[str, Any]:
    config = experiment.config
    skipped = SkippedImages() if config.data.on_bad_image == "skip" else None
    results = dissection.dissect(
        _activations_fn(experiment),
        experiment.concepts,
        layers=experiment.layers,
        protocol=experiment.protocol,
        batch_size=config.dissection.batch_size,
        image_size=config.data.image_size,
        top_images=config.dissection.top_images,
        skipped=skipped,
    )
    folder = experiment.workdir / "dissection"
    shutil.rmtree(folder, ignore_errors=True)  # of a session that was cut off here
    for layer, result in results.items():
        (folder / layer).mkdir(parents=True)
        result.to_csv(folder / layer / "tally.csv")
        result.save(folder / layer / "iou.npz")
    return {"scores": scores.score(results), "skipped": sorted(skipped.names) if skipped else []}


def _load_results(experiment: Experiment) -> dict[str, dissection.Dissection]:
    folder = experiment.workdir / "dissection"
    return {layer: dissection.Dissection.load(folder / layer / "iou.npz") for layer in experiment.layers}


def _visualize(experiment: Experiment) -> dict[str, Any]:
    config = experiment.config
    strips = top_images.draw_strips(
        _activations_fn(experiment),
        experiment.concepts,
        _load_results(experiment),
        experiment.workdir / "figures" / "top_images",
        batch_size=config.dissection.batch_size,
        image_size=config.data.image_size,
    )
    return {"strips": strips}


def _report(experiment: Experiment, summary: dict[str, Any]) -> dict[str, Any]:
    chart = figures.detectors_by_category(summary["layers"])
    write_atomic(experiment.workdir / "figures" / "detectors_by_category.svg", chart)
    page.write_report(experiment.workdir, summary, _load_results(experiment), config_lib.to_json(experiment.config))
    return {}
