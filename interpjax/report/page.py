"""``report.html``: the whole result of a run in one file that opens offline."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import numpy as np

from interpjax.atomic import write_atomic
from interpjax.dissection import Dissection
from interpjax.report.tables import CHANCE_COLUMNS, GROUP_COLUMNS, chance_rows, groups_rows
from interpjax.visualization.top_images import strip_path


def write_report(workdir: Path, summary: Mapping[str, Any], results: Mapping[str, Dissection], config: str) -> Path:
    """Writes the report of a run.

    Args:
      workdir: has the figures that go into it.
      summary: the run's; the parts of stages that were not run are left out.
      results: of each layer.
      config: the run's configuration as text.

    Returns:
      The file's path.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("interpjax.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    with_strips = "visualize" in summary["seconds"]
    layers = {name: _units(workdir, name, result, with_strips) for name, result in results.items()}
    page = environment.get_template("report.html").render(
        title=workdir.name,
        summary=summary,
        categories=list(next(iter(summary["layers"].values()))["by_category"]),
        concepts=sorted(summary["concepts"], key=lambda concept: -max(concept["best_iou"].values())),
        layers=layers,
        with_strips=with_strips,
        chart=_drawing(workdir / "figures" / "detectors_by_category.svg"),
        chance_columns=CHANCE_COLUMNS,
        chance_rows=chance_rows(summary),
        group_columns=list(GROUP_COLUMNS.values()),
        group_rows=groups_rows(summary),
        group_chart=_drawing(workdir / "figures" / "groups_over_training.svg"),
        config=config,
    )
    path = workdir / "report.html"
    write_atomic(path, page)
    return path


def _drawing(path: Path) -> str:
    """A figure for use inside the page, or nothing if it was not drawn."""
    if not path.is_file():
        return ""
    text = path.read_text()
    return markupsafe.Markup(text[text.index("<svg") :])  # drawn here, its text escaped by matplotlib


def _units(workdir: Path, layer: str, result: Dissection, with_strips: bool) -> list[dict[str, Any]]:
    """The units of a layer, best first, each with its strip of top images if those were drawn."""
    best = result.best().sort_values("iou", ascending=False, kind="stable")
    folder = workdir / "figures" / "top_images"
    units = []
    for row in best.to_dict("records"):
        unit = int(row["unit"])
        strip = _jpeg(strip_path(folder, layer, unit)) if with_strips else ""
        detects = row["iou"] >= result.protocol.detector_iou
        dead = bool(result.top_values[unit].max(initial=-np.inf) <= 0) and result.top_values.shape[1] > 0
        units.append(
            row
            | {
                "number": unit + 1,
                "strip": strip,
                "detects": detects,
                "dead": dead,
            }
        )
    return units


def _jpeg(path: Path) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"
