"""Makes archives of a few images in the form of those of Places365, and folders in the layout that they unpack to."""

import hashlib
import io
import tarfile
from pathlib import Path

import cv2
import numpy as np

from interpjax.data.get.download import Archive
from interpjax.data.get.places365 import Archives

CLASSES = ("/a/airfield", "/m/market/indoor", "/z/zen_garden")
TRAIN = {f"{name}/{n:08d}.jpg": label for label, name in enumerate(CLASSES) for n in (1, 2, 5)}
VALIDATION = {f"Places365_val_{n:08d}.jpg": n % 3 for n in (1, 2, 3, 4)}
LISTS = {
    "categories_places365.txt": {name: label for label, name in enumerate(CLASSES)},
    "places365_train_standard.txt": TRAIN,
    "places365_val.txt": VALIDATION,
}
NAMES = ("filelist_places365-standard.tar", "val_256.tar", "train_256_places365standard.tar")


def listing(name: str) -> bytes:
    """The content of a list file."""
    return "".join(f"{key} {number}\n" for key, number in LISTS[name].items()).encode()


def image(name: str) -> bytes:
    """The JPEG file of an image, which its name tells."""
    rng = np.random.default_rng(list(name.encode()))
    return cv2.imencode(".jpg", rng.integers(0, 255, (256, 256, 3)).astype(np.uint8))[1].tobytes()


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


def archive_files() -> dict[str, bytes]:
    """The three archives, by name."""
    lists = {f"filelist_places365-standard/{name}": listing(name) for name in LISTS}
    validation = {f"val_256/{name}": image(name) for name in reversed(VALIDATION)}
    train = {f"data_256{name}": image(name) for name in TRAIN}
    return dict(zip(NAMES, (tar(lists), tar(validation), tar(train)), strict=True))


def archives(files: dict[str, bytes], url: str = "http://127.0.0.1:9") -> Archives:
    """What to download: these files, from a server."""
    made = [Archive(f"{url}/{name}", len(files[name]), hashlib.sha256(files[name]).hexdigest()) for name in NAMES]
    return Archives(*made)


def unpack(folder: Path, train_folder: str = "data_256_standard") -> Path:
    """The layout of torchvision."""
    files = {name: listing(name) for name in LISTS}
    files |= {f"val_256/{name}": image(name) for name in VALIDATION}
    files |= {f"{train_folder}{name}": image(name) for name in TRAIN}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
