"""What there is to train on: splits, sizes and class names, and what to do where the data are missing."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from interpjax.data.splits import FileSplit, Split, TfdsSplit
from interpjax.data.subsets import class_numbers, read_labels, take_classes
from interpjax.data.two_figures import builder as two_figures
from interpjax.data.two_figures import drawing as figures

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff")


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set: its two splits and the names of its classes."""

    train: Split
    test: Split
    class_names: tuple[str, ...]


def load_source(config: ConfigDict, directory: Path) -> Source:
    """Opens the data that ``config.data`` names.

    Args:
      config: an experiment.
      directory: for data that are made rather than given (two figures), unless ``config.data.directory`` is set; and
        for the labels of a TFDS data set of which ``config.data.classes`` takes some, which are read once.

    Raises:
      ValueError: naming the field and what to put where, if the data are missing or not of the right form.
    """
    if config.data.source == "two_figures":
        return _two_figures(config, directory)
    if config.data.source == "image_folder":
        return _image_folder(config)
    return _tfds(config, directory)


def _image_folder(config: ConfigDict) -> Source:
    splits, names = {}, {}
    for split in ("train", "test"):
        splits[split], names[split] = _read_class_folders(f"config.data.{split}", config.data[split])
    if names["train"] != names["test"]:
        only = sorted(set(names["train"]) ^ set(names["test"]))
        raise ValueError(
            f"config.data.test = {config.data.test!r}: its class folders must be those of config.data.train = "
            f"{config.data.train!r}; only one of the two has {', '.join(only)}"
        )
    source = Source(splits["train"], splits["test"], names["train"])
    return _of_classes(config, source, {name: np.array(split.labels) for name, split in splits.items()})


def _read_class_folders(field: str, folder: str) -> tuple[FileSplit, tuple[str, ...]]:
    if not folder or not Path(folder).is_dir():
        raise ValueError(f"{field} = {folder!r}: no such folder; give one that holds a folder of images for each class")
    classes = sorted(path for path in Path(folder).iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise ValueError(f"{field} = {folder!r}: {len(classes)} class folders in it; at least 2 are needed")
    files, labels = [], []
    for label, class_folder in enumerate(classes):
        found = sorted(
            path for path in class_folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir()
        )
        if not found:
            raise ValueError(f"{field}: the class folder {class_folder} holds no image ({', '.join(IMAGE_SUFFIXES)})")
        files += found
        labels += [label] * len(found)
    return FileSplit(files, labels), tuple(path.name for path in classes)


def _two_figures(config: ConfigDict, directory: Path) -> Source:
    task = config.data.two_figures.task
    builder = two_figures_builder(config, directory)
    train, test = (TfdsSplit(_records(builder, split), task, f"two_figures/{split}") for split in ("train", "test"))
    return Source(train, test, figures.class_names(task))


def two_figures_builder(config: ConfigDict, directory: Path) -> two_figures.TwoFigures:
    """The two-figures data of an experiment, rendered where they are not there yet."""
    settings = config.data.two_figures
    builder = two_figures.TwoFigures(
        data_dir=Path(config.data.directory or directory),
        image_size=settings.image_size,
        figure_size=settings.figure_size,
        noise=settings.noise,
        seed=settings.seed,
        counts={"train": settings.train_images, "test": settings.test_images},
    )
    two_figures.prepare(builder)
    return builder


def _of_classes(config: ConfigDict, source: Source, labels: dict[str, np.ndarray]) -> Source:
    """The classes of ``config.data.classes`` alone, renumbered in their order; all if none is named."""
    if not config.data.classes:
        return source
    numbers = class_numbers(config.data.classes, source.class_names)
    train = take_classes("config.data.train", source.train, numbers, labels["train"], every=True)
    test = take_classes("config.data.test", source.test, numbers, labels["test"], every=False)
    return Source(train, test, tuple(source.class_names[number] for number in numbers))


def _tfds(config: ConfigDict, directory: Path) -> Source:
    builder = _tfds_builder(config)
    label = builder.info.features["label"]
    names = tuple(label.names or map(str, range(label.num_classes)))
    class_numbers(config.data.classes, names)  # a mistake is told before all labels are read
    splits, labels = {}, {}
    for field in ("train", "test"):
        split = config.data[field]
        splits[field] = TfdsSplit(_records(builder, split), "label", f"{config.data.tfds_name}/{split}")
        if config.data.classes:
            key = f"{config.data.tfds_name}-{builder.info.version}-{split}-{len(splits[field])}"
            cache = directory / f"labels_{key.replace('/', '_')}.npy"
            labels[field] = read_labels(splits[field], len(names), cache)
    return _of_classes(config, Source(splits["train"], splits["test"], names), labels)


def _tfds_builder(config: ConfigDict) -> tfds.core.DatasetBuilder:
    """The latest version of a prepared data set, with the configured splits."""
    root = Path(config.data.directory or "~/tensorflow_datasets").expanduser()
    name = config.data.tfds_name
    how = (
        "made by TFDS where there is a network and TensorFlow: "
        f"`tfds build {name} --file_format=array_record --data_dir={root}`"
    )
    found = _tfds_versions(root / name) if name else []
    if not found:
        raise ValueError(
            f"config.data.directory = {config.data.directory!r}: no prepared TFDS data set {name!r} in {root / name}. "
            f"Put it there as {root / name}/VERSION/, {how}; or name its folder with --config.data.directory=DIR"
        )
    builder = tfds.builder_from_directory(found[-1])
    if builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
        raise ValueError(
            f"{found[-1]} is in the format {builder.info.file_format.value}; what interpjax reads is {how}"
        )
    missing = {"image", "label"} - set(builder.info.features)
    if missing:
        raise ValueError(f"{found[-1]} has no feature {min(missing)!r}: a set for classification has image and label")
    for field in ("train", "test"):
        if config.data[field] not in builder.info.splits:
            splits = ", ".join(builder.info.splits)
            raise ValueError(f"config.data.{field} = {config.data[field]!r}: {found[-1]} has the splits {splits}")
    return builder


def _tfds_versions(folder: Path) -> list[Path]:
    """The prepared versions of a data set, the latest last; what a build left unfinished is none."""
    found = {}
    for path in folder.rglob("dataset_info.json"):
        if tfds.core.Version.is_valid(path.parent.name):
            found[tfds.core.Version(path.parent.name)] = path.parent
    return [found[version] for version in sorted(found)]


def _records(builder: tfds.core.DatasetBuilder, split: str) -> Any:
    skip = {
        name: tfds.decode.SkipDecoding()
        for name, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.Image)
    }
    return builder.as_data_source(split, decoders=skip)
