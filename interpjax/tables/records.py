"""What the finished runs of a table have found: one row for each run and layer."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from interpjax import json_files
from interpjax.errors import UserError
from interpjax.running.planned import Planned
from interpjax.running.queue import note_of
from interpjax.tables.table import Row

FIRST = ("section", "row", "seed", "layer")
OF_RUN = ("accuracy", "validation_accuracy", "top5")  # shares of images; the same in the rows of all its layers
OF_LAYER = ("units", "detectors", "unique_detectors")
CHANCE = {"labels": "by_chance", "untrained": "untrained"}  # kind of chance: how its columns begin


def records(runs: Iterable[tuple[Row, int, Planned]], workdir: Path) -> pd.DataFrame:
    """The finished runs among some.

    Args:
      runs: of a table, as it plans them.
      workdir: that holds them.

    Returns:
      A row for each run and layer: ``section``, ``row``, ``seed``, ``layer``; ``accuracy``, ``validation_accuracy`` and
      ``top5`` of the run where they were measured; ``units``, ``detectors``, ``unique_detectors``, ``zero_groups`` (a
      share) of the layer; where the stage ``chance`` was run, the unique detectors that chance gives (``by_chance``,
      the mean of the draws, and ``untrained``) and the distinct concepts of calibrated detectors (``calibrated``,
      against the chance by labels); ``seconds`` of the run; ``version`` and ``date`` of the code that made it.

    Raises:
      UserError: naming the file, if one is damaged.
    """
    found: list[dict[str, Any]] = []
    for row, seed, planned in runs:
        path = planned.folder / "summary.json"
        if path.is_file():
            summary = json_files.read(path, "remove it, and the same command makes it again")
            found += [
                {"section": row.section, "row": row.name, "seed": seed, "layer": layer, **values}
                for layer, values in _of_layers(summary, note_of(planned, workdir)).items()
            ]
    return pd.DataFrame(found, columns=None if found else list(FIRST))


def _of_layers(summary: Mapping[str, Any], note: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    run = {name: summary[name] for name in OF_RUN if name in summary}
    end = {"seconds": round(sum(summary["seconds"].values()), 1), **note}
    layers = {}
    for layer, scores in summary.get("layers", {"": {}}).items():
        own = {name: scores[name] for name in OF_LAYER if name in scores}
        zero = summary.get("groups", {}).get(layer, {})
        own |= {name: zero[name] for name in ("zero_groups",) if name in zero}
        for kind, name in CHANCE.items():
            if kind in summary.get("chance", {}):
                by_chance = summary["chance"][kind]["layers"][layer]
                own[name] = by_chance["unique_detectors"]
                if kind == "labels":
                    own["calibrated"] = by_chance["calibrated_unique_detectors"]
        layers[layer] = run | own | end
    return layers


def scores_of(table: pd.DataFrame) -> pd.DataFrame:
    """The scores of each run, from the records of its layers.

    Args:
      table: as :func:`records` returns it.

    Returns:
      A row for each run: ``section``, ``row``, ``seed``, and what a table may show: ``accuracy`` and
      ``validation_accuracy`` in percent; ``interpretability_score``, ``calibrated``, ``by_chance`` and ``untrained``
      summed over layers; ``rud`` (unique detectors for each unit); ``zero_groups`` in percent, the mean over layers;
      the unique detectors of each layer by its name, and its calibrated ones as ``calibrated/LAYER``.
    """
    found = []
    for (section, row, seed), layers in table.groupby(["section", "row", "seed"], sort=False):
        own: dict[str, Any] = {"section": section, "row": row, "seed": seed}
        for name in OF_RUN:
            if name in layers:
                own[name] = 100 * layers[name].iloc[0]
        if "unique_detectors" in layers:
            own["interpretability_score"] = layers["unique_detectors"].sum()
            own["rud"] = layers["unique_detectors"].sum() / layers["units"].sum()
            own |= dict(zip(layers["layer"], layers["unique_detectors"], strict=True))
        if "zero_groups" in layers:
            own["zero_groups"] = 100 * layers["zero_groups"].mean()
        for name in ("calibrated", *CHANCE.values()):
            if name in layers:
                own[name] = layers[name].sum()
        if "calibrated" in layers:
            names = "calibrated/" + layers["layer"]
            own |= dict(zip(names, layers["calibrated"], strict=True))
        found.append(own)
    return pd.DataFrame(found)


def require_columns(scores: pd.DataFrame, columns: Iterable[str], title: str) -> None:
    """Checks that the columns that a table shows are there.

    Raises:
      UserError: naming the column and those that there are.
    """
    for name in columns:
        if name not in scores:
            known = ", ".join(column for column in scores if column not in FIRST)
            raise UserError(f"table {title!r}: no run has a score {name!r}; choose from {known}")
