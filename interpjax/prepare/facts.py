"""What has to stay the same in all stages of a run, of the data that these stages use."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from interpjax.data.concepts import ConceptData
from interpjax.data.listing import listing_fingerprint
from interpjax.data.sources import Source
from interpjax.prepare import labelled, sources

LABELLED, CLASS_NAMES = "labelled images", "class_names"


def of_source(source: Source) -> dict[str, Any]:
    """The names of the classes and, of each split, the number of its examples and the fingerprint of their listing."""
    found: dict[str, Any] = {CLASS_NAMES: list(source.class_names)}
    splits = {"train_images": source.train, "validation_images": source.validation, "test_images": source.test}
    for name, split in splits.items():
        if split is not None:
            found[name] = len(split)
            found[f"{name} by name, order, label and size"] = f"sha256:{listing_fingerprint(split)}"
    return found


def of_concepts(concepts: ConceptData) -> dict[str, Any]:
    """The number of the labelled images, and the fingerprint of their listing."""
    return {LABELLED: f"{len(concepts.records)}, sha256:{concepts.listing_fingerprint()}"}


def of_moved(config: ConfigDict, workdir: Path, fields: Collection[str], begun: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of what fields name now that named other folders when the run was begun.

    Data that the run has not used so far are not opened, for no result is made of them.

    Args:
      config: the experiment.
      workdir: the run's folder.
      fields: those that name other folders.
      begun: the facts that the run has stored.

    Raises:
      UserError: naming the field, if the data are missing or not of the right form.
    """
    found: dict[str, Any] = {}
    moved = {f"data.{split}" for split in ("train", "test")} if "data.directory" in fields else set(fields)
    splits = [split for split in ("train", "test") if f"data.{split}" in moved and f"{split}_images" in begun]
    if splits:
        found |= of_source(sources.open_splits(config, workdir, splits))
    if "dissection.broden" in fields and LABELLED in begun:
        brought = sources.brings_concepts(config, workdir, ("dissect",))
        concepts = labelled.open_concepts(config, ("dissect",), brought)
        concepts = labelled.chosen_half(config, concepts or sources.open_splits(config, workdir, ()).concepts)
        found |= of_concepts(concepts) if concepts else {LABELLED: "none"}
    return found
