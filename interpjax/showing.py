"""The stages that show what came out: pictures of what units look at, figures, and the page."""

from typing import Any

from interpjax.config.words import in_words
from interpjax.finished import VIEWS, load_intervals, load_results, load_views, summary
from interpjax.prepare import Experiment
from interpjax.report import page, tensorboard
from interpjax.training.metrics import read_metrics
from interpjax.visualization import views
from interpjax.visualization.sights import NetworkSights


def visualize(experiment: Experiment) -> dict[str, Any]:
    """Looks at images with every unit that was dissected."""
    labelled = experiment.labelled
    assert labelled is not None
    sights = NetworkSights(
        experiment.network, labelled.concepts, batch_size=labelled.batch_size, image_size=labelled.image_size
    )
    found = views.view(sights, load_results(experiment.workdir))
    found.save(experiment.workdir / VIEWS)
    return {"pictures": len(found.pictures)}


def report(experiment: Experiment) -> dict[str, Any]:
    """Writes ``report.html``, the figures, and what TensorBoard shows of it, of all stages that are done."""
    workdir, found = experiment.workdir, summary(experiment.workdir)
    content = page.Content(
        title=workdir.name,
        summary=found,
        results=load_results(workdir),
        intervals=load_intervals(workdir),
        views=load_views(workdir),
        metrics=read_metrics(workdir / "metrics.jsonl"),
        config=experiment.config_text,
        words=in_words(experiment.config_text),
        facts=_facts(found, experiment.pipeline.seed),
        chance_hint="give the command again with --stages=chance,report",
    )
    for drawing in page.paper_drawings(content):
        drawing.save(workdir / "figures")
    tensorboard.write_events(workdir / "events", found, content.results, content.views, experiment.config_text)
    page.write_page(workdir / "report.html", content)
    return {}


def _facts(summary: dict[str, Any], seed: int) -> list[tuple[str, str]]:
    """What the page says of the run."""
    seconds = ", ".join(f"{stage} {value:.0f} s" for stage, value in summary["seconds"].items())
    skipped = {split: len(names) for split, names in summary["skipped_images"].items() if names}
    return [
        ("seed", str(seed)),
        *([("steps of training", str(summary["num_steps"]))] if "num_steps" in summary else []),
        ("time of each stage", seconds),
        *((f"unreadable images of {split}, skipped", str(count)) for split, count in skipped.items()),
    ]
