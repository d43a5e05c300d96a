"""A configuration in a sentence, for those who look at what came of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interpjax.config.schema import TERMS

GROUP_TERMS = ("block_norm", "group_activation", "group_repulsion", "exclusive_lasso")


def in_words(text: str) -> str:
    """What was trained on what, with which regularizers: ``"two_figures_cnn on two_figures; block norm 0.003 …"``.

    Args:
      text: the configuration as JSON.
    """
    config = json.loads(text)
    terms = [_term(name, config["regularizer"]) for name in TERMS if config["regularizer"][name]["strength"] > 0]
    terms += [f"{path} {strength:g}" for path, strength in config["regularizer"]["own"]]
    network = config["model"]["name"] + (
        f" of width {config['model']['width']:g}" if config["model"]["width"] != 1 else ""
    )
    return f"{network}, {_data(config)}; {', '.join(terms) or 'no regularizer'}"


def trains_groups(fields: Mapping[str, Any]) -> bool:
    """Whether a term that knows groups took part in a run's training; terms of one's own may.

    Args:
      fields: of the configuration, by their dotted names.
    """
    strengths = [fields[f"regularizer.{term}.strength"] for term in GROUP_TERMS]
    return any(strengths) or bool(fields["regularizer.own"])


def _data(config: dict[str, Any]) -> str:
    data = config["data"]
    of = data["source"]
    if of in ("tfds", "image_folder"):
        of = data["tfds_name"] or "/".join(Path(data["train"]).parts[-2:])
    weights = f"weights {Path(config['model']['weights']).name}" if config["model"]["weights"] else ""
    known = " and ".join(each for each in (weights, f"data {of}" if of else "") if each) or f"data {data['source']}"
    return known + (" with shuffled labels" if data["shuffled_labels"] else "")


def _term(name: str, settings: dict[str, Any]) -> str:
    words = f"{name.replace('_', ' ')} {settings[name]['strength']:g}"
    if name == "block_norm":
        grouping, own = settings["grouping"], settings[name]
        groups = f"{grouping['num_groups']} groups"
        if grouping["group_size"]:
            groups = f"groups of {grouping['group_size']}"
        elif grouping["indices"]:
            groups = "groups by indices"
        words += f" (p = {own['p']:g}, q = {own['q']:g}, {groups})"
    return words
