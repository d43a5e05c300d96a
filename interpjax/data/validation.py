"""Holds training images out, to validate on them."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from interpjax.data.sources import Source
from interpjax.data.splits import Deferred, PartSplit, Split, TfdsSplit
from interpjax.data.subsets import read_labels
from interpjax.errors import UserError


def hold_out(source: Source, share: float, seed: int) -> Source:
    """The data with a share of the training examples held out, which are then the split to validate on.

    Labels that are not at hand are read when the examples are first used.

    Args:
      source: the data, with a training split.
      share: the share of the training examples to hold out, above 0 and below 1.
      seed: decides which examples these are, and nothing else does.

    Raises:
      UserError: naming the field, if no example would be held out, or none of some class left to train on.
    """
    train, classes = source.train, source.class_names
    assert train is not None

    def parts() -> tuple[Split, Split]:
        held = choose(_labels(train, len(classes)), share, seed, classes)
        return PartSplit(train, np.flatnonzero(~held)), PartSplit(train, np.flatnonzero(held))

    both = Deferred(parts)
    if hasattr(train, "labels"):  # what is wrong is then told before anything is written
        left, held = both.opened
    else:
        left = Deferred(lambda: both.opened[0], whole=train)
        held = Deferred(lambda: both.opened[1], whole=train)
    return dataclasses.replace(source, train=left, validation=held)


def choose(
    labels: Int[np.ndarray, " examples"], share: float, seed: int, classes: tuple[str, ...]
) -> Bool[np.ndarray, " examples"]:
    """Which examples are held out: the same share of every class, to within one example.

    Args:
      labels: the label of each example.
      share: the share to hold out.
      seed: decides which examples of a class these are.
      classes: the names of the classes, for error messages.

    Raises:
      UserError: as :func:`hold_out`.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    before = np.floor(share * np.arange(len(labels) + 1) + 0.5)  # how many of the first so many are held out
    held = np.zeros(len(labels), bool)
    held[by_class] = np.diff(before) > 0
    field = f"config.data.validation = {share}"
    if not held.any():
        raise UserError(f"{field}: this is none of the {len(labels)} training images; expected at least one")
    for label in np.unique(labels[held]):
        if held[labels == label].all():
            raise UserError(
                f"{field}: no image of the class {classes[label]} is left to train on; expected a smaller share"
            )
    return held


def _labels(split: Any, classes: int) -> Int[np.ndarray, " examples"]:
    if isinstance(split, Deferred):
        return _labels(split.opened, classes)
    if hasattr(split, "labels"):
        return np.asarray(split.labels)
    if isinstance(split, TfdsSplit):
        return read_labels(split, classes)
    return np.array([split[number]["label"] for number in range(len(split))])  # a split of the user's own
