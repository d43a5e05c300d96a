"""Letting TFDS write a data set, without TensorFlow and without what it prints."""

import contextlib
import io
import shutil
from pathlib import Path

import tensorflow_datasets as tfds

from interpjax.atomic import waiting


def build(builder: tfds.core.DatasetBuilder) -> None:
    """Writes the data set where it is not there yet; TFDS moves it in place only when it is whole.

    Where another process is writing it, this one waits until it is there. What a build that was killed has left is
    removed.
    """
    whole = Path(builder.data_dir)
    if whole.is_dir():
        return
    told = f"another process is writing {whole}; this one waits for it, and then reads it too"
    with waiting(Path(builder.data_dir_root) / ".building", told):
        for left in whole.parent.glob("incomplete.*"):
            shutil.rmtree(left)
        settings = tfds.download.DownloadConfig(try_download_gcs=False)
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS announces downloads; there are none
            builder.download_and_prepare(download_config=settings)
