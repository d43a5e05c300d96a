"""ImageNet-1k (ILSVRC 2012) from the class folders or archives that one has, as the data set of TFDS.

Its archives are given out by name only, so nothing is downloaded. Names in archives only say which image a member is;
they are never used as paths, so that no archive can write anywhere.

References:
  Russakovsky et al., *ImageNet Large Scale Visual Recognition Challenge*, IJCV 2015.
"""

import dataclasses
import functools
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import tensorflow_datasets as tfds

from interpjax.data.building import build
from interpjax.data.get.folder import make, require_space
from interpjax.data.get.imagenet_builder import NAME, VERSION, Imagenet2012, Images
from interpjax.data.get.listed import JPEG, Example, members
from interpjax.data.images import readable
from interpjax.errors import UserError

PREPARED = Path(NAME) / VERSION  # where in its destination the data set is
TRAIN_TAR, VALIDATION_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
# Where folders are in what image-net.org and Kaggle give out, as they are mostly unpacked.
KAGGLE = "ILSVRC/Data/CLS-LOC"
TRAIN, VALIDATION = ("train", f"{KAGGLE}/train"), ("val", "validation", f"{KAGGLE}/val")
PNG = b"\x89PNG"  # of the one image among those to train on that is none (n02105855_2933)


@dataclasses.dataclass(frozen=True)
class Listing:
    """What the data set has.

    Attributes:
      classes: the WordNet number of each label 0, 1, ….
      validation: the class of each image to validate on, in the order of their numbers, from 1.
      train_images: how many images there are to train on.
    """

    classes: tuple[str, ...]
    validation: tuple[str, ...]
    train_images: int


@functools.cache
def listing() -> Listing:
    """What ImageNet-1k has: the official lists, which come with TFDS."""
    folder = Path(tfds.__file__).parent / "datasets" / NAME
    classes, validation = ((folder / f"{name}.txt").read_text().split() for name in ("labels", "validation_labels"))
    return Listing(tuple(classes), tuple(validation), train_images=1_281_167)


def get_imagenet(destination: Path, source: Path, *, expected: Listing | None = None) -> Path:
    """Makes the data set, so that :func:`interpjax.data.tfds_set` opens it; one that is there already is kept.

    Args:
      destination: gets ``imagenet2012/5.1.0``.
      source: a folder with the images to train on, as class folders in ``train/`` or as ``ILSVRC2012_img_train.tar``,
        and those to validate on, in ``val/`` (in class folders, or all in one) or as ``ILSVRC2012_img_val.tar``; or
        with what Kaggle gives out, ``ILSVRC/Data/CLS-LOC/``. Nothing in it is changed.
      expected: what the data set has; by default what ImageNet-1k has.

    Returns:
      The folder of the data set.

    Raises:
      UserError: naming file or folder and what to do, if something is missing, wrong, or does not fit the disk.
    """
    known = listing() if expected is None else expected
    build_it = functools.partial(_build, destination, source, known)
    return make(destination, PREPARED, build_it, left_over=(), source=source, keep=True)


def _build(destination: Path, source: Path, known: Listing) -> None:
    train = _found(source, TRAIN_TAR, TRAIN)
    validation = _found(source, VALIDATION_TAR, VALIDATION)
    require_space(destination, NAME, 0, sum(map(_size, (train, validation))))
    labels = {name: label for label, name in enumerate(known.classes)}
    read: dict[str, tuple[int, Callable[[], Iterator[Example]]]] = {
        "train": (known.train_images, functools.partial(_train_images, train, labels)),
        "validation": (len(known.validation), functools.partial(_validation_images, validation, labels, known)),
    }
    paths = {"train": train, "validation": validation}
    splits: dict[str, Images] = {
        split: (count, functools.partial(_counted, paths[split], count, reader))
        for split, (count, reader) in read.items()
    }
    build(Imagenet2012(data_dir=destination, class_names=known.classes, splits=splits))


def _found(source: Path, archive: str, folders: Sequence[str]) -> Path:
    candidates = [source / archive, *(source / name for name in folders)]
    there = [path for path in candidates if path.exists()]
    if not there:
        names = " or ".join(str(path) for path in candidates)
        raise UserError(f"--from = {source}: expected {names}; give the folder that holds it")
    return there[0]


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _counted(path: Path, count: int, read: Callable[[], Iterator[Example]]) -> Iterator[Example]:
    """The images, of which there have to be so many, each a JPEG file and none twice."""
    names = set[str]()
    for name, content, label in read():
        if not content.startswith((JPEG, PNG)):
            raise UserError(f"{path}: {name} ({len(content)} bytes) is no JPEG file; put the right one in its place")
        if name in names:
            raise UserError(f"{path}: holds {name} a second time; get it again")
        names.add(name)
        if len(names) > count:
            break
        yield name, content, label
    if len(names) != count:
        more = f"more than {count}" if len(names) > count else str(len(names))
        raise UserError(
            f"{path}: holds {more} images; expected the {count} of ImageNet-1k (a part of them is a data set of its "
            "own, for --config.data.source=image_folder)"
        )


def _train_images(path: Path, labels: dict[str, int]) -> Iterator[Example]:
    if path.is_dir():
        yield from _class_folders(path, labels)
        return
    for name, content in members(path):  # an archive for each class
        label = _label_of(path, name.removesuffix(".tar").rpartition("/")[2], labels)
        for image, encoded in members(path, io.BytesIO(content), inside=name):
            yield image.rpartition("/")[2], encoded, label


def _validation_images(path: Path, labels: dict[str, int], known: Listing) -> Iterator[Example]:
    if path.is_dir() and any(child.is_dir() for child in path.iterdir()):
        yield from _class_folders(path, labels)
        return
    files = _files(path) if path.is_dir() else members(path)
    for name, content in files:
        image = name.rpartition("/")[2]
        number = image.removesuffix(".JPEG").rpartition("_")[2]
        if not number.isdecimal() or not 1 <= int(number) <= len(known.validation):
            raise UserError(f"{path}: holds {image!r}; expected ILSVRC2012_val_00000001.JPEG and so on")
        yield image, content, labels[known.validation[int(number) - 1]]


def _class_folders(path: Path, labels: dict[str, int]) -> Iterator[Example]:
    for folder in sorted(child for child in path.iterdir() if not child.name.startswith(".")):
        label = _label_of(path, folder.name, labels)
        for name, content in _files(folder):
            yield name, content, label


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(child for child in folder.iterdir() if child.suffix.lower() in (".jpeg", ".jpg")):
        if file.is_file():
            yield readable(file.name), file.read_bytes()


def _label_of(path: Path, name: str, labels: dict[str, int]) -> int:
    if name not in labels:
        known = ", ".join(itertools.islice(labels, 3))
        raise UserError(f"{path}: holds {name!r}, which is no class of ImageNet-1k; expected {known} and so on")
    return labels[name]
