"""Data are known again by their names, order, labels and sizes, wherever they are."""

import shutil

import numpy as np
import pytest

from interpjax.data.listing import listing_fingerprint
from interpjax.data.sources import Source, image_folder
from interpjax.data.splits import ArraySplit, Deferred, TfdsSplit
from interpjax.data.validation import hold_out


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("dark", "light", "mid")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(4):
            (tmp_path / "images" / name / f"{i}.jpg").write_bytes(b"x" * (10 * number + i))
    return tmp_path / "images"


def fingerprint(folder, **arguments):
    split = image_folder({"train": str(folder)}, **arguments).train
    return listing_fingerprint(split)


def test_a_moved_or_linked_folder_has_the_same(folder, tmp_path):
    before = fingerprint(folder)
    (tmp_path / "link").symlink_to(folder)
    assert fingerprint(tmp_path / "link") == fingerprint(f"{folder}/") == before
    shutil.move(folder, tmp_path / "elsewhere")
    (tmp_path / "link").unlink()
    assert fingerprint(tmp_path / "elsewhere") == before


def swap(folder):
    for old, new in (("dark", "x"), ("light", "dark"), ("x", "light")):
        (folder / old).rename(folder / new)


def test_swapped_classes_are_noticed_even_if_names_and_sizes_are_the_same(tmp_path):
    for name, content in (("a", b"1"), ("b", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.ppm").write_bytes(content)
    before = fingerprint(tmp_path)
    for old, new in (("a", "x"), ("b", "a"), ("x", "b")):
        (tmp_path / old).rename(tmp_path / new)
    assert fingerprint(tmp_path) != before


@pytest.mark.parametrize(
    "change",
    [
        swap,
        lambda folder: (folder / "dark" / "3.jpg").rename(folder / "dark" / "9.jpg"),
        lambda folder: (folder / "dark" / "3.jpg").write_bytes(b"another size"),
        lambda folder: (folder / "dark" / "3.jpg").rename(folder / "light" / "4.jpg"),
        lambda folder: (folder / "mid").rename(folder / "middle"),
    ],
    ids=["classes swapped", "renamed", "resized", "relabelled", "class renamed"],
)
def test_another_content_has_another(folder, change):
    before = fingerprint(folder)
    change(folder)
    assert fingerprint(folder) != before


def test_only_the_classes_that_are_kept_count(folder):
    before, reversed_ = (fingerprint(folder, classes=classes) for classes in (("dark", "mid"), ("mid", "dark")))
    assert before != reversed_
    (folder / "light" / "9.jpg").write_bytes(b"more")
    assert fingerprint(folder, classes=("dark", "mid")) == before


def test_parts_that_are_held_out_have_their_own(folder):
    source = hold_out(image_folder({"train": str(folder)}), 0.25, seed=0)
    assert len({listing_fingerprint(split) for split in (source.train, source.validation)}) == 2


def test_images_in_memory_and_unopened_records():
    images, labels = np.zeros((3, 2, 2, 3), np.uint8), np.array([0, 1, 1])
    other = images.copy()
    other[2, 1, 1, 2] = 1
    found = [ArraySplit(images, labels), ArraySplit(other, labels), ArraySplit(images, labels[::-1].copy())]
    assert len({listing_fingerprint(split) for split in found}) == 3
    records = Deferred(lambda: pytest.fail("opened"), 7)
    split = TfdsSplit(records, "label", "set/train", listing="set/1.0.0/train [3, 4]")
    newer = TfdsSplit(records, "label", "set/train", listing="set/1.0.1/train [3, 4]")
    assert listing_fingerprint(split) != listing_fingerprint(newer)
    held = hold_out(Source(split, None, ("a", "b")), 0.5, seed=0)  # opened only when the labels are needed
    assert listing_fingerprint(held.train) == listing_fingerprint(split)


class Own:
    """A split of a user's own, which has only what a split has to have."""

    def __init__(self, length, labels=None):
        self._length = length
        if labels is not None:
            self.labels = labels

    def __len__(self):
        return self._length

    def __getitem__(self, index):
        raise AssertionError(index)


def test_of_a_split_of_ones_own_the_labels_and_the_length_count():
    splits = [Own(3), Own(4), Own(4, [0, 1, 0, 1]), Own(4, [0, 1, 1, 0])]
    assert len({listing_fingerprint(split) for split in splits}) == 4
