"""TFDS builder of Broden: a directory of many small files becomes a data set of a few large ones.

Run:  ``python -m interpjax.data.broden SOURCE DESTINATION``

References:
  Bau et al., *Network Dissection*, CVPR 2017.
"""

import functools
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import tensorflow_datasets as tfds
from tqdm import tqdm

from interpjax.data.broden import records as broden
from interpjax.data.broden import tables as broden_tables
from interpjax.data.building import build
from interpjax.data.images import BadImageError
from interpjax.errors import UserError, refusals

SHARD_IMAGES = 512


class Broden(tfds.core.ShardBasedBuilder):
    """The rows of ``index.csv`` that carry a label, in its order, and Broden's tables beside them.

    Written as array_record, without TensorFlow, an example at a time. An example has the ``name`` and the ``image`` of
    a row and, by category, the label maps of its cell (``maps``); images and maps are the bytes of the files.
    Whole-image labels are in the tables alone.
    """

    VERSION = tfds.core.Version(broden.VERSION)

    def __init__(self, *, source: Path, data_dir: Path):
        """Reads the tables of the source; ``download_and_prepare`` copies the rest.

        Args:
          source: a directory in Broden's layout.
          data_dir: gets :data:`interpjax.data.broden.records.PREPARED`.

        Raises:
          UserError: as :func:`interpjax.data.load_broden`.
        """
        if broden.prepared_folder(source):
            raise UserError(f"{source}: is built already; give a directory with index.csv and images/")
        data = broden.load_broden(source)
        self._categories, self._records = data.categories, cast(list[broden.BrodenRecord], data.records)
        self.tables = {name: (source / name).read_bytes() for name in broden_tables.file_names(data.categories)}
        super().__init__(data_dir=str(data_dir), file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        maps = tfds.features.Sequence(tfds.features.Image(shape=(None, None, 3), encoding_format="png"))
        features = tfds.features.FeaturesDict(
            {
                "name": tfds.features.Text(),
                "image": tfds.features.Image(shape=(None, None, 3)),
                "maps": dict.fromkeys(self._categories, maps),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features, metadata=_Tables(self.tables))

    def _shard_iterators_per_split(self, dl_manager):
        del dl_manager  # nothing is downloaded
        records = iter(tqdm(self._records, desc="broden", unit="image", disable=None))  # None: only on a terminal
        shards = -(-len(self._records) // SHARD_IMAGES)
        return {broden.SPLIT: [functools.partial(self._generate_examples, records)] * shards}  # called one by one

    def _generate_examples(self, records: Iterator[broden.BrodenRecord]) -> Iterator[tuple[int, dict[str, Any]]]:
        for record in itertools.islice(records, SHARD_IMAGES):
            yield record.row.position, self._example(record)

    def _example(self, record: broden.BrodenRecord) -> dict[str, Any]:
        image, maps = record.encoded_image(), record.encoded_maps()
        record.decode_labels(maps)
        try:
            record.decode_image(image)
        except BadImageError as error:
            logging.getLogger(__name__).warning("copied as it is: %s", error)
        return {
            "name": record.name,
            "image": image,
            "maps": {category: maps.get(category, []) for category in self._categories},
        }


class _Tables(tfds.core.Metadata):
    """Broden's tables as files of the data set."""

    def __init__(self, tables: dict[str, bytes]):
        self._tables = tables

    def save_metadata(self, data_dir):
        for name, content in self._tables.items():
            (Path(data_dir) / name).write_bytes(content)

    def load_metadata(self, data_dir):
        """Reading is the work of :mod:`interpjax.data.broden.tables`."""


def build_broden(source: str | Path, destination: str | Path) -> Path:
    """Copies a directory in Broden's layout into a few large files, a TFDS data set in array_record.

    The bytes of images and label maps stay as they are. All label maps are checked. The data set stands alone: the
    source may be deleted afterwards. What an interrupted build leaves is not taken for a data set.

    Args:
      source: as the directory of :func:`load_broden`.
      destination: :func:`load_broden` opens it then; a data set that is there already is kept.

    Returns:
      The folder of the data set, below ``destination``.

    Raises:
      UserError: naming file and row, if the source is not as it should be, or the destination has other data.
      BadImageError: if an image cannot be read. Those that cannot be decoded are copied, with a warning.
    """
    source, destination = Path(source), Path(destination)
    with refusals(str(destination)):
        return _build(source, destination)


def _build(source: Path, destination: Path) -> Path:
    if destination.is_file():
        raise UserError(f"{destination}: is a file; expected the folder to build in, which need not exist")
    builder = Broden(source=source, data_dir=destination)
    build(builder)
    prepared = destination / broden.PREPARED
    for name, content in builder.tables.items():
        if (prepared / name).read_bytes() != content:
            raise UserError(f"{prepared} was built from other data than {source}: its {name} differs; remove it first")
    return prepared
