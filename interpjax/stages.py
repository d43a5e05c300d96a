"""The stages of the main job, in their order, and what they leave in the workdir."""

import dataclasses
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from interpjax import config as config_lib
from interpjax import data, dissection, models, parallel, training
from interpjax.data.images import SkippedImages
from interpjax.report import figures, page, scores
from interpjax.training.metrics import progress_bar, read_metrics
from interpjax.training.step import make_eval_step
from interpjax.visualization import top_images
from interpjax.workdir import run_stage, write_atomic


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
        settings = self.config.dissection
        try:
            return dissection.get_protocol(settings.protocol, **dict(settings.protocol_fields))
        except ValueError as error:
            raise ValueError(f"config.dissection.{error}") from error
        except TypeError as error:
            raise ValueError(
                f"config.dissection.protocol_fields = {settings.protocol_fields}: needed are pairs of a field's name "
                'and its value, (("top_quantile", 0.01),)'
            ) from error

    @functools.cached_property
    def state(self) -> training.TrainState:
        """The trained network, read once for all the stages that follow the training."""
        return training.restore_state(self.config, self.model, self.workdir)

    @functools.cached_property
    def network(self) -> dissection.Network:
        """Images to activation maps, compiled once for all the stages that look at units."""
        layers, stage = self.layers, self.protocol.tap
        mean, std = (255 * np.array(constant) for constant in (self.config.data.mean, self.config.data.std))
        return dissection.from_jax(
            lambda variables, images: models.apply_with_taps(self.model, variables, images, layers=layers, stage=stage)[
                1
            ],
            self.state.variables,
            layers=layers,
            preprocessing=dissection.Preprocessing(mean, std),
            name=f"{self.model!r}, {stage}",
        )


def run_stages(experiment: Experiment) -> None:
    """Runs every stage that was not run yet, and writes ``summary.json`` when all are done."""
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
        "groups": done["evaluate"]["groups"],
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
    eval_step = make_eval_step(experiment.model, mean=config.data.mean, std=config.data.std)
    variables = parallel.replicate(experiment.state.variables)
    scores = training.evaluate(config, eval_step, variables, experiment.source, skipped)
    model = experiment.model.clone(axis_name=None)
    groups = training.diagnose(config, model, experiment.state.variables, experiment.source)
    return {**scores, "groups": groups, "skipped": sorted(skipped.names)}


def _dissect(experiment: Experiment) -> dict[str, Any]:
    config = experiment.config
    skipped = SkippedImages() if config.data.on_bad_image == "skip" else None
    kept = experiment.workdir / "stages" / "dissect"  # what is counted so far, should this be cut off
    rows = -(-len(experiment.concepts.records) // config.dissection.batch_size) * config.dissection.batch_size
    with progress_bar("dissect", 2 * rows) as bar:  # two passes, of whole batches

        def counted(images: Array | np.ndarray) -> dict[str, Any]:
            bar.update(len(images))
            return experiment.network(images)

        results = dissection.dissect(
            dataclasses.replace(experiment.network, activations=counted),
            experiment.concepts,
            layers=experiment.layers,
            protocol=experiment.protocol,
            batch_size=config.dissection.batch_size,
            image_size=config.data.image_size,
            top_images=config.dissection.top_images,
            skipped=skipped,
            cache=kept,
        )
    folder = experiment.workdir / "dissection"
    shutil.rmtree(folder, ignore_errors=True)  # of a session that was cut off here
    for layer, result in results.items():
        (folder / layer).mkdir(parents=True)
        result.to_csv(folder / layer / "tally.csv")
        result.save(folder / layer / "iou.npz")
    shutil.rmtree(kept)
    return {"scores": scores.score(results), "skipped": sorted(skipped.names) if skipped else []}


def _load_results(experiment: Experiment) -> dict[str, dissection.Dissection]:
    folder = experiment.workdir / "dissection"
    return {layer: dissection.Dissection.load(folder / layer / "iou.npz") for layer in experiment.layers}


def _visualize(experiment: Experiment) -> dict[str, Any]:
    config = experiment.config
    strips = top_images.draw_strips(
        experiment.network,
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
    metrics = read_metrics(experiment.workdir / "metrics.jsonl")
    if figures.has_groups(metrics):
        write_atomic(experiment.workdir / "figures" / "groups_over_training.svg", figures.groups_over_training(metrics))
    page.write_report(experiment.workdir, summary, _load_results(experiment), config_lib.to_json(experiment.config))
    return {}
