"""Restricts a data set to some of its classes and their examples."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int
from tqdm import tqdm

from interpjax.atomic import replacing
from interpjax.data.splits import ClassSplit, Deferred, Split, TfdsSplit
from interpjax.errors import UserError

BLOCK = 1024  # records that are read at once
SHOWN = 20  # class names in an error


def class_numbers(classes: Sequence[str | int], names: Sequence[str]) -> tuple[int, ...]:
    """The numbers of classes that are given by name or by number.

    Args:
      classes: the classes, as in ``config.data.classes``.
      names: the names of all classes of the data set, in the order of their numbers.

    Raises:
      UserError: if there is no such class, or one is given twice.
    """
    by_name = {name: number for number, name in enumerate(names)}
    numbers: list[int] = []
    for each in classes:
        number = by_name.get(each, -1) if isinstance(each, str) else each
        if not 0 <= number < len(names):
            known = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
            raise UserError(
                f"config.data.classes: no class {each!r}; expected numbers from 0 to {len(names) - 1} or names: {known}"
            )
        if number in numbers:
            raise UserError(
                f"config.data.classes: the class {each!r} ({names[number]}) is there twice; expected it once"
            )
        numbers.append(number)
    return tuple(numbers)


def take_classes(
    field: str, split: Split, numbers: tuple[int, ...], labels: Int[np.ndarray, " examples"], *, every: bool
) -> ClassSplit:
    """The examples of some classes of a split.

    Args:
      field: the field of the configuration that names the split, for error messages.
      split: the examples of all classes.
      numbers: the numbers of the classes to keep.
      labels: the label of each example.
      every: whether every class has to have an example; otherwise one example in all is enough.

    Raises:
      UserError: if a class has no example and ``every`` is True, or none of the classes has one.
    """
    kept = np.flatnonzero(np.isin(labels, numbers))
    missing = sorted(set(numbers) - set(labels[kept].tolist()))
    if len(missing) == len(numbers) or (every and missing):
        raise UserError(f"{field}: no example of the class {missing[0]} of config.data.classes; expected at least one")
    return ClassSplit(split, kept, numbers, np.array([numbers.index(label) for label in labels[kept]]))


def read_labels(split: TfdsSplit, num_classes: int) -> Int[np.ndarray, " examples"]:
    """The labels of all records of a split, which are read from the records once and then from its file, if it has one.

    Args:
      split: a split of a TFDS data set.
      num_classes: number of classes; every label is below it, and −1 for a record without a label. A file that does
        not fit the split is written anew.
    """
    found = _cached(split.cache) if split.cache else None
    if found is not None and _are_labels(found, len(split), num_classes):
        return found
    once = f" once, for {split.cache}" if split.cache else ""
    print(f"reading the labels of {len(split)} records of {split.prefix}{once}", file=sys.stderr)
    records = split.records.opened if isinstance(split.records, Deferred) else split.records
    labels = np.empty(len(split), np.int32)
    bar = tqdm(total=len(split), desc="labels", unit="record", mininterval=0.5 if sys.stderr.isatty() else 30)
    with bar:
        for start in range(0, len(split), BLOCK):
            block = range(start, min(start + BLOCK, len(split)))
            labels[start : block.stop] = [record[split.label] for record in records.__getitems__(block)]
            bar.update(len(block))
    if split.cache:
        with replacing(split.cache) as file:
            np.save(file, labels)
    return labels


def _cached(path: Path) -> np.ndarray | None:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not there, or not whole
        return None


def _are_labels(array: np.ndarray, count: int, num_classes: int) -> bool:
    if array.shape != (count,) or array.dtype != np.int32:
        return False
    return bool(array.min(initial=0) >= -1 and array.max(initial=0) < num_classes)
