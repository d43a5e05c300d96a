"""What finished runs have found: one row for each run and layer."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from interpjax import json_files
from interpjax.config import digest
from interpjax.running.notes import note_of
from interpjax.running.planned import Planned

OF_RUN = ("accuracy", "validation_accuracy", "top5", "zero_weights")  # shares; the same in the rows of all its layers
OF_LAYER = ("units", "detectors", "unique_detectors")
COUNTS = (*OF_LAYER, "calibrated", "layers")  # by_chance and untrained are means over draws
CHANCE = {"labels": "by_chance", "untrained": "untrained"}  # kind of chance: the name of its column


def records(
    runs: Iterable[tuple[Mapping[str, Any], Planned]], kept: Mapping[str, list[dict[str, Any]]] | None = None
) -> pd.DataFrame:
    """The finished runs among some, and those that failed.

    Args:
      runs: what each is called, by column, and the run.
      kept: by the name of a run, its rows in an earlier result, for runs whose folders are gone.

    Returns:
      A row for each run and layer: what it is called, ``layer``; ``accuracy``, ``validation_accuracy``, ``top5`` and
      ``zero_weights`` (of all convolutions) of the run where they were measured; ``units``, ``detectors``,
      ``unique_detectors``, ``zero_groups`` (a share) of the layer; where the stage ``chance`` was run, the unique
      detectors that chance gives (``by_chance``, the mean of the draws, and ``untrained``) and the distinct concepts of
      calibrated detectors (``calibrated``, against the chance by labels); ``layers``, how many rows the run has, and
      the ``seconds`` it took; ``config``, the digest of its configuration; ``version`` and ``date`` of the code that
      made it, and where it ``failed`` in what. A run that was not dissected has one row, with ``layer`` empty, and so
      has one that failed, with no numbers; one that failed when it was made again has those of ``kept``.

    Raises:
      UserError: naming the file, if one is damaged.
    """
    found: list[dict[str, Any]] = []
    for labels, planned in runs:
        note, ours = note_of(planned), digest(planned.config)
        noted = {name: value for name, value in note.items() if name != "config"}
        if summary := summary_of(planned):
            found += [{**labels, **row, "config": ours, **noted} for row in _of_layers(summary)]
        elif kept and planned.name in kept:
            rows = kept[planned.name]
            again = "failed" in note and note["date"] > max(str(row.get("date", "")) for row in rows)
            failed = {"failed": note["failed"]} if again else {}  # since these rows were written
            found += [{**row, **labels, **failed} for row in rows]
        elif "failed" in note and note.get("config", ours) == ours:
            found.append({**labels, "layer": "", "config": ours, **noted})
    return pd.DataFrame(found)


def to_csv(found: pd.DataFrame) -> str:
    """Such rows as CSV, in which a count is a whole number also where other runs have none.

    Args:
      found: as :func:`records` returns it.
    """
    return found.astype({name: "Int64" for name in COUNTS if name in found}).to_csv(index=False)


def summary_of(planned: Planned) -> dict[str, Any]:
    """What ``summary.json`` of a run holds; empty if the run is not finished.

    Raises:
      UserError: if the file is damaged.
    """
    path = planned.folder / "summary.json"
    return json_files.read(path, "remove it, and the same command makes it again") if path.is_file() else {}


def _of_layers(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    run = {name: summary[name] for name in OF_RUN if name in summary}
    layers = summary.get("layers", {"": {}})
    end = {"layers": len(layers), "seconds": round(sum(summary["seconds"].values()), 1)}
    found = []
    for layer, scores in layers.items():
        own = {"layer": layer} | run | {name: scores[name] for name in OF_LAYER if name in scores}
        groups = summary.get("groups", {}).get(layer, {})
        own |= {name: groups[name] for name in ("zero_groups",) if name in groups}
        for kind, name in CHANCE.items():
            if kind in summary.get("chance", {}):
                by_chance = summary["chance"][kind]["layers"][layer]
                own[name] = by_chance["unique_detectors"]
                if kind == "labels":
                    own["calibrated"] = by_chance["calibrated_unique_detectors"]
        found.append(own | end)
    return found
