"""Letting TFDS write a data set, without TensorFlow and without what it prints."""

import contextlib
import functools
import io
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from interpjax.atomic import waiting


def shards(examples: Iterator[Any], images: int, size: int) -> list[Callable[[], Iterator[Any]]]:
    """What gives the examples of each file of a data set; they are called one by one, in their order.

    Args:
      examples: all of them.
      images: how many there are.
      size: examples of a file. TFDS holds those of one file in memory while it writes it.
    """
    # The last one takes all that is left, by which it reaches the end, where missing images are told.
    sizes = [size] * (-(-images // size) - 1) + [None]
    return [functools.partial(itertools.islice, examples, each) for each in sizes]


def build(builder: tfds.core.DatasetBuilder) -> None:
    """Writes the data set where it is not there yet; TFDS moves it in place only when it is whole.

    Where another process is writing it, this one waits until it is there. What a build that was killed has left is
    removed.
    """
    whole = Path(builder.data_dir)
    if not whole.is_dir():
        _write(builder, whole)
    described = (whole / "dataset_info.json").is_file()  # what opens a damaged data set tells of it
    if described and not builder.info.splits:  # another process has written it since the builder looked
        builder.info.read_from_directory(builder.data_dir)


def _write(builder: tfds.core.DatasetBuilder, whole: Path) -> None:
    told = f"another process is writing {whole}; this one waits for it, and then reads it too"
    with waiting(Path(builder.data_dir_root) / ".building", told):
        for left in whole.parent.glob("incomplete.*"):
            shutil.rmtree(left)
        settings = tfds.download.DownloadConfig(try_download_gcs=False)
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS announces downloads; there are none
            builder.download_and_prepare(download_config=settings)
