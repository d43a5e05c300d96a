"""Runs beside each other: settings over seeds, paired tests, and what each run detects."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from interpjax.atomic import write_atomic
from interpjax.comparison import page
from interpjax.comparison.runs import read_runs
from interpjax.comparison.settings import group_runs
from interpjax.comparison.statistics import Difference, Mean, paired_difference
from interpjax.comparison.tables import runs_table
from interpjax.dissection.arguments import check_whole
from interpjax.errors import UserError, refusals

__all__ = ["Difference", "Mean", "compare", "paired_difference"]


def compare(workdirs: Sequence[str | Path], output: str | Path | None = None, *, samples: int = 1000) -> pd.DataFrame:
    """Puts runs beside each other, in a table and on a page.

    Runs that differ by their seed alone are one *setting*. The page has the mean of each setting over its seeds with a
    95 % t-interval, paired differences between settings with the exact sign-flip test, the concepts that each run gains
    and loses against the first, the units and groups of all, and the fields in which the configurations differ.

    Args:
      workdirs: the folders of two runs or more, each with ``summary.json`` and a dissection.
      output: the page to write, one HTML file; None writes none.
      samples: resamples of the images, for the interval of the difference where two runs alone are compared.

    Returns:
      A row for each run, of ``run`` (its name), ``setting`` (its number, from 1), the fields that tell the settings
      apart, ``seed``, ``accuracy`` and the other scores that were measured, the unique detectors of each layer (a
      column named as the layer), and ``workdir``.

    Raises:
      ValueError: if ``workdirs`` is one path and no sequence, or ``samples`` is no whole number of at least 1.
      UserError: naming the workdir, if there are less than two, one is given twice or has no summary or no dissection,
        two have the same configuration and seed, or a file is damaged or cannot be written.
    """
    check_whole("samples", samples, 1)
    target = None if output is None else Path(output).expanduser()
    if target is not None and target.is_dir():
        raise UserError(f"output = {str(output)!r}: a folder; expected the path of a file, as compare.html")
    runs = read_runs(workdirs)
    settings = group_runs(runs)
    if target is not None:
        text = page.render(settings, runs, samples, target.parent)
        with refusals(f"output {target}"):
            write_atomic(target, text)
    return runs_table(settings)
