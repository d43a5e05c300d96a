"""Places365 from archives and folders becomes the data set that a run opens, or an error that says what is wrong."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import loopback_server
import places365_archives as places
import pytest
import tensorflow_datasets as tfds

from interpjax.data import tfds_set
from interpjax.data.get import download, places365_builder
from interpjax.data.get.places365 import PLACES365, get_places365
from interpjax.errors import UserError

FILES = places.archive_files()
SPLITS = {"train": "train", "test": "validation"}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(download, "FIRST_WAIT", 0.001)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def assert_is_places365(folder: Path) -> None:
    source = tfds_set("places365_small", str(folder), SPLITS, cache=folder / "cache")
    assert source.class_names == ("airfield", "market/indoor", "zen_garden")
    for split, images in ((source.train, places.TRAIN), (source.test, places.VALIDATION)):
        found = {(split[n]["image"], split[n]["label"]) for n in range(len(split))}
        assert found == {(places.image(name), label) for name, label in images.items()}
        assert len(split) == len(images)
    few = tfds_set("places365_small", str(folder), SPLITS, ["zen_garden", "airfield"], cache=folder / "cache")
    assert len(few.train) == 6


@pytest.mark.parametrize("shard_images", [4, 100])
def test_download_becomes_the_data_set(tmp_path, monkeypatch, capsys, shard_images):
    monkeypatch.setattr(places365_builder, "SHARD_IMAGES", shard_images)
    with loopback_server.serving(FILES) as server:
        prepared = get_places365(tmp_path, archives=places.archives(FILES, server.url))
        assert prepared == tmp_path / "places365_small" / "2.1.0"
        assert_is_places365(tmp_path)
        assert [name for name, _ in server.asked] == list(places.NAMES)
        assert get_places365(tmp_path, archives=places.archives(FILES, server.url)) == prepared
        assert len(server.asked) == 3
    assert len(list(prepared.glob("*train.array_record-*"))) == (3 if shard_images == 4 else 1)
    told = capsys.readouterr().out
    assert "places365_small: 1.0 MB to download and 1.0 MB to write beside; " in told
    assert f"{prepared} is there already" in told
    assert not (tmp_path / "archives").exists()
    example = tfds.builder_from_directory(prepared).as_data_source("train")[0]
    assert example["filename"] == b"data_256/a/airfield/00000001.jpg"
    assert "tensorflow" not in sys.modules


def test_archives_are_kept_if_asked_for(tmp_path):
    with loopback_server.serving(FILES) as server:
        get_places365(tmp_path, keep=True, archives=places.archives(FILES, server.url))
    shutil.rmtree(tmp_path / "places365_small")
    get_places365(tmp_path, tmp_path / "archives", archives=places.archives(FILES))
    assert {path.name: path.read_bytes() for path in (tmp_path / "archives").iterdir()} == FILES


@pytest.mark.parametrize("train_folder", ["data_256_standard", "data_256", None])
def test_what_is_on_disk_already_is_taken_and_left(tmp_path, train_folder):
    source = tmp_path / "source"
    if train_folder:
        places.unpack(source, train_folder)
    else:
        write(source, FILES)
    before = sorted(source.rglob("*"))
    get_places365(tmp_path / "made", source, archives=places.archives(FILES))
    assert_is_places365(tmp_path / "made")
    assert sorted(source.rglob("*")) == before


def test_what_is_missing_or_wrong_on_disk_is_named(tmp_path):
    source, made, archives = places.unpack(tmp_path / "source"), tmp_path / "made", places.archives(FILES)

    def assert_refused(message):
        with pytest.raises(UserError, match=message):
            get_places365(made, source, archives=archives)
        assert not (made / "places365_small" / "2.1.0").exists()

    image = source / "data_256_standard" / "m" / "market" / "indoor" / "00000002.jpg"
    content = image.read_bytes()
    image.write_bytes(b"")
    assert_refused(r"data_256_standard/m/market/indoor/00000002.jpg \(0 bytes\) is no JPEG file")
    image.unlink()
    assert_refused(r"data_256_standard: lacks 1 of the 9 images of places365_train_standard.txt, such as m/market/")
    image.write_bytes(content)
    (source / "places365_val.txt").write_text("Places365_val_00000001.jpg\n")
    assert_refused(r"places365_val.txt line 1: 'Places365_val_00000001.jpg'; expected NAME NUMBER")
    (source / "places365_val.txt").write_text("Places365_val_00000001.jpg 3\n")
    assert_refused(r"places365_val.txt: Places365_val_00000001.jpg has the label 3; expected 0 to 2")
    (source / "places365_val.txt").unlink()
    assert_refused(r"has no places365_val.txt; expected categories_places365.txt, ")
    (source / "val_256.tar").write_bytes(FILES["val_256.tar"][:-1024])
    assert_refused(r"val_256.tar has \d+ bytes; expected \d+; remove it, and get it again from http://127.0.0.1:9/val")
    (source / "val_256.tar").unlink()
    shutil.rmtree(source / "val_256")
    assert_refused(r"--from = .*source: expected .*source/val_256.tar or .*source/val_256; give the folder")


@pytest.mark.parametrize("name", ["../x.jpg", "/x.jpg", "data_256/../../x.jpg", "data_256/a/airfield/9.jpg", "x"])
def test_member_that_is_in_no_list_writes_nothing(tmp_path, name):
    train = {f"data_256{key}": places.image(key) for key in places.TRAIN} | {name: places.image("x")}
    files = FILES | {"train_256_places365standard.tar": places.tar(train, links={"data_256/link": "/"})}
    source = write(tmp_path / "source", files)
    with pytest.raises(UserError, match=rf"standard.tar: holds '{name}', which places365_train_standard.txt does not"):
        get_places365(tmp_path / "made" / "in", source, archives=places.archives(files))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "source"]
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["in"]
    assert not [path for path in (tmp_path / "made").rglob("*") if path.suffix == ".jpg" or path.is_symlink()]
    assert not Path("/x.jpg").exists()


@pytest.mark.parametrize("kept", [0.5, 0.0])
def test_archive_that_is_cut_short_is_named(tmp_path, kept):
    content = FILES["val_256.tar"]
    files = FILES | {"val_256.tar": content[: int(len(content) * kept)]}
    with pytest.raises(UserError, match=r"val_256.tar: damaged or cut short \("):
        get_places365(tmp_path, write(tmp_path / "source", files), archives=places.archives(files))


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
import places365_archives as places
from interpjax.data.get import places365_builder
from interpjax.data.get.places365 import get_places365
read = places365_builder.read_images
def slowly(path, labels, listing):
    import time
    for number, example in enumerate(read(path, labels, listing)):
        yield example
        if number == 5:
            print("building", file=sys.__stdout__, flush=True)
            time.sleep(60)
places365_builder.read_images = slowly
get_places365(Path(sys.argv[1]), archives=places.archives(places.archive_files(), sys.argv[2]))
"""


def test_killed_while_it_builds_goes_on_from_the_archives(tmp_path):
    with loopback_server.serving(FILES) as server:
        command = [sys.executable, "-c", KILLED, str(tmp_path), server.url, str(Path(places.__file__).parent)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            while "building" not in process.stdout.readline():
                assert process.poll() is None
            os.kill(process.pid, signal.SIGKILL)
        assert any(path.name.startswith("incomplete") for path in (tmp_path / "places365_small").iterdir())
        asked = len(server.asked)
        get_places365(tmp_path, archives=places.archives(FILES, server.url))
        assert len(server.asked) == asked == 3
    assert_is_places365(tmp_path)
    assert [path.name for path in (tmp_path / "places365_small").iterdir()] == ["2.1.0"]


def test_killed_while_it_downloads_goes_on_from_there(tmp_path, monkeypatch):
    with loopback_server.serving(FILES) as server, monkeypatch.context() as patched:
        server.cuts = [10**9, 10**9, 100_000]
        patched.setattr(time, "sleep", lambda seconds: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            get_places365(tmp_path, archives=places.archives(FILES, server.url))
        get_places365(tmp_path, archives=places.archives(FILES, server.url))
        assert server.asked[2:] == [(places.NAMES[2], None), (places.NAMES[2], "bytes=100000-")]
    assert_is_places365(tmp_path)


def test_the_archives_are_those_of_tfds():
    table = Path(tfds.__file__).parent / "datasets" / "places365_small" / "checksums.tsv"
    rows = {tuple(line.split("\t")[:3]) for line in table.read_text().splitlines()}
    assert {(archive.url, str(archive.size), archive.sha256) for archive in PLACES365.all()} <= rows
    assert [archive.name for archive in PLACES365.all()] == list(places.NAMES)


def test_command(tmp_path):
    source = places.unpack(tmp_path / "source")
    (source / "val_256" / "Places365_val_00000003.jpg").unlink()
    command = [
        sys.executable,
        "-m",
        "interpjax",
        "get",
        "places365",
        "--from",
        str(source),
        "--to",
        str(tmp_path / "made"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert re.search(
        r"^UserError: .*val_256: lacks 1 of the 4 images of places365_val.txt, such as Pl", result.stderr, re.M
    )
    (source / "val_256" / "Places365_val_00000003.jpg").write_bytes(places.image("Places365_val_00000003.jpg"))
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout.splitlines()[-1] == f"done; train on it with --config.data.directory={tmp_path / 'made'}"
    assert "image/s" in result.stderr
    assert_is_places365(tmp_path / "made")
