"""The stages of the main job, in their order, and what they leave in the workdir."""

import dataclasses
import functools
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from interpjax import config as config_lib
from interpjax import data, dissection, models, parallel, training
from interpjax.atomic import write_atomic
from interpjax.data.images import SkippedImages
from interpjax.data.normalization import normalization
from interpjax.dissection.upsampling import FieldMap
from interpjax.report import figures, page, scores
from interpjax.training.metrics import progress_bar, read_metrics
from interpjax.training.step import make_eval_step
from interpjax.visualization import top_images
from interpjax.workdir import forget_stage, run_stage, stage_is_done

STAGES = ("train", "evaluate", "dissect", "visualize", "report")
NEEDS_DISSECTION = ("visualize", "report")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What the stages of one run share.

    Attributes:
      config: of the run.
      workdir: its folder.
      source: to train and evaluate on; None if no stage does.
      concepts: to dissect with; None if no stage does.
      model: the network.
      imported: its variables, if they were not trained here.
    """

    config: ConfigDict
    workdir: Path
    source: data.Source | None
    concepts: data.ConceptData | None
    model: models.Classifier
    imported: dict[str, Any] | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers to dissect: the configured ones, or every convolution with maps of its own."""
        return tuple(self.config.dissection.layers) or self.model.own_maps

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

    @property
    def fieldmaps(self) -> dict[str, FieldMap]:
        """The receptive fields of the layers, for a protocol that upsamples by them; without those that see it all."""
        if self.protocol.upsampling != "fieldmap":
            return {}
        known = models.layers(self.model, self.config.data.image_size)
        return {own.name: own.receptive_field for own in known if own.name in self.layers and own.receptive_field}

    @functools.cached_property
    def variables(self) -> dict[str, Any]:
        """Those of the network, imported or trained; read once for all the stages that follow the training."""
        if self.imported is not None:
            return self.imported
        return training.restore_state(self.config, self.model, self.workdir).variables

    @property
    def preprocessing(self) -> dissection.Preprocessing:
        """From uint8 RGB images to what the network sees."""
        constants = normalization(self.config)
        mean, std = (255 * np.asarray(constants[name]) for name in ("mean", "std"))
        return dissection.Preprocessing(mean, std, constants["channels"])

    @functools.cached_property
    def network(self) -> dissection.Network:
        """Images to activation maps, compiled once for all the stages that look at units."""
        layers, stage = self.layers, self.protocol.tap
        return dissection.from_jax(
            lambda variables, images: models.apply_with_taps(self.model, variables, images, layers=layers, stage=stage)[
                1
            ],
            self.variables,
            layers=layers,
            preprocessing=self.preprocessing,
            name=f"{self.model!r}, {stage}",
        )


def check_stages(stages: Sequence[str], workdir: Path) -> tuple[str, ...]:
    """The stages that are asked for, in their order.

    Raises:
      ValueError: naming one that is unknown, or that needs another that is not there.
    """
    names = [stages] if isinstance(stages, str) else list(stages)
    for name in names:
        if name not in STAGES:
            raise ValueError(f"stages: {name!r} is none; choose from {', '.join(STAGES)}")
    if not names:
        raise ValueError(f"stages: name at least one of {', '.join(STAGES)}")
    for name in NEEDS_DISSECTION:
        if name in names and "dissect" not in names and not stage_is_done(workdir, "dissect"):
            raise ValueError(f"stages: {name} needs dissect, which has not been run in {workdir}; add it")
    return tuple(name for name in STAGES if name in names)


def run_stages(experiment: Experiment, stages: Sequence[str] = STAGES) -> None:
    """Runs those of the stages that were not run yet, and writes ``summary.json``, of all that ever were."""
    functions = {"train": _train, "evaluate": _evaluate, "dissect": _dissect, "visualize": _visualize}
    workdir = experiment.workdir
    if any(name in stages and not stage_is_done(workdir, name) for name in functions):
        (workdir / "summary.json").unlink(missing_ok=True)
        forget_stage(workdir, "report")  # there will be more to tell
        (workdir / "report.html").unlink(missing_ok=True)
    done, seconds = {}, {}
    for name, stage in functions.items():
        if name in stages or stage_is_done(workdir, name):
            done[name], seconds[name] = run_stage(workdir, name, functools.partial(stage, experiment))
    summary = _summary(done, seconds)
    if "report" in stages or stage_is_done(workdir, "report"):
        _, seconds["report"] = run_stage(workdir, "report", lambda: _report(experiment, summary))
    write_atomic(workdir / "summary.json", json.dumps(summary, indent=2) + "\n")


def _summary(done: dict[str, dict[str, Any]], seconds: dict[str, float]) -> dict[str, Any]:
    """What the stages that were run have found; ``seconds`` goes in as it is."""
    trained, evaluated, dissected = (done.get(name, {}) for name in ("train", "evaluate", "dissect"))
    splits = {"train": trained, "test": evaluated, "dissection": dissected}
    return {
        **{name: evaluated[name] for name in ("accuracy", "top5", "cross_entropy") if evaluated},
        **dissected.get("scores", {}),
        **{name: evaluated[name] for name in ("groups",) if evaluated},
        **{name: trained[name] for name in ("num_steps",) if trained},
        "skipped_images": {split: result["skipped"] for split, result in splits.items() if result},
        "seconds": seconds,
    }


def _train(experiment: Experiment) -> dict[str, Any]:
    assert experiment.source is not None
    trained = training.train(experiment.config, experiment.model, experiment.source, experiment.workdir)
    return {
        "num_steps": trained.num_steps,
        "skipped": trained.skipped,
        "earlier_seconds": trained.earlier_seconds,
    }


def _evaluate(experiment: Experiment) -> dict[str, Any]:
    assert experiment.source is not None
    config, skipped = experiment.config, SkippedImages()
    eval_step = make_eval_step(experiment.model, **normalization(config))
    variables = parallel.replicate(experiment.variables)
    scores = training.evaluate(config, eval_step, variables, experiment.source, skipped)
    model = experiment.model.clone(axis_name=None)
    groups = training.diagnose(config, model, experiment.variables, experiment.source)
    return {**scores, "groups": groups, "skipped": sorted(skipped.names)}


def _dissect(experiment: Experiment) -> dict[str, Any]:
    assert experiment.concepts is not None
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
            fieldmaps=experiment.fieldmaps,
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
    assert experiment.concepts is not None
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
