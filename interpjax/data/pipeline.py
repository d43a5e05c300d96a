"""How examples flow: grain reads, decodes and augments them in threads, in an order that can be resumed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grain
import numpy as np
from jaxtyping import Float, Int, UInt8
from ml_collections import ConfigDict

from interpjax.data import augment
from interpjax.data.images import BadImageError, SkippedImages, decode_image, read_image
from interpjax.data.sources import Split

Batch = dict[str, UInt8[np.ndarray, "batch size size 3"] | Int[np.ndarray, " batch"] | Float[np.ndarray, " batch"]]
PREFETCH = 64  # examples


class _Prepare:
    """Decodes and shapes one example; None for an unreadable image that is to be skipped."""

    def __init__(self, config: ConfigDict, skipped: SkippedImages, *, examples: int, training: bool):
        self._augment = config.data.augment
        self._sizes = {"size": config.data.image_size, "resize_size": config.data.resize_size}
        self._skip = config.data.on_bad_image == "skip"
        self._skipped, self._examples, self._training = skipped, examples, training

    def __call__(self, example: dict[str, Any], rng: np.random.Generator) -> dict[str, Any] | None:
        source = example["image"]
        try:
            image = read_image(source) if isinstance(source, Path) else decode_image(source, example["name"])
        except BadImageError as error:
            if not self._skip:
                raise
            self._skipped.add(error)
            if len(self._skipped.names) == self._examples:
                raise ValueError(f"none of the {self._examples} images can be read; the last: {error}") from error
            return None
        if self._training:
            image = augment.train_image(image, rng, augment=self._augment, **self._sizes)
        else:
            image = augment.test_image(image, **self._sizes)
        return {"image": image, "label": np.int32(example["label"])}


def train_iterator(
    split: Split, config: ConfigDict, skipped: SkippedImages, *, shard: tuple[int, int]
) -> grain.DatasetIterator:
    """Endless shuffled training batches, new in order and augmentation every epoch.

    Which example is where depends on ``config.seed`` and the split alone; the iterator's ``get_state`` and
    ``set_state`` are the position in the data.

    Args:
      split: the examples.
      config: the experiment; ``training.batch_size`` is that of all processes together.
      skipped: collects unreadable images where ``data.on_bad_image`` is ``"skip"``.
      shard: (this process, number of processes).

    Raises:
      BadImageError: on an unreadable image where ``data.on_bad_image`` is ``"error"``.
    """
    process, processes = shard
    examples = (
        grain.MapDataset.source(split)
        .seed(config.seed)
        .shuffle()
        .repeat()[process::processes]
        .random_map(_Prepare(config, skipped, examples=len(split), training=True))
        .filter(lambda example: example is not None)
    )
    threads = grain.ReadOptions(num_threads=config.data.num_threads, prefetch_buffer_size=PREFETCH)
    return iter(examples.to_iter_dataset(threads).batch(config.training.batch_size // processes, drop_remainder=True))


def test_batches(
    split: Split, config: ConfigDict, skipped: SkippedImages, *, shard: tuple[int, int]
) -> Iterator[Batch]:
    """Every example of a split once; the last batch is filled up, ``mask`` is 1 where an example is real.

    Arguments and errors as :func:`train_iterator`.
    """
    process, processes = shard
    prepare = _Prepare(config, skipped, examples=len(split), training=False)
    unused = np.random.default_rng(0)  # the centre crop draws nothing
    examples = (
        grain.MapDataset.source(split)[process::processes]
        .map(lambda example: prepare(example, unused))
        .filter(lambda example: example is not None)
    )
    threads = grain.ReadOptions(num_threads=config.data.num_threads, prefetch_buffer_size=PREFETCH)
    size = config.training.batch_size // processes
    for batch in examples.to_iter_dataset(threads).batch(size, drop_remainder=False):
        yield pad_batch(batch, size)


def pad_batch(batch: dict[str, np.ndarray], size: int) -> Batch:
    """Fills a batch up to ``size`` with zeros and adds the ``mask`` of the real ones."""
    count = len(batch["label"])
    padded = {k: np.pad(v, [(0, size - count)] + [(0, 0)] * (v.ndim - 1)) for k, v in batch.items()}
    return padded | {"mask": (np.arange(size) < count).astype(np.float32)}
