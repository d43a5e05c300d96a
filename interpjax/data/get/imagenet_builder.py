"""TFDS builder of ``imagenet2012``, as TFDS's own builder makes it, but without TensorFlow and without ``test``."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import tensorflow_datasets as tfds

from interpjax.data.building import shards
from interpjax.data.get.listed import Example, numbered

NAME, VERSION = "imagenet2012", "5.1.0"
SHARD_IMAGES = 2048  # some 230 MB
Images = tuple[int, Callable[[], Iterator[Example]]]  # how many, and what reads them


# TFDS has a builder of this name, beside which it would refuse a second one.
class Imagenet2012(tfds.core.ShardBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Images in 1000 classes, in the order in which they are read; training shuffles by number over the whole set.

    The bytes of the images stay as they are.
    """

    name = NAME
    VERSION = tfds.core.Version(VERSION)

    def __init__(self, *, data_dir: Path, class_names: tuple[str, ...], splits: Mapping[str, Images]):
        """Takes note of what is to be read.

        Args:
          data_dir: gets ``imagenet2012/5.1.0``.
          class_names: the name of each label 0, 1, ….
          splits: for each split the number of its images, and what reads them.
        """
        self._class_names, self._splits = class_names, splits
        super().__init__(data_dir=str(data_dir), file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(encoding_format="jpeg"),
                "label": tfds.features.ClassLabel(names=list(self._class_names)),
                "file_name": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features, homepage="https://image-net.org/")

    def _shard_iterators_per_split(self, dl_manager):
        del dl_manager  # nothing is downloaded
        return {
            split: shards(numbered(split, images, read(), "file_name"), images, SHARD_IMAGES)
            for split, (images, read) in self._splits.items()
        }
