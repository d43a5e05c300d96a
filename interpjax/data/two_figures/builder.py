"""TFDS builder of the two-figures data: images, classes of both tasks, and exact pixel labels.

References:
  Varshneya et al., *Learning Interpretable Concept Groups in CNNs*, IJCAI 2021, the synthetic data set.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds

from interpjax.data.building import build
from interpjax.data.records import description
from interpjax.data.two_figures import drawing as figures
from interpjax.errors import UserError

SPLIT_STREAMS = {"train": 0, "test": 1}  # the number of each split in the seeds of its examples


class TwoFigures(tfds.core.GeneratorBasedBuilder):
    """Two randomly placed figures out of {square, circle, triangle} × {red, green, blue}.

    The data are written as array_record, without TensorFlow. Example i of a split depends only on (seed, split, i), so
    that a larger data set begins with the examples of a smaller one.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        *,
        data_dir: Path,
        image_size: int,
        figure_size: int,
        noise: float,
        seed: int,
        counts: dict[str, int],
    ):
        """Declares the data; ``download_and_prepare`` renders them.

        Args:
          data_dir: the directory that holds a folder for each choice of the parameters below.
          image_size: side of the images in pixels.
          figure_size: side of a figure's square in pixels.
          noise: standard deviation of the pixel noise, on the scale 0..255.
          seed: seed of the figures' places and kinds, and of the noise.
          counts: numbers of examples, by the splits ``"train"`` and ``"test"``.

        Raises:
          UserError: if two figures do not fit beside each other.
        """
        if not 3 <= figure_size <= image_size // 2:
            raise UserError(
                f"config.data.two_figures.figure_size = {figure_size}: expected 3 to {image_size // 2}, so that two "
                f"figures fit beside each other in {image_size} pixels"
            )
        self._parameters = (image_size, figure_size, noise)
        self._seed, self._counts = seed, counts
        variant = f"{image_size}px_figure{figure_size}_noise{noise:g}_seed{seed}_{counts['train']}_{counts['test']}"
        folder = data_dir / variant / self.name / str(self.VERSION)
        with description(folder, remedy(folder)):
            super().__init__(data_dir=str(data_dir / variant), file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        size = self._parameters[0]
        label_map = tfds.features.Image(shape=(size, size, 1), encoding_format="png")
        features: dict[str, Any] = dict.fromkeys(figures.CATEGORIES, label_map)
        features["image"] = tfds.features.Image(shape=(size, size, 3), encoding_format="png")
        for task in ("multiclass", "binary"):
            features[task] = tfds.features.ClassLabel(names=list(figures.class_names(task)))
        features["name"] = tfds.features.Text()
        # In the order of generation: a record's position says which image it is.
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in SPLIT_STREAMS}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(self._counts[split]):
            rng = np.random.default_rng([self._seed, SPLIT_STREAMS[split], index])
            yield index, self._example(rng, example_name(split, index))

    def _example(self, rng: np.random.Generator, name: str) -> dict[str, Any]:
        image_size, figure_size, noise = self._parameters
        placed = figures.place_figures(rng, image_size, figure_size)
        image, labels = figures.render(placed, image_size, noise, rng)
        example: dict[str, Any] = {category: _png(label_map) for category, label_map in labels.items()}
        example["image"] = _png(image[..., ::-1])  # OpenCV writes BGR
        example["multiclass"] = figures.pair_class(placed[0].kind, placed[1].kind)
        example["binary"] = int(any(figure.shape == "square" for figure in placed))
        example["name"] = name
        return example


def example_name(split: str, index: int) -> str:
    """The name of an example: ``"test/000007"``."""
    return f"{split}/{index:06d}"


def remedy(folder: Path) -> str:
    """What to do if a file of the data in a folder is damaged, as an order."""
    return f"remove {folder}, and the same command renders it again"


def prepare(builder: TwoFigures) -> None:
    """Renders the data where they are not there yet; TFDS moves a data set in place only when it is whole."""
    tfds.disable_progress_bar()
    build(builder)


def _png(image: np.ndarray) -> bytes:
    written, encoded = cv2.imencode(".png", image)
    assert written, image.shape
    return encoded.tobytes()
