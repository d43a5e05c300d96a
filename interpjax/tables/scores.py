"""The scores of runs, from the records of their layers."""

from typing import Any

import pandas as pd

from interpjax.running.records import CHANCE, OF_RUN

LABELS = ("section", "row", "seed")


def scores_of(table: pd.DataFrame) -> pd.DataFrame:
    """The scores of each run, from the records of its layers.

    Args:
      table: as :func:`interpjax.running.records.records` returns it, with ``section``, ``row`` and ``seed``.

    Returns:
      A row for each run: ``section``, ``row``, ``seed``, and what a table may show: ``accuracy``,
      ``validation_accuracy`` and ``zero_weights`` (of all convolutions together) in percent;
      ``interpretability_score``, ``calibrated``, ``by_chance`` and ``untrained`` summed over layers; ``rud`` (unique
      detectors for each unit); ``zero_groups`` in percent, the mean over layers; the unique detectors of each layer by
      its name, and its calibrated ones as ``calibrated/LAYER``.
    """
    found = []
    table = table[table["seconds"].notna()]  # a run that failed has none
    if table.empty:
        return pd.DataFrame(columns=list(LABELS))
    for (section, row, seed), layers in table.groupby(list(LABELS), sort=False):
        own: dict[str, Any] = {"section": section, "row": row, "seed": seed}
        own |= {name: 100 * layers[name].iloc[0] for name in OF_RUN if name in layers}
        # What was not measured of this run is NaN, also where it was of others, and so are sums with it.
        if "unique_detectors" in layers:
            own["interpretability_score"] = layers["unique_detectors"].sum(skipna=False)
            own["rud"] = own["interpretability_score"] / layers["units"].sum(skipna=False)
            own |= dict(zip(layers["layer"], layers["unique_detectors"], strict=True))
        if "zero_groups" in layers:
            own["zero_groups"] = 100 * layers["zero_groups"].mean()
        for name in ("calibrated", *CHANCE.values()):
            if name in layers:
                own[name] = layers[name].sum(skipna=False)
        if "calibrated" in layers:
            names = "calibrated/" + layers["layer"]
            own |= dict(zip(names, layers["calibrated"], strict=True))
        found.append(own)
    return pd.DataFrame(found)
