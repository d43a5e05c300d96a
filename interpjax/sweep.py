"""Many runs of an experiment, and the table over them."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from ml_collections import ConfigDict

CACHE = "compilation_cache"  # the folder of what JAX has compiled, beside those of the runs
LONGEST = 150  # characters of a folder's name; file systems take 255 bytes
SCORES = ("accuracy", "top5", "validation_accuracy", "interpretability_score", "rud")


def sweep(
    config: ConfigDict,
    choices: Mapping[str, Sequence[Any]],
    workdir: str | Path,
    stages: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Runs an experiment once for every combination of some fields' values.

    Each run has a folder of its own in ``workdir``, named by its values; what is finished there is not run again. All
    runs are checked before the first of them begins. What JAX compiles for one run is used again by the others: it is
    kept in ``workdir/compilation_cache``, unless ``config.compilation_cache`` or JAX itself names another folder.

    Args:
      config: the experiment.
      choices: values of dotted fields, as ``{"regularizer.block_norm.q": [1.0, 4 / 3], "seed": [0, 1, 2]}``.
      workdir: holds the runs.
      stages: of each run, as of :func:`interpjax.run`, and by default those. What was not measured has no column.

    Returns:
      A row for each run: its values, ``accuracy``, ``top5``, ``validation_accuracy``, ``interpretability_score``,
      ``rud``, the unique detectors of each layer (a column named as the layer), and its ``workdir``.

    Raises:
      UserError: naming the run and the field, if a field does not exist, or a run cannot be as it is configured.
    """
    # Loaded here, since interpjax itself brings this function, and with it nothing heavy.
    import pandas as pd

    from interpjax.compiling import compiling_into, has_cache
    from interpjax.config import override
    from interpjax.errors import UserError
    from interpjax.experiment import prepared, run
    from interpjax.prepare import DEFAULT_STAGES
    from interpjax.stages import ordered_stages

    asked = ordered_stages(DEFAULT_STAGES if stages is None else stages)
    for name, values in choices.items():
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise UserError(f"choices[{name!r}] = {values!r}: expected a sequence of values, as [{values!r}]")
        if not len(values) or any(value in values[:place] for place, value in enumerate(values)):
            raise UserError(f"choices[{name!r}] = {values!r}: expected one value at least, and none of them twice")
    combinations = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    runs = [
        (combination, Path(workdir).expanduser().absolute() / _folder_name(combination), override(config, combination))
        for combination in combinations
    ]
    pending = [
        _checked(combination, functools.partial(prepared, each, folder, asked)) is not None
        for combination, folder, each in runs
    ]
    own_cache = any(pending) and not config.compilation_cache and not has_cache()
    rows = []
    with compiling_into(Path(workdir).expanduser().absolute() / CACHE if own_cache else None, "workdir"):
        for combination, folder, each in runs:
            summary = run(each, folder, asked)
            scores = {name: summary[name] for name in SCORES if name in summary}
            layers = {name: layer["unique_detectors"] for name, layer in summary.get("layers", {}).items()}
            rows.append({**combination, **scores, **layers, "workdir": str(folder)})
    return pd.DataFrame(rows)


def _checked(combination: Mapping[str, Any], check: Callable[[], Any]) -> Any:
    from interpjax.errors import UserError

    try:
        return check()
    except UserError as error:
        raise UserError(f"the run with {_words(combination) or 'no field changed'}: {error}") from error


def _folder_name(combination: Mapping[str, Any]) -> str:
    """``seed=0,model.width=0.5``; what could be read as a path is replaced, and what is long is cut.

    A digest keeps such names apart, and those of values with commas in them.
    """
    name = _words(combination) or "run"
    safe = re.sub(r"[^\w.,=+()'-]+", "_", name)[:LONGEST]
    if safe == name and not any(isinstance(value, str) and "," in value for value in combination.values()):
        return name
    return f"{safe}-{hashlib.sha256(repr(sorted(combination.items())).encode()).hexdigest()[:8]}"


def _words(combination: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in combination.items())
