"""Folders of images and how examples flow from them."""

import json

import cv2
import numpy as np
import pytest
import tiny

import interpjax
from interpjax.config import override
from interpjax.data import augment
from interpjax.data.images import BadImageError, SkippedImages, read_image
from interpjax.data.pipeline import test_batches as make_test_batches
from interpjax.data.pipeline import train_iterator
from interpjax.prepare.sources import read_pipeline


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 5), ("test", 3)):
        for name in ("left", "right"):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(count):
                image = rng.integers(0, 255, (20 + i, 30, 3)).astype(np.uint8)
                cv2.imwrite(str(tmp_path / split / name / f"{i}.png"), image)
    return tmp_path


def configure(folders, **fields):
    fields = {"data.image_size": 16, "data.resize_size": 18, "training.batch_size": 4, **fields}
    paths = {f"data.{split}": str(folders / split) for split in ("train", "test")}
    return override(interpjax.get_config("image_folder_gbn"), paths | fields)


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def start(folders, skipped=None, **fields):
    config = configure(folders, **fields)
    split = tiny.open_source(config, folders).train
    return train_iterator(split, read_pipeline(config), skipped or SkippedImages(), shard=(0, 1))


def test_folder_gives_sorted_classes_and_all_images(folders):
    source = tiny.open_source(configure(folders), folders)
    assert source.class_names == ("left", "right")
    assert [source.train[i]["label"] for i in range(len(source.train))] == [0] * 5 + [1] * 5
    assert source.test[5]["name"].endswith("test/right/2.png")


def test_missing_empty_and_differing_folders_are_named(folders):
    with pytest.raises(ValueError, match=r"config.data.train = '/nowhere': no such folder"):
        tiny.open_source(configure(folders, **{"data.train": "/nowhere"}), folders)
    (folders / "train" / "middle").mkdir()
    with pytest.raises(ValueError, match=r"config.data.train: the class folder .*middle holds no image"):
        tiny.open_source(configure(folders), folders)
    (folders / "train" / "middle" / "0.png").write_bytes((folders / "train" / "left" / "0.png").read_bytes())
    with pytest.raises(ValueError, match=r"config.data.test = .*only one of the two has middle"):
        tiny.open_source(configure(folders), folders)


def test_every_epoch_has_each_image_once_in_another_order(folders):
    config = configure(folders, **{"training.batch_size": 5, "data.augment": "none"})
    split = tiny.open_source(config, folders).train
    key = {}
    for i in range(len(split)):
        image = augment.test_image(read_image(split[i]["image"]), size=16, resize_size=18)
        key[image.tobytes()] = i
    batches = take(train_iterator(split, read_pipeline(config), SkippedImages(), shard=(0, 1)), 6)
    order = [key[image.tobytes()] for batch in batches for image in batch["image"]]
    epochs = np.array(order).reshape(3, 10)
    assert (np.sort(epochs) == np.arange(10)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_position_in_the_data_can_be_resumed_bit_for_bit(folders):
    whole = take(start(folders), 9)
    first = start(folders)
    take(first, 4)
    position = json.loads(json.dumps(first.get_state()))
    second = start(folders)
    second.set_state(position)
    for expected, found in zip(whole[4:], take(second, 5), strict=True):
        np.testing.assert_array_equal(expected["image"], found["image"])
        np.testing.assert_array_equal(expected["label"], found["label"])


def test_processes_share_each_epoch(folders):
    config = configure(folders, **{"training.batch_size": 10, "data.augment": "none"})
    split = tiny.open_source(config, folders).train
    parts = [next(train_iterator(split, read_pipeline(config), SkippedImages(), shard=(i, 2))) for i in range(2)]
    images = {image.tobytes() for part in parts for image in part["image"]}
    assert [len(part["label"]) for part in parts] == [5, 5]
    assert len(images) == 10


def test_batches_are_the_same_however_many_processes_share_them(folders):
    """In their order too, and augmented alike."""
    config = configure(folders, **{"training.batch_size": 6})
    split, settings = tiny.open_source(config, folders).train, read_pipeline(config)
    whole, *parts = (
        take(train_iterator(split, settings, SkippedImages(), shard=shard), 4) for shard in ((0, 1), (0, 2), (1, 2))
    )
    for name in ("image", "label"):
        for expected, left, right in zip(whole, *parts, strict=True):
            np.testing.assert_array_equal(expected[name], np.concatenate([left[name], right[name]]))


def test_unreadable_image_is_an_error_or_skipped_and_counted(folders):
    bad = folders / "train" / "left" / "2.png"
    bad.write_bytes(bad.read_bytes()[:200])  # cut short
    with pytest.raises(BadImageError, match=r"left/2.png: cannot be decoded \(200 bytes"):
        take(start(folders), 5)
    skipped = SkippedImages()
    batches = take(start(folders, skipped, **{"data.on_bad_image": "skip"}), 5)
    assert skipped.names == {str(bad)}
    assert all(len(batch["label"]) == 4 for batch in batches)


def test_files_that_cannot_be_opened_or_decoded_are_skipped_as_well(folders):
    (folders / "train" / "left" / "gone.png").symlink_to("nowhere.png")
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\xff\xff\x00\x00\xff\xff\x08\x02\x00\x00\x00\x00\x00\x00\x00"
    (folders / "train" / "left" / "vast.png").write_bytes(header)
    (folders / "train" / "left" / "folder.png").mkdir()
    skipped = SkippedImages()
    take(start(folders, skipped, **{"data.on_bad_image": "skip"}), 6)
    assert {name.rpartition("/")[2] for name in skipped.names} == {"gone.png", "vast.png"}
    with pytest.raises(BadImageError, match=r"cannot be"):
        take(start(folders), 6)


def test_folder_without_any_readable_image_ends_in_an_error(folders):
    for path in (folders / "train").rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(ValueError, match="none of the 10 images can be read"):
        take(start(folders, **{"data.on_bad_image": "skip"}), 1)


def test_test_batches_hold_every_image_once_and_say_which_are_real(folders):
    config = configure(folders)
    split = tiny.open_source(config, folders).test
    batches = list(make_test_batches(split, read_pipeline(config), SkippedImages(), shard=(0, 1)))
    assert [batch["mask"].tolist() for batch in batches] == [[1, 1, 1, 1], [1, 1, 0, 0]]
    labels = np.concatenate([batch["label"][batch["mask"] > 0] for batch in batches])
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_processes_have_as_many_test_batches_even_if_one_has_no_image_for_them(folders):
    bad = folders / "test" / "left" / "0.png"
    bad.write_bytes(b"")
    config = configure(folders, **{"training.batch_size": 4, "data.on_bad_image": "skip"})
    split, settings = tiny.open_source(config, folders).test, read_pipeline(config)
    skipped = SkippedImages()
    first, second = (list(make_test_batches(split, settings, skipped, shard=(number, 2))) for number in (0, 1))
    assert [[batch["mask"].tolist() for batch in part] for part in (first, second)] == [
        [[1, 1], [1, 0]],
        [[1, 1], [0, 0]],
    ]
    assert {batch["image"].shape for batch in (*first, *second)} == {(2, 16, 16, 3)}
    assert skipped.names == {str(bad)}


def test_crop_boxes_lie_inside_and_have_the_published_shape():
    rng = np.random.default_rng(0)
    boxes = np.array([augment.random_crop_box(240, 240, rng) for _ in range(2000)])
    top, left, height, width = boxes.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 240).all()
    assert (left + width <= 240).all()
    share, ratio = height * width / 240**2, width / height
    assert share.min() < 0.1
    assert share.max() > 0.9
    assert 0.73 < ratio.min() < 0.77
    assert 1.3 < ratio.max() < 1.37
    assert abs(np.log(ratio).mean()) < 0.05
    assert augment.random_crop_box(10, 1000, rng)[2:] == (10, 13)  # nothing fits: the largest allowed


@pytest.mark.parametrize("shape", [(20, 30), (31, 9), (16, 16), (200, 300)])
def test_test_image_is_the_centre(shape):
    image = np.zeros((*shape, 3), np.uint8)
    image[shape[0] // 2, shape[1] // 2] = 255
    small = augment.test_image(image, size=16, resize_size=18)
    assert small.shape == (16, 16, 3)
    assert np.abs(np.array(np.unravel_index(small[..., 0].argmax(), (16, 16))) - 8).max() <= 1
