"""Many runs of an experiment, and the table over them."""

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from ml_collections import ConfigDict

from interpjax import config as config_lib
from interpjax.config.checks import validate
from interpjax.experiment import run
from interpjax.stages import STAGES

SCORES = ("accuracy", "top5", "interpretability_score", "rud")


def sweep(
    config: ConfigDict, choices: Mapping[str, Sequence[Any]], workdir: str | Path, stages: Sequence[str] = STAGES
) -> pd.DataFrame:
    """Runs an experiment once for every combination of some fields' values.

    Each run has a folder of its own in ``workdir``, named by its values; what is finished there is not run again.

    Args:
      config: the experiment.
      choices: values of dotted fields, as ``{"regularizer.block_norm.q": [1.0, 4 / 3], "seed": [0, 1, 2]}``.
      workdir: holds the runs.
      stages: of each run, as of :func:`interpjax.run`; what was not measured has no column.

    Returns:
      A row for each run: its values, ``accuracy``, ``top5``, ``interpretability_score``, ``rud``, the unique
      detectors of each layer (a column named as the layer), and its ``workdir``.

    Raises:
      ValueError: if a field does not exist or a value does not fit it, before anything is run.
    """
    names = list(choices)
    combinations = [dict(zip(names, values, strict=True)) for values in itertools.product(*choices.values())]
    configs = [config_lib.override(config, combination) for combination in combinations]
    for each in configs:
        validate(each)
    rows = []
    for combination, each in zip(combinations, configs, strict=True):
        folder = Path(workdir) / _folder_name(combination)
        summary = run(each, folder, stages)
        scores = {name: summary[name] for name in SCORES if name in summary}
        layers = {name: layer["unique_detectors"] for name, layer in summary.get("layers", {}).items()}
        rows.append({**combination, **scores, **layers, "workdir": str(folder)})
    return pd.DataFrame(rows)


def _folder_name(combination: Mapping[str, Any]) -> str:
    """``seed=0,model.width=0.5``; what could be read as a path is replaced."""
    name = ",".join(f"{name}={value}" for name, value in combination.items()) or "run"
    return re.sub(r"[^\w.,=+()'-]+", "_", name)
