"""The TFDS data set made of Broden gives what the directory gives, and what is wrong shows when it is made."""

import logging
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import broden_layout
import numpy as np
import pandas as pd
import pytest
import tensorflow_datasets as tfds

from interpjax import dissection
from interpjax.data import build_broden, load_broden
from interpjax.data.broden import builder
from interpjax.data.images import BadImageError
from interpjax.errors import UserError


@pytest.fixture
def source(tmp_path):
    return broden_layout.add_channels(broden_layout.make_broden(tmp_path / "source"))


def assert_same_labels(one, other):
    assert list(one) == list(other)
    for category in one:
        for a, b in zip(one[category], other[category], strict=True):
            assert type(a) is type(b)
            np.testing.assert_array_equal(a, b)


def assert_same(one, other):
    assert (one.categories, one.unlabelled) == (other.categories, other.unlabelled)
    pd.testing.assert_frame_equal(one.concepts, other.concepts)
    pd.testing.assert_frame_equal(one.coverage, other.coverage)
    for a, b in zip(one.records, other.records, strict=True):
        assert (a.name, a.image_shape, a.label_shape) == (b.name, b.image_shape, b.label_shape)
        assert (a.encoded_image(), a.encoded_maps()) == (b.encoded_image(), b.encoded_maps())
        np.testing.assert_array_equal(a.image(), b.image())
        assert_same_labels(a.labels(), b.labels())


@pytest.mark.parametrize("shard_images", [2, 100])
def test_gives_what_the_directory_gives(source, tmp_path, monkeypatch, shard_images):
    monkeypatch.setattr(builder, "SHARD_IMAGES", shard_images)
    with (source / "images" / "b.jpg").open("ab") as file:
        file.write(b"\0\0")  # bytes stay as they are, zeros at the end included
    prepared = build_broden(source, tmp_path / "built")
    assert len(list(prepared.glob("*.array_record-*"))) == (2 if shard_images == 2 else 1)
    original = load_broden(source)
    assert_same(original, load_broden(tmp_path / "built"))
    assert_same(original, load_broden(prepared))
    objects = [data.restricted(["object"]).records[3].labels() for data in (original, load_broden(prepared))]
    assert_same_labels(*objects)
    assert "tensorflow" not in sys.modules


@pytest.mark.long
def test_each_record_is_parsed_once_an_image_in_every_pass(source, tmp_path, monkeypatch):
    build_broden(source, tmp_path / "built")
    broden = load_broden(tmp_path / "built")
    read, shards = [], type(broden.records[0].files.records)
    parse = shards.__getitem__
    monkeypatch.setattr(shards, "__getitem__", lambda self, number: read.append(number) or parse(self, number))
    assert broden.fingerprint() == load_broden(source).fingerprint()
    assert sorted(read) == [0, 1, 2, 3]
    read.clear()
    settings = {"layers": ("conv",), "image_size": 32, "num_threads": 2, "progress": False}
    for data in (broden, broden.restricted(["color"])):
        dissection.dissect(lambda x: {"conv": x[:, ::2, ::2].astype(np.float32)}, data, **settings)
        assert sorted(read) == [0, 1, 2, 3]
        read.clear()


def test_has_the_fingerprint_of_the_directory_which_any_byte_changes(source, tmp_path):
    directory = load_broden(source)
    before = directory.fingerprint()
    assert load_broden(build_broden(source, tmp_path / "built")).fingerprint() == before
    image = next(path for path in sorted((source / "images").glob("*.jpg")))
    image.write_bytes(image.read_bytes() + b"\0")
    assert load_broden(source).fingerprint() != before


def test_stands_alone_and_is_kept(source, tmp_path):
    prepared = build_broden(source, str(tmp_path / "built"))
    written = [path.stat().st_mtime_ns for path in sorted(prepared.iterdir())]
    assert build_broden(source, tmp_path / "built") == prepared
    assert written == [path.stat().st_mtime_ns for path in sorted(prepared.iterdir())]
    (source / "label.csv").write_text((source / "label.csv").read_text().replace("wheel", "tyre"))
    with pytest.raises(ValueError, match=r"was built from other data than .*source: its label.csv differs"):
        build_broden(source, tmp_path / "built")
    shutil.rmtree(source)
    assert len(load_broden(tmp_path / "built").records) == 4
    with pytest.raises(ValueError, match=r"is built already; give a directory with index.csv and images/"):
        build_broden(prepared, tmp_path / "again")


def test_real_photographs_read_by_many_threads(shared, tmp_path):
    mini, few = shared / "data" / "mini_broden", tmp_path / "few"
    rows = (mini / "index.csv").read_text().splitlines()[:31]
    for row in rows[1:]:
        cells = row.split(",")
        for name in [cells[0], *(entry for cell in cells[6:] for entry in cell.split(";") if entry.endswith(".png"))]:
            (few / "images" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(mini / "images" / name, few / "images" / name)
    for table in mini.glob("*.csv"):
        shutil.copy(table, few / table.name)
    (few / "index.csv").write_text("\n".join(rows) + "\n")
    build_broden(few, tmp_path / "built")
    one, other = load_broden(few), load_broden(tmp_path / "built")
    assert_same(one, other)
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(len(one.records)), 6))
    with ThreadPoolExecutor(8) as threads:
        read = list(threads.map(lambda i: (other.records[i].image(), other.records[i].labels()), order))
    for number, (image, labels) in zip(order, read, strict=True):
        np.testing.assert_array_equal(image, one.records[number].image())
        assert_same_labels(labels, one.records[number].labels())


def test_interrupted_build_leaves_nothing_that_loads(source, tmp_path, monkeypatch):
    built, killed = tmp_path / "built", tmp_path / "killed"
    monkeypatch.setattr(builder, "SHARD_IMAGES", 2)
    example = builder.Broden._example

    def interrupt(self, record):
        if record.row.position == 3:  # in the second shard
            shutil.copytree(built, killed)  # as it would lie there after a kill
            raise KeyboardInterrupt
        return example(self, record)

    with monkeypatch.context() as patched:
        patched.setattr(builder.Broden, "_example", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build_broden(source, built)
    assert any(path.name.startswith("incomplete") for path in (killed / "broden").iterdir())
    for folder in (built, killed):
        with pytest.raises(ValueError, match="no Broden directory there"):
            load_broden(folder)
        build_broden(source, folder)
        assert_same(load_broden(source), load_broden(folder))


def test_faults_surface_with_row_and_file_when_it_is_made(source, tmp_path):
    images = source / "images"
    good = {name: (images / name).read_bytes() for name in ("b_color.png", "d_2.png")}
    faults = [
        ("b_color.png", np.ones((16, 15), int), r"row 3 \(b.jpg\): label map images/b_color.png is \(16, 15\) pixels"),
        ("d_2.png", np.full((20, 18), 7), r"row 6 \(d.jpg\): label map images/d_2.png has the label 7"),
        ("d_2.png", None, r"row 6 \(d.jpg\): label map images/d_2.png cannot be decoded"),
    ]
    for name, labels, message in faults:
        if labels is None:
            (images / name).write_bytes(b"no image")
        else:
            broden_layout.write_map(images / name, labels)
        with pytest.raises(ValueError, match=message):
            build_broden(source, tmp_path / "built")
        with pytest.raises(ValueError, match="no Broden directory there"):
            load_broden(tmp_path / "built")
        (images / name).write_bytes(good[name])
    (images / "d_1.png").unlink()
    with pytest.raises(ValueError, match=r"row 6 \(d.jpg\): label map .*d_1.png is missing"):
        build_broden(source, tmp_path / "built")


def test_unreadable_image_is_copied_with_a_warning(source, tmp_path, caplog):
    (source / "images" / "b.jpg").write_bytes(b"no image")
    with caplog.at_level(logging.WARNING):
        build_broden(source, tmp_path / "built")
    assert "copied as it is: image" in caplog.text
    assert "index.csv row 3 (b.jpg): images/b.jpg: cannot be decoded" in caplog.text
    with pytest.raises(BadImageError, match=r"index.csv row 3 \(b.jpg\): images/b.jpg: cannot be decoded"):
        load_broden(tmp_path / "built").records[1].image()


def test_data_set_that_was_tampered_with_is_refused(source, tmp_path):
    prepared = build_broden(source, tmp_path / "built")
    index = (prepared / "index.csv").read_text()
    (prepared / "index.csv").write_text(index.replace("b.jpg", "x.jpg"))
    with pytest.raises(ValueError, match=r"row 3 \(x.jpg\): its record is of b.jpg; index.csv has been changed"):
        load_broden(prepared).records[1].labels()
    (prepared / "index.csv").write_text("\n".join(index.splitlines()[:-1]))
    with pytest.raises(ValueError, match=r"4 records, but index.csv has 3 rows with a label"):
        load_broden(prepared)
    (prepared / "index.csv").write_text(index)
    shard = next(prepared.glob("*.array_record-*"))
    shard.unlink()
    with pytest.raises(ValueError, match=rf"{shard.name} is missing"):
        load_broden(prepared)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
def test_damaged_description_is_refused_with_the_folder(source, tmp_path, name):
    prepared = build_broden(source, tmp_path / "built")
    content = (prepared / name).read_bytes()
    for damaged in (b"", b"{}", content[:40], b"\xff\xfe", content.replace(b"labelled", b"train")):
        (prepared / name).write_bytes(damaged)
        if damaged != content:
            with pytest.raises(
                UserError, match=r"built/broden/1.0.0: .* is damaged \(.*\); expected what build_broden"
            ):
                load_broden(tmp_path / "built")


def test_a_file_is_no_place_to_build_in(source, tmp_path):
    (tmp_path / "built").write_text("")
    with pytest.raises(UserError, match=r"built: is a file; expected the folder to build in"):
        build_broden(source, tmp_path / "built")


@pytest.mark.parametrize("damage", ["cut short", "overwritten"])
def test_damaged_shard_is_named_with_the_row(source, tmp_path, damage):
    prepared = build_broden(source, tmp_path / "built")
    shard = next(prepared.glob("*.array_record-*"))
    content = shard.read_bytes()
    cut, overwritten = content[:65536], content[:200] + b"damage" * 1000 + content[6200:]
    shard.write_bytes(cut if damage == "cut short" else overwritten)
    record = load_broden(prepared).records[1]
    with pytest.raises(ValueError, match=r"row 3 \(b.jpg\): label map in .*1.0.0 cannot be read \("):
        record.labels()
    with pytest.raises(BadImageError, match=r"row 3 \(b.jpg\): images/b.jpg: cannot be read \("):
        record.image()


def test_is_an_ordinary_tfds_data_set_and_made_by_a_command(source, tmp_path):
    command = [sys.executable, "-m", "interpjax.data.broden", str(source), str(tmp_path / "built")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    prepared = tmp_path / "built" / "broden" / "1.0.0"
    assert result.stdout == f"{prepared}\n"
    example = tfds.builder_from_directory(prepared).as_data_source("labelled")[3]
    assert example["name"] == b"d.jpg"
    assert example["image"].shape == (40, 36, 3)
    assert [len(example["maps"][category]) for category in ("color", "object", "scene")] == [1, 2, 0]
