"""The columns of NetDissect's ``tally.csv``."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from interpjax.dissection import scoring

if TYPE_CHECKING:
    from interpjax.dissection.result import Dissection


def tally_table(dissection: "Dissection") -> pd.DataFrame:
    """A row per unit, numbered from 1, in falling order of score, as the published codes write them.

    Where a unit overlaps nothing they name no label, and the last category; so here.
    """
    best, last = dissection.best(), len(dissection.categories) - 1
    named = np.where(best["concept"] == "", dissection.categories[last], best["category"])
    table = pd.DataFrame({"unit": best["unit"] + 1, "category": named})
    table["label"], table["score"] = best["concept"], best["iou"]
    # NetDissect-Lite and what is built on it give the unit's area in the last category then, NetDissect 0.
    category_of = dissection.category_of
    lite = dissection.protocol.unit_area == "touched" and last in category_of
    elsewhere = dissection.unit_area[:, np.argmax(category_of == last)] if lite else 0
    units, names = np.arange(len(best)), dissection.concepts["name"].to_numpy()
    for number, category in enumerate(dissection.categories):
        column, score = scoring.best_in_category(dissection.iou, category_of, number)
        found = column >= 0
        table[f"{category}-label"] = np.where(found, names[column], "")
        table[f"{category}-truth"] = np.where(found, dissection.label_area[column], 0)
        table[f"{category}-activation"] = np.where(found, dissection.unit_area[units, column], elsewhere)
        table[f"{category}-intersect"] = np.where(found, dissection.intersection[units, column], 0)
        table[f"{category}-iou"] = score
    return table.iloc[np.argsort(-best["iou"].to_numpy(), kind="stable")]
