"""Fingerprints by which data are known again wherever they are, though hardly an image is read."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from interpjax.data.splits import ArraySplit, ClassSplit, Deferred, FileSplit, PartSplit, TfdsSplit


def listing_fingerprint(split: Any) -> str:
    """A hex digest of what is known of the examples of a split, in their order, before they are read.

    Of image files it is their names in the folder that holds them all, their sizes and labels, and the bytes of the
    first of each label, since images that are not compressed may all be of one size; of a TFDS set its name,
    version, split and the lengths of its shards; of images in memory the images themselves. Of a split of one's own it
    is the ``files`` and ``labels`` that it has, and the number of its examples.

    Args:
      split: the examples.
    """
    digest = hashlib.sha256()
    for part in _parts(split):
        digest.update(part)
    return digest.hexdigest()


def _parts(split: Any) -> Iterator[Any]:
    if isinstance(split, FileSplit):
        yield _files(split.files, split.labels)
    elif isinstance(split, ArraySplit):
        yield f"{split.images.shape}".encode()
        yield _numbers(split.labels)
        yield np.ascontiguousarray(split.images)
    elif isinstance(split, TfdsSplit):
        yield f"{split.listing or split.prefix} {len(split)}".encode()
    elif isinstance(split, ClassSplit | PartSplit) and isinstance(split.whole, FileSplit):
        labels = split.labels if isinstance(split, ClassSplit) else [split.whole.labels[i] for i in split.kept]
        yield _files([split.whole.files[i] for i in split.kept], labels)
    elif isinstance(split, ClassSplit | PartSplit):
        yield from _parts(split.whole)
        yield _numbers(split.kept)
        yield _numbers(getattr(split, "labels", ()))
    elif isinstance(split, Deferred) and split.whole is not None:
        yield from _parts(split.whole)  # of which it is a part that the configuration decides
    else:
        yield _files(getattr(split, "files", ()), getattr(split, "labels", ()))
        yield _numbers(getattr(split, "labels", ()))
        yield f"{len(split)}".encode()


def _files(files: Sequence[Path], labels: Any) -> bytes:
    paths = [str(path) for path in files]
    if not paths:
        return b""
    first, last = min(paths), max(paths)  # what both of them begin with, all of them begin with
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    root = first[:same].rfind(os.sep) + 1
    lines = [
        f"{path[root:]}\t{_size(file)}\t{int(label)}" for path, file, label in zip(paths, files, labels, strict=False)
    ]
    first_of_label = dict(zip(reversed(list(map(int, labels))), reversed(files[: len(labels)]), strict=False))
    lines += [f"{label}\t{_content(file)}" for label, file in sorted(first_of_label.items())]
    return "\n".join(lines).encode(errors="surrogateescape")


def _content(path: Path) -> str:
    """A digest of the bytes; empty of a file that cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _size(path: Path) -> int:
    """In bytes; −1 of a file that cannot be looked at, which is an error, or left out, when it is read."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _numbers(numbers: Any) -> bytes:
    return np.asarray(numbers, np.int64).tobytes()
