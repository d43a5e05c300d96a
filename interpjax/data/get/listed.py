"""The images of Places365 with their labels: list files, and the images that they name, in a tar archive or a folder.

Names in archives only say which image a member is. They are never used as paths, so that no archive can write anywhere.
"""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from interpjax.errors import UserError
from interpjax.progress import progress_bar

CATEGORIES, TRAIN_LIST, VAL_LIST = "categories_places365.txt", "places365_train_standard.txt", "places365_val.txt"
LISTS = (CATEGORIES, TRAIN_LIST, VAL_LIST)
JPEG = b"\xff\xd8"  # what every JPEG file begins with
Example = tuple[str, bytes, int]  # the name in the archive or folder, the encoded image, its label


def read_lists(path: Path) -> dict[str, str]:
    """The text of each list file.

    Args:
      path: the archive of the list files, or a folder that holds them.

    Raises:
      UserError: naming the path, if one is not there, or the archive is damaged.
    """
    if path.is_dir():
        found = {name: (path / name).read_bytes() for name in LISTS if (path / name).is_file()}
    else:
        listed = ((name.rpartition("/")[2], content) for name, content in members(path))
        found = {name: content for name, content in listed if name in LISTS}
    if missing := [name for name in LISTS if name not in found]:
        raise UserError(f"{path}: has no {missing[0]}; expected {', '.join(LISTS)}")
    return {name: content.decode(errors="replace") for name, content in found.items()}


def read_class_names(text: str) -> tuple[str, ...]:
    """The names of the classes as TFDS has them: ``market/indoor`` for the line ``/m/market/indoor 220``.

    Raises:
      UserError: naming the line, if the classes are not numbered 0, 1, … or their names have another form.
    """
    names: list[str] = []
    for name, number in _read_numbers(text, CATEGORIES).items():
        if number != len(names) or name[1:2] != "/" or not name[2:]:
            raise UserError(f"{CATEGORIES}: /{name} {number}; expected /LETTER/NAME {len(names)}")
        names.append(name[2:])
    return tuple(names)


def read_labels(text: str, listing: str, classes: int) -> dict[str, int]:
    """The label of each image, by its name without the ``/`` that some lists have before it.

    Args:
      text: lines ``NAME LABEL``.
      listing: the name of the list file, for messages.
      classes: how many classes there are.

    Raises:
      UserError: naming the line or the image, if a line is not of this form, or a label is of no class.
    """
    labels = _read_numbers(text, listing)
    for name, label in labels.items():
        if label >= classes:
            raise UserError(f"{listing}: {name} has the label {label}; expected 0 to {classes - 1}")
    return labels


def read_images(path: Path, labels: dict[str, int], listing: str) -> Iterator[Example]:
    """Each image that a list names, once, in the order of the archive; in that of the list where they are in a folder.

    Args:
      path: a tar archive or a folder; in the archive, names have a folder before them that the list does not tell.
      labels: the label of each name; what was read is taken out.
      listing: the name of the list file, for messages.

    Raises:
      UserError: naming the image, if it is not in the list, occurs twice, is missing or is no JPEG file; naming the
        archive, if it is damaged.
    """
    listed = len(labels)
    for name, content in _files(path, labels) if path.is_dir() else members(path):
        key = name.partition("/")[2]
        label = labels.pop(key, None)
        if label is None:
            raise UserError(f"{path}: holds {name!r}, which {listing} does not name, or a second time")
        if not content.startswith(JPEG):
            raise UserError(f"{path}: {name} ({len(content)} bytes) is no JPEG file; put the right one in its place")
        yield name, content, label
    if labels:
        lacking = f"{len(labels)} of the {listed} images of {listing}, such as {next(iter(labels))}"
        raise UserError(f"{path}: lacks {lacking}; get it again")


def _read_numbers(text: str, listing: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for row, line in enumerate(io.StringIO(text), start=1):
        name, _, number = line.strip().rpartition(" ")
        key = name.removeprefix("/")
        if not key or not number.isdecimal() or key in found:
            raise UserError(
                f"{listing} line {row}: {line.strip()!r}; expected NAME NUMBER, with another name in each line"
            )
        found[key] = int(number)
    if not found:
        raise UserError(f"{listing}: is empty; expected a line NAME NUMBER for each name")
    return found


def _files(path: Path, labels: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    for name in list(labels):
        try:
            content = (path / name).read_bytes()
        except FileNotFoundError:
            continue  # told at the end, with how many others are missing
        yield f"{path.name}/{name}", content


def members(path: Path, content: IO[bytes] | None = None, *, inside: str = "") -> Iterator[tuple[str, bytes]]:
    """Name and content of each regular file of a tar archive, in its order; folders and links are passed over.

    Args:
      path: of the archive.
      content: the archive, if it is a member of the one at the path.
      inside: the name of this member, for messages.

    Raises:
      UserError: naming the archive, if it is damaged.
    """
    try:
        with tarfile.open(None if content else path, "r:", fileobj=content) as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # it would remember two million of them
                if member.isreg() and (file := archive.extractfile(member)) is not None:
                    yield member.name.removeprefix("./"), file.read()
    except tarfile.TarError as error:
        where = f"{path}: {inside}" if inside else f"{path}"
        raise UserError(
            f"{where}: damaged or cut short ({error}); put a whole one in its place, and give the command again"
        ) from error


def numbered(
    split: str, images: int, read: Iterator[Example], name_feature: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The images of a split as TFDS takes them, by their numbers, with a bar that shows how many are read.

    Args:
      split: its name.
      images: how many there are.
      read: them.
      name_feature: the feature that holds the name of an image.
    """
    with progress_bar(f"building {split}", images) as bar:
        for number, (name, image, label) in enumerate(read):
            yield number, {"image": image, "label": label, name_feature: name}
            bar.update()
