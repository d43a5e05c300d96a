"""What the finished stages of a run have left in its workdir."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from interpjax import dissection
from interpjax.errors import UserError
from interpjax.prepare import STAGES
from interpjax.visualization.exhibits import Exhibits
from interpjax.visualization.views import FORMAT, Views
from interpjax.workdir import read_stage, stage_is_done

VIEWS = Path("figures", "views")  # what the units look at


def summary(workdir: Path) -> dict[str, Any]:
    """The results of all stages that are done in a workdir, as ``summary.json`` has them."""
    done = {name: read_stage(workdir, name) for name in STAGES if stage_is_done(workdir, name)}
    results = {name: stored["result"] for name, stored in done.items()}
    trained, evaluated, dissected = (results.get(name, {}) for name in ("train", "evaluate", "dissect"))
    held_out = evaluated.get("validation", {})
    splits = {"train": trained, "validation": held_out, "test": evaluated, "dissection": dissected}
    return {
        **{name: evaluated[name] for name in ("accuracy", "top5", "cross_entropy") if evaluated},
        **{f"validation_{name}": value for name, value in held_out.get("scores", {}).items()},
        **dissected.get("scores", {}),
        **{name: results[name] for name in ("chance",) if name in results},
        **{name: evaluated[name] for name in ("groups", "zero_weights") if name in evaluated},
        **{name: trained[name] for name in ("num_steps",) if trained},
        "skipped_images": {split: result["skipped"] for split, result in splits.items() if result},
        "seconds": {name: stored["seconds"] for name, stored in done.items()},
    }


def load_results(workdir: Path) -> dict[str, dissection.Dissection]:
    """The dissection of each layer.

    Raises:
      UserError: if one cannot be read.
    """
    layers = read_stage(workdir, "dissect")["result"]["scores"]["layers"]
    try:
        return {layer: dissection.Dissection.load(workdir / "dissection" / layer / "iou.npz") for layer in layers}
    except (OSError, ValueError) as error:
        again = "remove stages/dissect.json in the workdir, and run the stage dissect again"
        raise UserError(f"the results of the dissection cannot be read: {error}; {again}") from error


def load_intervals(workdir: Path) -> dict[str, pd.DataFrame]:
    """Of each layer what :meth:`interpjax.dissection.Dissection.bootstrap` gave; nothing where it was not asked for."""
    layers = read_stage(workdir, "dissect")["result"]["scores"]["layers"]
    paths = {layer: workdir / "dissection" / layer / "intervals.csv" for layer in layers}
    return {layer: pd.read_csv(path) for layer, path in paths.items() if path.is_file()}


def load_exhibits(workdir: Path) -> Exhibits:
    """Pictures of what the network looks for and what its units cause; none if the stage is not done in this form.

    Raises:
      UserError: if they cannot be read.
    """
    return Exhibits.load(workdir / VIEWS) if _is_visualized(workdir) else Exhibits([], [], {})


def load_views(workdir: Path) -> Views | None:
    """What the units look at; None if the stage ``visualize`` is not done in this form.

    Raises:
      UserError: if it cannot be read.
    """
    return Views.load(workdir / VIEWS) if _is_visualized(workdir) else None


def _is_visualized(workdir: Path) -> bool:
    return stage_is_done(workdir, "visualize") and not is_outdated(workdir, "visualize")


def asked_pictures(config_text: str) -> dict[str, Any]:
    """The fields of ``config.visualization``, from a configuration as JSON text."""
    return json.loads(config_text)["visualization"]


def is_outdated(workdir: Path, stage: str, pictures: Mapping[str, Any] | None = None) -> bool:
    """Whether a stage that is done has to be done again.

    Args:
      workdir: of the run.
      stage: that is done.
      pictures: the fields of ``config.visualization`` that are asked for now; None if they do not matter.

    Returns:
      Whether it was done by a version that stored it otherwise, or pictures were made that differ from what is asked.
    """
    if stage != "visualize":
        return False
    result = read_stage(workdir, stage)["result"]
    return result.get("format") != FORMAT or (pictures is not None and result.get("fields") != pictures)
