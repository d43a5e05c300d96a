"""Many runs of an experiment, and the table over them."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from ml_collections import ConfigDict

    from interpjax.running import Planned

LONGEST = 200  # bytes of a folder's name before its digest, and of its log's; file systems take 255
SCORES = ("accuracy", "top5", "validation_accuracy", "interpretability_score", "rud")


def sweep(
    config: ConfigDict,
    choices: Mapping[str, Sequence[Any]],
    workdir: str | Path,
    stages: Sequence[str] | None = None,
    jobs: int = 1,
) -> pd.DataFrame:
    """Runs an experiment once for every combination of some fields' values.

    Each run has a folder of its own in ``workdir``, named by its values; what is finished there is not run again. All
    combinations are checked before the first run begins. One line shows how many runs are done; what each tells is in
    ``workdir/logs``. A run that fails is told of at the end, and the others are made. ``workdir/results.csv`` has a row
    for each run of the last call and each layer, as :func:`interpjax.running.records.records` says. What JAX compiles
    for one run is used again by the others: it is kept in ``workdir/compilation_cache``, unless
    ``config.compilation_cache`` or JAX itself names another folder.

    Args:
      config: the experiment.
      choices: values of dotted fields, as ``{"regularizer.block_norm.q": [1.0, 4 / 3], "seed": [0, 1, 2]}``.
      workdir: holds the runs.
      stages: of each run, as of :func:`interpjax.run`, and by default those. What was not measured has no column.
      jobs: how many runs are made at once, in processes that share the cores out among themselves. They cannot use
        what is defined in a notebook (``"__main__:MyNet"``).

    Returns:
      A row for each run, of its values, ``accuracy``, ``top5``, ``validation_accuracy``, ``interpretability_score``,
      ``rud``, the unique detectors of each layer (a column named as the layer), and its ``workdir``; where runs failed
      also ``failed``, what each of them last told.

    Raises:
      UserError: naming the run and the field, if a field does not exist, or a run cannot be as it is configured; if a
        run is left and ``jobs`` is below 1 or above the number of cores, or of the GPUs that are named; or if another
        process makes runs in ``workdir``.
    """
    # Loaded here, since interpjax itself brings this function, and with it nothing heavy.
    import pandas as pd

    from interpjax.atomic import locked, write_atomic
    from interpjax.errors import refusals
    from interpjax.prepare import DEFAULT_STAGES
    from interpjax.running import check_jobs, run_all, unfinished
    from interpjax.running.planned import LOGS
    from interpjax.running.records import records, summary_of, to_csv
    from interpjax.stages import ordered_stages

    asked = ordered_stages(DEFAULT_STAGES if stages is None else stages)
    root = Path(workdir).expanduser().absolute()
    runs = _planned(config, choices, root)
    if left := unfinished([each for _, each in runs], asked):
        check_jobs(jobs, os.environ)
    with refusals(f"workdir {root}"):
        root.mkdir(parents=True, exist_ok=True)
        with locked(root, f"workdir {root}: another process makes runs in it; wait for its end, or give another"):
            failed = run_all(left, asked, jobs=jobs)
            write_atomic(root / "results.csv", to_csv(records(runs)))
    rows = []
    for combination, each in runs:
        summary = summary_of(each)
        scores = {name: summary[name] for name in SCORES if name in summary}
        layers = {name: layer["unique_detectors"] for name, layer in summary.get("layers", {}).items()}
        told = {"failed": failed[each.name]} if each.name in failed else {}
        rows.append({**combination, **scores, **layers, "workdir": str(each.folder), **told})
    for name, why in failed.items():
        print(f"failed: {name}: {why}; {root / LOGS} has what it told", file=sys.stderr)
    return pd.DataFrame(rows)


def _planned(
    config: ConfigDict, choices: Mapping[str, Sequence[Any]], root: Path
) -> list[tuple[dict[str, Any], Planned]]:
    from interpjax.config import override
    from interpjax.errors import UserError
    from interpjax.running import Planned

    for name, values in choices.items():
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise UserError(f"choices[{name!r}] = {values!r}: expected a sequence of values, as [{values!r}]")
        if not len(values) or any(value in values[:place] for place, value in enumerate(values)):
            raise UserError(f"choices[{name!r}] = {values!r}: expected one value at least, and none of them twice")
    combinations = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    return [
        (
            each,
            Planned(
                _words(each) or "no field changed",
                _words({name: value for name, value in each.items() if name != "seed"}),
                override(config, each),
                root,
                _folder_name(each),
            ),
        )
        for each in combinations
    ]


def _folder_name(combination: Mapping[str, Any]) -> str:
    """``seed=0,model.width=0.5``; what could be read as a path is replaced, and what is long is cut.

    A digest keeps such names apart, and those of values with commas in them.
    """
    name = _words(combination) or "run"
    safe = re.sub(r"[^\w.,=+()'-]+", "_", name).encode()[:LONGEST].decode(errors="ignore")
    if safe == name and not any(isinstance(value, str) and "," in value for value in combination.values()):
        return name
    return f"{safe}-{hashlib.sha256(repr(sorted(combination.items())).encode()).hexdigest()[:8]}"


def _words(combination: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in combination.items())
