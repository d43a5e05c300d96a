"""The data to train and test on: image folders and prepared sets of TFDS, checked before they are used."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from interpjax.data.concepts import ConceptData
from interpjax.data.images import readable
from interpjax.data.records import encoded_records, open_builder
from interpjax.data.splits import Deferred, FileSplit, Split, TfdsSplit
from interpjax.data.subsets import class_numbers, read_labels, take_classes
from interpjax.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff")


class PassedOver:
    """What lies in the class folders and is no image to read."""

    def __init__(self) -> None:
        self._others: list[Path] = []  # whose suffix is no image's
        self._no_files: list[Path] = []  # pipes, sockets and devices, of which reading might never end

    def takes(self, path: Path) -> bool:
        """Whether a path, which is no folder, is an image's; notes it otherwise."""
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            self._others.append(path)
        elif not path.is_file() and path.exists():  # a link that leads nowhere is an image that cannot be read
            self._no_files.append(path)
        else:
            return True
        return False

    def tell(self, field: str) -> None:
        """Tells in a line how many there are, if there are any."""
        counted = {
            "with a suffix that is no image's": self._others,
            "that are pipes, sockets or devices": self._no_files,
        }
        told = [f"{len(paths)} {what}, such as {readable(paths[0])}" for what, paths in counted.items() if paths]
        if told:
            print(f"{field}: passed over {' and '.join(told)}", file=sys.stderr)


USES = {"train": "train on", "validation": "validate on", "test": "test on"}
SHOWN = 6  # names of classes that are told


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set to train and test on.

    Attributes:
      train: the training examples; None if they were not asked for.
      test: the test examples; None if they were not asked for.
      class_names: the name of each class, in the order of the labels 0, 1, ….
      concepts: the images with pixel labels that come with the data, to dissect with; None if there are none.
      validation: the examples that are held out of the training examples, to validate on; None if there are none.
    """

    train: Split | None
    test: Split | None
    class_names: tuple[str, ...]
    concepts: ConceptData | None = None
    validation: Split | None = None

    def __str__(self) -> str:
        """How many images of each kind, and of which classes."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        counts = ", ".join(
            f"{len(split)} images to {USES[name]}" for name, split in splits.items() if split is not None
        )
        names = ", ".join(self.class_names[:SHOWN]) + (", …" if len(self.class_names) > SHOWN else "")
        return f"{counts}; {len(self.class_names)} classes: {names}"


def image_folder(folders: Mapping[str, str], classes: Sequence[str | int] = ()) -> Source:
    """A data set of folders, each of which holds a folder of images for each class.

    Args:
      folders: the folder of each split, for ``"train"`` and ``"test"`` or one of them.
      classes: the classes to keep, by name or number; all classes if it is empty.

    Raises:
      UserError: naming the field of the configuration, if a folder is missing or not of this form, or the two splits
        have different classes.
    """
    splits, names = {}, {}
    for split, folder in folders.items():
        splits[split], names[split] = _read_class_folders(f"config.data.{split}", folder)
    if len(set(names.values())) > 1:
        only = sorted(set(names["train"]) ^ set(names["test"]))
        raise UserError(
            f"config.data.test = {folders['test']!r}: expected the class folders of config.data.train = "
            f"{folders['train']!r}; only one of the two has {', '.join(only)}"
        )
    class_names = next(iter(names.values()))
    numbers = class_numbers(classes, class_names)
    kept = {
        name: take_classes(f"config.data.{name}", split, numbers, np.array(split.labels), every=name == "train")
        if numbers
        else split
        for name, split in splits.items()
    }
    return Source(kept.get("train"), kept.get("test"), _kept_names(class_names, numbers))


def tfds_set(
    name: str, directory: str, splits: Mapping[str, str], classes: Sequence[str | int] = (), *, cache: Path
) -> Source:
    """The latest version of an image classification set that TFDS has prepared in array_record.

    Args:
      name: name of the data set.
      directory: the directory that holds the data set; TFDS's own default if empty.
      splits: the data set's own name of each wanted split, as ``{"train": "train", "test": "validation"}``.
      classes: as in :func:`image_folder`; their examples are found by reading all labels, once.
      cache: folder in which those labels are kept, from the first use of the examples on.

    Raises:
      UserError: naming the field and what to put where, if the data are missing or not of the right form.
    """
    builder = _tfds_builder(name, directory, splits)
    label = builder.info.features["label"]
    names = tuple(label.names or map(str, range(label.num_classes)))
    numbers = class_numbers(classes, names)
    opened: dict[str, Split] = {}
    for field, split in splits.items():
        records = encoded_records(builder, split, f"remove {builder.data_dir}, and get it again")
        key = f"{name}-{builder.info.version}-{split}-{len(records)}".replace("/", "_")
        listing = f"{builder.info.full_name}/{split} {builder.info.splits[split].shard_lengths}"
        whole = TfdsSplit(records, "label", f"{name}/{split}", cache / f"labels_{key}.npy", listing)
        opened[field] = _of_classes(field, whole, numbers, len(names))
    return Source(opened.get("train"), opened.get("test"), _kept_names(names, numbers))


def _of_classes(field: str, whole: TfdsSplit, numbers: tuple[int, ...], classes: int) -> Split:
    if not numbers:
        return whole

    def take() -> Split:
        labels = read_labels(whole, classes)
        return take_classes(f"config.data.{field}", whole, numbers, labels, every=field == "train")

    return Deferred(take, whole=whole)


def _kept_names(names: tuple[str, ...], numbers: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(names[number] for number in numbers) if numbers else names


def _read_class_folders(field: str, folder: str) -> tuple[FileSplit, tuple[str, ...]]:
    if not folder or not Path(folder).is_dir():
        raise UserError(f"{field} = {folder!r}: no such folder; give one that holds a folder of images for each class")
    classes = sorted(path for path in Path(folder).iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise UserError(f"{field} = {folder!r}: {len(classes)} class folders in it; expected 2 or more")
    files, labels = [], []
    passed_over = PassedOver()
    for label, class_folder in enumerate(classes):
        found = sorted(path for path in class_folder.rglob("*") if not path.is_dir() and passed_over.takes(path))
        if not found:
            raise UserError(
                f"{field}: the class folder {readable(class_folder)} holds no image; expected files of the kinds "
                f"{', '.join(IMAGE_SUFFIXES)}"
            )
        files += found
        labels += [label] * len(found)
    passed_over.tell(field)
    return FileSplit(files, labels), tuple(readable(path.name) for path in classes)


def _tfds_builder(name: str, directory: str, splits: Mapping[str, str]) -> tfds.core.DatasetBuilder:
    """The latest prepared version of a data set. Raises UserError unless it has the wanted splits."""
    root = Path(directory or "~/tensorflow_datasets").expanduser()
    how = (
        "made by TFDS where there is a network and TensorFlow: "
        f"`tfds build {name} --file_format=array_record --data_dir={root}`"
    )
    commands = {"places365_small": f"places365 --to {root}", "imagenet2012": f"imagenet --from DIR --to {root}"}
    fetched = f"by `interpjax get {commands[name]}`, or " if name in commands else ""
    found = _tfds_versions(root / name) if name else []
    if not found:
        raise UserError(
            f"config.data.directory = {directory!r}: no prepared TFDS data set {name!r} in {root / name}. Put it there "
            f"{fetched}as {root / name}/VERSION/, {how}; or name its folder with --config.data.directory=DIR"
        )
    builder = open_builder(found[-1], f"remove it, and get it again, {how}")
    if builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
        raise UserError(
            f"{found[-1]} is in the format {builder.info.file_format.value}; expected array_record, as {how}"
        )
    missing = {"image", "label"} - set(builder.info.features)
    if missing:
        raise UserError(f"{found[-1]} has no feature {min(missing)!r}; expected image and label, to classify images")
    for field, split in splits.items():
        if split not in builder.info.splits:
            known = ", ".join(builder.info.splits)
            raise UserError(f"config.data.{field} = {split!r}: {found[-1]} has no such split; choose one of {known}")
    return builder


def _tfds_versions(folder: Path) -> list[Path]:
    """The folders of a data set's prepared versions, the latest last; unfinished builds are left out."""
    found = {}
    for path in folder.rglob("dataset_info.json"):
        if tfds.core.Version.is_valid(path.parent.name):
            found[tfds.core.Version(path.parent.name)] = path.parent
    return [found[version] for version in sorted(found)]
