"""How examples flow: grain reads, decodes and augments them in threads, in an order that can be resumed."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grain
import numpy as np
from jaxtyping import Float, Int, UInt8

from interpjax.data import augment
from interpjax.data.images import MAX_PIXELS, BadImageError, SkippedImages, decode_image, read_image
from interpjax.data.splits import Split
from interpjax.errors import UserError

Batch = dict[str, UInt8[np.ndarray, "batch size size 3"] | Int[np.ndarray, " batch"] | Float[np.ndarray, " batch"]]
PREFETCH = 64  # examples


@dataclasses.dataclass(frozen=True)
class PipelineSettings:
    """How examples become batches.

    Attributes:
      batch_size: images of a batch, of all processes together.
      image_size: pixels a side that the network sees.
      resize_size: pixels of the shorter side before the centre crop.
      augment: of training images, a choice of :func:`interpjax.data.augment.train_image`.
      seed: of order and augmentation.
      num_threads: that read and decode.
      skip_bad_images: whether unreadable images are left out; otherwise they are errors.
      max_pixels: of an image; a larger one counts as unreadable.
    """

    batch_size: int
    image_size: int
    resize_size: int
    augment: str
    seed: int
    num_threads: int
    skip_bad_images: bool
    max_pixels: int = MAX_PIXELS


class _Part(grain.MapDataset):
    """A process's part of every batch: as many examples of it as of the others, one behind the other.

    So a batch is the same however many processes share it, and so is the order in it.
    """

    def __init__(self, examples: grain.MapDataset, batch_size: int, shard: tuple[int, int]):
        super().__init__(examples)
        process, processes = shard
        self._batch, self._own = batch_size, batch_size // processes
        self._first = process * self._own

    def __len__(self) -> int:
        whole, rest = divmod(len(self._parent), self._batch)
        return whole * self._own + min(max(rest - self._first, 0), self._own)

    def __getitem__(self, index: Any) -> Any:
        batch, place = divmod(index, self._own)
        return self._parent[batch * self._batch + self._first + place]


class _Prepare:
    """Decodes and shapes one example; None for an unreadable image that is to be skipped."""

    def __init__(self, settings: PipelineSettings, skipped: SkippedImages, *, examples: int, training: bool):
        self._augment = settings.augment
        self._sizes = {"size": settings.image_size, "resize_size": settings.resize_size}
        self._skip, self._max_pixels = settings.skip_bad_images, settings.max_pixels
        self._skipped, self._examples, self._training = skipped, examples, training

    def __call__(self, example: dict[str, Any], rng: np.random.Generator) -> dict[str, Any] | None:
        try:
            image = _decoded(example, self._max_pixels)
        except BadImageError as error:
            if not self._skip:
                hint = "config.data.on_bad_image = 'skip' leaves such images out"
                raise BadImageError(error.name, f"{error.reason}; {hint}") from error
            self._skipped.add(error)
            if len(self._skipped.names) == self._examples:
                raise UserError(f"none of the {self._examples} images can be read; the last: {error}") from error
            return None
        if self._training:
            image = augment.train_image(image, rng, augment=self._augment, **self._sizes)
        else:
            image = augment.test_image(image, **self._sizes)
        return {"image": image, "label": np.int32(example["label"])}


def _decoded(example: dict[str, Any], max_pixels: int) -> UInt8[np.ndarray, "h w 3"]:
    image = example["image"]
    if isinstance(image, np.ndarray):
        return image
    if isinstance(image, Path):
        return read_image(image, max_pixels=max_pixels)
    return decode_image(image, example["name"], max_pixels=max_pixels)


def train_iterator(
    split: Split, settings: PipelineSettings, skipped: SkippedImages, *, shard: tuple[int, int]
) -> grain.DatasetIterator:
    """Endless shuffled training batches, new in order and augmentation every epoch.

    Which example is where, and how it is augmented, depends on the seed and the split alone, as long as all can be
    read; the iterator's ``get_state`` and ``set_state`` are the position in the data, of this process.

    Args:
      split: the examples.
      settings: how they become batches.
      skipped: collects unreadable images where those are left out.
      shard: (this process, number of processes).

    Raises:
      BadImageError: on an unreadable image where those are errors.
    """
    _, processes = shard
    examples = (
        grain.MapDataset.source(split)
        .seed(settings.seed)
        .shuffle()
        .repeat()
        .random_map(_Prepare(settings, skipped, examples=len(split), training=True))
    )
    examples = _Part(examples, settings.batch_size, shard).filter(lambda example: example is not None)
    threads = grain.ReadOptions(num_threads=settings.num_threads, prefetch_buffer_size=PREFETCH)
    return iter(examples.to_iter_dataset(threads).batch(settings.batch_size // processes, drop_remainder=True))


def test_batches(
    split: Split, settings: PipelineSettings, skipped: SkippedImages, *, shard: tuple[int, int]
) -> Iterator[Batch]:
    """Every example of a split once; the last batch is filled up, ``mask`` is 1 where an example is real.

    Each process gives as many batches, of which the last may have no example.

    Arguments and errors as :func:`train_iterator`.
    """
    _, processes = shard
    prepare = _Prepare(settings, skipped, examples=len(split), training=False)
    unused = np.random.default_rng(0)  # the centre crop draws nothing
    examples = (
        _Part(grain.MapDataset.source(split), settings.batch_size, shard)
        .map(lambda example: prepare(example, unused))
        .filter(lambda example: example is not None)
    )
    threads = grain.ReadOptions(num_threads=settings.num_threads, prefetch_buffer_size=PREFETCH)
    size, left = settings.batch_size // processes, math.ceil(len(split) / settings.batch_size)
    for batch in examples.to_iter_dataset(threads).batch(size, drop_remainder=False):
        yield pad_batch(batch, size)
        left -= 1
    none = np.zeros((0, settings.image_size, settings.image_size, 3), np.uint8)
    for _ in range(left):
        yield pad_batch({"image": none, "label": np.zeros(0, np.int32)}, size)


def pad_batch(batch: dict[str, np.ndarray], size: int) -> Batch:
    """Fills a batch up to ``size`` with zeros and adds the ``mask`` of the real ones."""
    count = len(batch["label"])
    padded = {k: np.pad(v, [(0, size - count)] + [(0, 0)] * (v.ndim - 1)) for k, v in batch.items()}
    return padded | {"mask": (np.arange(size) < count).astype(np.float32)}
