"""Makes archives of a few images in the form of those of Places365, and folders in the layout that they unpack to."""

import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from interpjax.data.get.archive import Archive
from interpjax.data.get.places365 import Archives

CLASSES = ("/a/airfield", "/m/market/indoor", "/z/zen_garden")
TRAIN = {f"{name}/{n:08d}.jpg": label for label, name in enumerate(CLASSES) for n in (1, 2, 5)}
VALIDATION = {f"Places365_val_{n:08d}.jpg": n % 3 for n in (1, 2, 3, 4)}
NAMES = ("filelist_places365-standard.tar", "val_256.tar", "train_256_places365standard.tar")


def lists(
    classes: Sequence[str] = CLASSES, train: Mapping[str, int] = TRAIN, validation: Mapping[str, int] = VALIDATION
) -> dict[str, bytes]:
    """The content of the list files, by name."""
    content = {
        "categories_places365.txt": {name: label for label, name in enumerate(classes)},
        "places365_train_standard.txt": train,
        "places365_val.txt": validation,
    }
    return {
        name: "".join(f"{key} {number}\n" for key, number in listed.items()).encode()
        for name, listed in content.items()
    }


def image(name: str, grain: int = 1) -> bytes:
    """The JPEG file of an image, which its name tells; in squares of so many pixels, which make it smaller."""
    rng = np.random.default_rng(list(name.encode()))
    pixels = rng.integers(0, 255, (256 // grain, 256 // grain, 3)).astype(np.uint8)
    return cv2.imencode(".jpg", pixels.repeat(grain, axis=0).repeat(grain, axis=1))[1].tobytes()


def tar(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """An archive of files, a folder before them, and symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def archive_files(
    classes: Sequence[str] = CLASSES,
    train: Mapping[str, int] = TRAIN,
    validation: Mapping[str, int] = VALIDATION,
    grain: int = 1,
) -> dict[str, bytes]:
    """The three archives, by name.

    Args:
      classes: their names, in the order of their labels.
      train: the label of each image, by its name.
      validation: likewise.
      grain: of the images, as of :func:`image`.
    """
    listed = {
        f"filelist_places365-standard/{name}": content for name, content in lists(classes, train, validation).items()
    }
    held_out = {f"val_256/{name}": image(name, grain) for name in reversed(validation)}
    images = {f"data_256{name}": image(name, grain) for name in train}
    return dict(zip(NAMES, (tar(listed), tar(held_out), tar(images)), strict=True))


def archives(files: dict[str, bytes], url: str = "http://127.0.0.1:9") -> Archives:
    """What to download: these files, from a server."""
    made = [Archive(f"{url}/{name}", len(files[name]), hashlib.sha256(files[name]).hexdigest()) for name in NAMES]
    return Archives(*made)


def unpack(folder: Path, train_folder: str = "data_256_standard") -> Path:
    """The layout of torchvision."""
    files = lists()
    files |= {f"val_256/{name}": image(name) for name in VALIDATION}
    files |= {f"{train_folder}{name}": image(name) for name in TRAIN}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
