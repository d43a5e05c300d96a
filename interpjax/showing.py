"""The stages that show what came out: pictures of what units look at, figures, and the page."""

import json
import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from interpjax import models
from interpjax.config.values import flatten
from interpjax.config.words import in_words, trains_groups
from interpjax.data.images import SkippedImages, resize
from interpjax.data.pipeline import test_batches
from interpjax.data.splits import PartSplit
from interpjax.dissection import Dissection
from interpjax.finished import VIEWS, asked_pictures, load_exhibits, load_intervals, load_results, load_views, summary
from interpjax.prepare import Experiment
from interpjax.prepare.facts import CLASS_NAMES, LABELLED
from interpjax.report import page, tensorboard
from interpjax.training.metrics import read_metrics
from interpjax.visualization import causes, gallery, views
from interpjax.visualization.ablation import Batch
from interpjax.visualization.belonging import counted_data
from interpjax.visualization.exhibits import Exhibits
from interpjax.visualization.sights import NetworkSights
from interpjax.workdir import read_facts


def visualize(experiment: Experiment) -> dict[str, Any]:
    """Looks at images with every unit that was dissected, and makes the pictures that are asked for beside."""
    labelled, results = experiment.labelled, load_results(experiment.workdir)
    assert labelled is not None
    counted = counted_data(labelled.concepts, results)
    sights = NetworkSights(experiment.network, counted, batch_size=labelled.batch_size, image_size=labelled.image_size)
    found = views.view(sights, results)
    found.save(experiment.workdir / VIEWS)
    subject = _subject(experiment, results, sights)
    shown, left_out = gallery.gallery(subject, experiment.pictures.kinds)
    caused = _causes(experiment, subject, left_out)
    for kind, why in left_out.items():
        print(f"config.visualization.pictures: no {kind} of this network: {why}", file=sys.stderr)
    Exhibits(shown, caused, left_out).save(experiment.workdir / VIEWS)
    fields = asked_pictures(experiment.config_text)
    return {"pictures": len(found.pictures) + len(shown), "format": views.FORMAT, "fields": fields}


def _causes(experiment: Experiment, subject: gallery.Subject, left_out: dict[str, str]) -> list[causes.Cause]:
    """What units cause, where it is asked for; notes why, where that cannot be measured."""
    if causes.KIND not in experiment.pictures.kinds:
        return []
    batches = _test_images(experiment)
    if not batches:
        left_out[causes.KIND] = "there are no test images of its classes, as with imported weights"
        return []
    try:
        return causes.causes(subject, batches)
    except ValueError as error:  # by which the functions say what they expect of a network
        left_out[causes.KIND] = str(error)
        return []


def _subject(experiment: Experiment, results: dict[str, Dissection], sights: NetworkSights) -> gallery.Subject:
    settings = experiment.pictures
    size = experiment.pipeline.image_size
    # Of labelled images, which any dissection has; spread over the data, for neighbours may be of one kind.
    numbers = sights.numbers()[:: max(1, len(sights.numbers()) // settings.most)][: settings.most]
    return gallery.Subject(
        model=models.outside_of_devices(experiment.model),
        variables=experiment.variables,
        preprocessing=experiment.preprocessing,
        image_size=size,
        results=results,
        groupings=experiment.groups.groupings(tuple(results)),
        class_names=tuple(read_facts(experiment.workdir).get(CLASS_NAMES, ())),
        images=np.stack([resize(sight.image, size, size) for sight in sights.of(numbers)]),
        seed=experiment.pipeline.seed,
        most=settings.most,
    )


def _test_images(experiment: Experiment) -> list[Batch]:
    """Batches to measure on what units cause; none if there are no test images."""
    source, settings = experiment.source, experiment.pictures
    if source is None or source.test is None:
        return []
    found: list[Batch] = []
    # Spread over the split, for its classes may be in order.
    spread = np.unique(np.linspace(0, len(source.test) - 1, settings.test_images).astype(int))
    split = PartSplit(source.test, spread)
    for batch in test_batches(split, experiment.pipeline, SkippedImages(), shard=(0, 1)):
        real = batch["mask"] > 0
        if real.any():
            found.append((jnp.asarray(experiment.preprocessing(batch["image"][real])), batch["label"][real]))
    return found


def report(experiment: Experiment) -> dict[str, Any]:
    """Writes ``report.html``, the figures, and what TensorBoard shows of it, of all stages that are done."""
    workdir, found = experiment.workdir, summary(experiment.workdir)
    content = page.Content(
        title=workdir.name,
        summary=found,
        results=load_results(workdir),
        intervals=load_intervals(workdir),
        views=load_views(workdir),
        exhibits=load_exhibits(workdir),
        metrics=read_metrics(workdir / "metrics.jsonl"),
        config=experiment.config_text,
        words=in_words(experiment.config_text),
        facts=_facts(workdir, found, experiment.pipeline.seed),
        trained_groups=trains_groups(flatten(json.loads(experiment.config_text))),
        chance_hint="give the command again with --stages=chance,report",
    )
    for drawing in content.drawings():
        drawing.save(workdir / "figures")
    tensorboard.write_events(workdir / "events", found, content.results, content.views, experiment.config_text)
    page.write_page(workdir / "report.html", content)
    return {}


def _facts(workdir: Path, summary: dict[str, Any], seed: int) -> list[tuple[str, str]]:
    """What the page says of the run."""
    seconds = ", ".join(f"{stage} {value:.0f} s" for stage, value in summary["seconds"].items())
    skipped = {split: len(names) for split, names in summary["skipped_images"].items() if names}
    return [
        ("seed", str(seed)),
        ("labelled images", str(read_facts(workdir).get(LABELLED, "")).partition(",")[0]),
        *([("steps of training", str(summary["num_steps"]))] if "num_steps" in summary else []),
        ("time of each stage", seconds),
        *((f"unreadable images of {split}, skipped", str(count)) for split, count in skipped.items()),
    ]
