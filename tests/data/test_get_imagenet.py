"""ImageNet from class folders and archives becomes the data set that a run opens, or an error says what is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import places365_archives as archives
import pytest
import tensorflow_datasets as tfds

from interpjax.data import tfds_set
from interpjax.data.get import imagenet, imagenet_builder
from interpjax.data.get.imagenet import Listing, get_imagenet
from interpjax.errors import UserError

CLASSES = ("n01440764", "n01443537", "n01484850")
LISTED = Listing(CLASSES, (CLASSES[2], CLASSES[0], CLASSES[0], CLASSES[1]), train_images=6)
TRAIN = {f"{name}/{name}_{n}.JPEG": archives.image(f"{name}{n}") for name in CLASSES for n in (4, 10)}
VALIDATION = {f"ILSVRC2012_val_{n:08d}.JPEG": archives.image(f"val{n}") for n in (1, 2, 3, 4)}
SPLITS = {"train": "train", "test": "validation"}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def outer_tar(train: dict[str, bytes]) -> bytes:
    """An archive of an archive for each class, as image-net.org gives it out."""
    inner = {name: {} for name in CLASSES}
    for path, content in train.items():
        name, _, image = path.partition("/")
        inner[name][image] = content
    return archives.tar({f"{name}.tar": archives.tar(images) for name, images in inner.items()})


FORMS = {
    "folders": {
        **{f"train/{name}": content for name, content in TRAIN.items()},
        **{
            f"val/{name}/{image}": content
            for (image, content), name in zip(VALIDATION.items(), LISTED.validation, strict=True)
        },
    },
    "kaggle": {
        **{f"ILSVRC/Data/CLS-LOC/train/{name}": content for name, content in TRAIN.items()},
        **{f"ILSVRC/Data/CLS-LOC/val/{name}": content for name, content in VALIDATION.items()},
        "LOC_val_solution.csv": b"ImageId,PredictionString\n",
    },
    "archives": {
        "ILSVRC2012_img_train.tar": outer_tar(TRAIN),
        "ILSVRC2012_img_val.tar": archives.tar(VALIDATION),
    },
}


@pytest.mark.parametrize("shard_images", [2, 100])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_the_same_data_set(tmp_path, monkeypatch, form, shard_images):
    monkeypatch.setattr(imagenet_builder, "SHARD_IMAGES", shard_images)
    source = write(tmp_path / "source", FORMS[form])
    before = sorted(source.rglob("*"))
    for _ in range(2):
        assert get_imagenet(tmp_path / "made", source, expected=LISTED) == tmp_path / "made" / "imagenet2012" / "5.1.0"
    assert sorted(source.rglob("*")) == before
    opened = tfds_set("imagenet2012", str(tmp_path / "made"), SPLITS, cache=tmp_path / "cache")
    assert opened.class_names == CLASSES
    expected = {
        "train": {(content, CLASSES.index(name[:9])) for name, content in TRAIN.items()},
        "test": {
            (content, CLASSES.index(name)) for content, name in zip(VALIDATION.values(), LISTED.validation, strict=True)
        },
    }
    for split, images in expected.items():
        own = getattr(opened, split)
        assert {(own[n]["image"], own[n]["label"]) for n in range(len(own))} == images
        assert len(own) == len(images)


def test_what_is_missing_or_wrong_is_named(tmp_path):
    source, made = write(tmp_path / "source", FORMS["folders"]), tmp_path / "made"

    def assert_refused(message):
        with pytest.raises(UserError, match=message):
            get_imagenet(made, source, expected=LISTED)
        assert not (made / "imagenet2012" / "5.1.0").exists()

    image = source / "train" / "n01440764" / "n01440764_4.JPEG"
    content = image.read_bytes()
    image.write_bytes(b"<html>")
    assert_refused(r"source/train: n01440764_4.JPEG \(6 bytes\) is no JPEG file")
    image.unlink()
    assert_refused(r"source/train: holds 5 images; expected the 6 of ImageNet-1k")
    image.write_bytes(content)
    (image.parent / "more.JPEG").write_bytes(content)
    assert_refused(r"source/train: holds more than 6 images; expected the 6")
    (image.parent / "more.JPEG").unlink()
    image.parent.rename(source / "train" / "cats")
    assert_refused(r"source/train: holds 'cats', which is no class of ImageNet-1k; expected n01440764, n01443537, ")
    (source / "train").rename(source / "trian")
    assert_refused(r"--from = .*source: expected .*img_train.tar or .*source/train or .*CLS-LOC/train; give the folder")


@pytest.mark.parametrize("name", ["../x.JPEG", "/x.JPEG", "ILSVRC2012_val_00000005.JPEG", "x.JPEG"])
def test_member_that_is_none_of_the_set_writes_nothing(tmp_path, name):
    wrong = archives.tar(VALIDATION | {name: archives.image("x")}, links={"link": "/"})
    source = write(tmp_path / "source", FORMS["archives"] | {"ILSVRC2012_img_val.tar": wrong})
    with pytest.raises(UserError, match=r"ILSVRC2012_img_val.tar: holds '.*'; expected ILSVRC2012_val_00000001.JPEG"):
        get_imagenet(tmp_path / "made", source, expected=LISTED)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "source"]
    assert not [path for path in (tmp_path / "made").rglob("*") if path.suffix == ".JPEG" or path.is_symlink()]


@pytest.mark.parametrize("kept", [0.7, 0.5])
def test_archive_that_is_cut_short_is_named(tmp_path, kept):
    content = FORMS["archives"]["ILSVRC2012_img_train.tar"]
    files = FORMS["archives"] | {"ILSVRC2012_img_train.tar": content[: int(len(content) * kept)]}
    with pytest.raises(UserError, match=r"img_train.tar: (n\d+.tar: )?damaged or cut short \("):
        get_imagenet(tmp_path / "made", write(tmp_path / "source", files), expected=LISTED)


def test_the_lists_are_the_official_ones():
    known = imagenet.listing()
    assert (len(known.classes), len(known.validation)) == (1000, 50_000)
    assert known.classes == tuple(sorted(known.classes))  # as class folders are numbered everywhere
    assert all(known.validation.count(name) == 50 for name in known.classes[::200])
    builder = tfds.builder_cls("imagenet2012")
    assert (builder.name, str(builder.VERSION)) == (imagenet_builder.NAME, imagenet_builder.VERSION)


def test_command_names_what_is_missing(tmp_path):
    command = [
        sys.executable,
        "-m",
        "interpjax",
        "get",
        "imagenet",
        "--from",
        str(tmp_path),
        "--to",
        str(tmp_path / "m"),
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"UserError: --from = {tmp_path}: expected {tmp_path}/ILSVRC2012_img_train.tar or ")
