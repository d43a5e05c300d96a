"""TFDS builder of ``places365_small``, as TFDS's own builder makes it, but without TensorFlow and without ``test``."""

from collections.abc import Mapping
from pathlib import Path

import tensorflow_datasets as tfds

from interpjax.data.building import shards
from interpjax.data.get.listed import numbered, read_images

NAME, VERSION = "places365_small", "2.1.0"
Images = tuple[Path, dict[str, int], str]  # archive or folder, labels, name of the list
SHARD_IMAGES = 8192  # TFDS holds the images of one file in memory while it writes it, here some 120 MB


# TFDS has a builder of this name, beside which it would refuse a second one.
class Places365Small(tfds.core.ShardBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Images of 256×256 pixels in 365 classes, in the order of the archive, of which training needs no other.

    Training shuffles by number over the whole data set. The bytes of the images stay as they are.
    """

    name = NAME
    VERSION = tfds.core.Version(VERSION)

    def __init__(self, *, data_dir: Path, class_names: tuple[str, ...], splits: Mapping[str, Images]):
        """Takes note of what is to be read.

        Args:
          data_dir: gets ``places365_small/2.1.0``.
          class_names: the name of each label 0, 1, ….
          splits: for each split what :func:`interpjax.data.get.listed.read_images` takes.
        """
        self._class_names, self._splits = class_names, splits
        super().__init__(data_dir=str(data_dir), file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(256, 256, 3)),
                "label": tfds.features.ClassLabel(names=list(self._class_names)),
                "filename": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features, homepage="http://places2.csail.mit.edu/")

    def _shard_iterators_per_split(self, dl_manager):
        del dl_manager  # nothing is downloaded here
        found = {}
        for split, (path, labels, listing) in self._splits.items():
            images = len(labels)  # before they are read, which takes them off the list
            examples = numbered(split, images, read_images(path, labels, listing), "filename")
            found[split] = shards(examples, images, SHARD_IMAGES)
        return found
