"""Places365 with small images, from its server or from what is on disk already, as the data set of TFDS.

References:
  Zhou et al., *Places: A 10 Million Image Database for Scene Recognition*, TPAMI 2018.
"""

import dataclasses
from pathlib import Path

from interpjax.data.building import build
from interpjax.data.get import listed
from interpjax.data.get.archive import Archive
from interpjax.data.get.download import fetch, left_to_fetch
from interpjax.data.get.folder import ARCHIVES, make, require_space
from interpjax.data.get.places365_builder import NAME, VERSION, Places365Small
from interpjax.errors import UserError

SERVER = "http://data.csail.mit.edu/places/places365"
PREPARED = Path(NAME) / VERSION  # where in its destination the data set is


@dataclasses.dataclass(frozen=True)
class Archives:
    """What Places365 comes in."""

    lists: Archive
    validation: Archive
    train: Archive

    def all(self) -> tuple[Archive, Archive, Archive]:
        """From the smallest to the largest, so that what is wrong shows early."""
        return self.lists, self.validation, self.train


# Sizes and sha256 are those in TFDS 4.9.10, datasets/places365_small/checksums.tsv. The labels of ``test`` are secret.
PLACES365 = Archives(
    lists=Archive(
        f"{SERVER}/filelist_places365-standard.tar",
        67498496,
        "520699e00d69b63ddc29fac54645aa00ce1c10ca42e288960aa1cf791d6e9aa9",
    ),
    validation=Archive(
        f"{SERVER}/val_256.tar",
        525158400,
        "24b4e639ef12a0012af525bc4cb443e4ab4aaea8369a1fb009b70e4a4aad5d48",
    ),
    train=Archive(
        f"{SERVER}/train_256_places365standard.tar",
        26103685120,
        "0ade5d7d38c682aa0203014a2b99ad3bf608bf1de0f151dc0d80efba54660a0a",
    ),
)


def get_places365(
    destination: Path, source: Path | None = None, *, keep: bool = False, archives: Archives = PLACES365
) -> Path:
    """Makes the data set, so that :func:`interpjax.data.tfds_set` opens it; what an earlier call finished is kept.

    Args:
      destination: gets ``places365_small/2.1.0``, and the archives until that is whole.
      source: a folder with the three archives, or with what they hold: ``data_256_standard/`` (or ``data_256/``),
        ``val_256/`` and the list files; nothing in it is changed. None to download the archives.
      keep: leaves downloaded archives where they are.
      archives: what to download.

    Returns:
      The folder of the data set.

    Raises:
      UserError: naming file or address and what to do, if something cannot be had, is wrong, or does not fit the disk.
    """
    return make(
        destination,
        PREPARED,
        lambda: _build(destination, source, archives),
        left_over=tuple(archive.name for archive in archives.all()),
        source=source,
        keep=keep,
    )


def _build(destination: Path, source: Path | None, archives: Archives) -> None:
    places = None if source is None else _places(source, archives)
    folder = destination / ARCHIVES
    to_fetch = sum(left_to_fetch(archive, folder) for archive in archives.all()) if places is None else 0
    to_build = (archives.train.size or 0) + (archives.validation.size or 0)
    require_space(destination, NAME, to_fetch, to_build)
    lists, validation, train = places or [fetch(archive, folder) for archive in archives.all()]
    texts = listed.read_lists(lists)
    names = listed.read_class_names(texts[listed.CATEGORIES])
    splits = {}
    for split, path, listing in (("train", train, listed.TRAIN_LIST), ("validation", validation, listed.VAL_LIST)):
        splits[split] = (path, listed.read_labels(texts[listing], listing, len(names)), listing)
    build(Places365Small(data_dir=destination, class_names=names, splits=splits))


def _places(source: Path, archives: Archives) -> list[Path]:
    """Where list files, validation and training images are in a folder, each as an archive or unpacked."""
    unpacked = {
        archives.lists: (".",) if any((source / name).is_file() for name in listed.LISTS) else (),
        archives.validation: ("val_256",),
        archives.train: ("data_256_standard", "data_256"),  # as torchvision calls it, and as the archive does
    }
    found = []
    for archive, folders in unpacked.items():
        candidates = [source / archive.name, *(source / name for name in folders)]
        there = [path for path in candidates if path.exists()]
        if not there:
            names = " or ".join(str(path) for path in candidates)
            raise UserError(f"--from = {source}: expected {names}; give the folder that holds it, or no --from")
        if there[0].is_file() and (fault := archive.wrong(there[0])):
            raise UserError(f"{there[0]} {fault}; remove it, and get it again from {archive.url}")
        found.append(there[0])
    return found
