"""Broden from a server, an archive or a folder becomes the data set that a run opens; no archive writes elsewhere."""

import errno
import io
import os
import shutil
import stat
import subprocess
import sys
import zipfile

import broden_layout
import loopback_server
import pytest

from interpjax.data import load_broden
from interpjax.data.broden import builder
from interpjax.data.get import broden as getting
from interpjax.data.get import download
from interpjax.data.get.broden import broden_urls, get_broden
from interpjax.errors import UserError

NAME = "broden1_224.zip"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(download, "FIRST_WAIT", 0.001)


@pytest.fixture
def folder(tmp_path):
    return broden_layout.make_broden(tmp_path / "source" / "broden1_224")


def zipped(folder, extra=(), top="broden1_224/"):
    """The archive of a folder, and other members, each as name or ZipInfo and content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, top + str(path.relative_to(folder)))
        for name, content in extra:
            archive.writestr(name, content)
    return buffer.getvalue()


def assert_is_broden(made, folder):
    assert load_broden(made).fingerprint() == load_broden(folder).fingerprint()
    assert sorted(path.name for path in made.iterdir()) == [".lock", "broden", "downloads"]  # an empty one, of TFDS
    assert [path.name for path in (made / "broden").iterdir()] == ["1.0.0"]


def test_download_becomes_the_data_set(folder, tmp_path, capsys):
    with loopback_server.serving({NAME: zipped(folder)}) as server:
        server.cuts = [10**9, 1000]
        urls = (f"{server.url}/data/{NAME}",)
        assert get_broden(tmp_path / "made", urls=urls) == tmp_path / "made" / "broden" / "1.0.0"
        assert [wanted for _, wanted in server.asked] == [None, None, "bytes=1000-"]  # the first asks for the size
        get_broden(tmp_path / "made", urls=urls)
        assert len(server.asked) == 3
    assert_is_broden(tmp_path / "made", folder)
    assert "1.0.0 is there already" in capsys.readouterr().out


def test_server_that_tells_no_size_will_do(folder, tmp_path):
    with loopback_server.serving({NAME: zipped(folder, top="")}) as server:
        server.lengths = False
        get_broden(tmp_path / "made", urls=(f"{server.url}/{NAME}",))
    assert_is_broden(tmp_path / "made", folder)


def test_archive_and_its_folder_are_kept_if_asked_for(folder, tmp_path):
    content = zipped(folder)
    with loopback_server.serving({NAME: content}) as server:
        get_broden(tmp_path / "made", urls=(f"{server.url}/{NAME}",), keep=True)
    archives = tmp_path / "made" / "archives"
    assert sorted(path.name for path in archives.iterdir()) == [NAME, "broden_unpacked"]
    assert (archives / NAME).read_bytes() == content
    for kept in (NAME, "broden_unpacked"):  # what the user gives is not removed, wherever it is
        shutil.rmtree(tmp_path / "made" / "broden")
        get_broden(tmp_path / "made", archives / kept)
        assert sorted(path.name for path in archives.iterdir()) == [NAME, "broden_unpacked"]
    get_broden(tmp_path / "made", urls=(f"{server.url}/{NAME}",))
    assert not archives.exists()


@pytest.mark.parametrize("kind", ["archive", "folder", "folder above"])
def test_what_is_on_disk_already_is_taken_and_left(folder, tmp_path, kind):
    archive = tmp_path / "mine.zip"
    archive.write_bytes(zipped(folder))
    get_broden(tmp_path / "made", {"archive": archive, "folder": folder, "folder above": folder.parent}[kind])
    assert_is_broden(tmp_path / "made", folder)
    assert archive.is_file()


def test_the_copy_is_taken_where_the_server_does_not_answer(folder, tmp_path, capsys):
    with loopback_server.serving({NAME: zipped(folder)}) as server:
        get_broden(tmp_path / "made", urls=("http://127.0.0.1:9/broden1_224.zip", f"{server.url}/{NAME}"))
        told = capsys.readouterr().err
        assert "http://127.0.0.1:9/broden1_224.zip cannot be fetched, 5 times" in told
        assert f"The copy at {server.url}/{NAME} is taken instead." in told
        gone = (f"{server.url}/a.zip", f"{server.url}/b.zip")
        with pytest.raises(UserError, match=r"/b.zip: the server answers 404 Not Found; get the file elsewhere"):
            get_broden(tmp_path / "other", urls=gone)
    assert_is_broden(tmp_path / "made", folder)
    assert [len(broden_urls(size)) for size in (224, 227, 384)] == [1, 2, 1]
    assert broden_urls(227)[1].endswith("id_/http://netdissect.csail.mit.edu/data/broden1_227.zip")


def link(name):
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("../outside.txt", "would be outside of its folder"),
        ("broden1_224/../../outside.txt", "would be outside of its folder"),
        ("/outside.txt", "would be outside of its folder"),
        ("C:/outside.txt", "would be outside of its folder"),
        ("..\\outside.txt", "would be outside of its folder"),
        (link("broden1_224/outside.txt"), "is a link or no file"),
    ],
)
def test_archive_that_would_write_elsewhere_is_refused(folder, tmp_path, member, message):
    archive = tmp_path / "mine.zip"
    archive.write_bytes(zipped(folder, [(member, "/etc")]))
    with pytest.raises(UserError, match=rf"mine.zip: the member '.*outside.txt' {message}.*; nothing is unpacked"):
        get_broden(tmp_path / "made", archive)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "mine.zip", "source"]
    assert [path.name for path in (tmp_path / "made").iterdir()] == [".lock"]


def damaged(content):
    """With other bytes in the middle of a member, as its checksum tells."""
    half = len(content) // 2
    return content[:half] + bytes(255 - byte for byte in content[half : half + 50]) + content[half + 50 :]


def test_damaged_archive_is_fetched_again_and_given_up_at_last(folder, tmp_path, capsys):
    content = zipped(folder)
    with loopback_server.serving({NAME: content}) as server:
        server.wrong = [content, damaged(content)]
        get_broden(tmp_path / "made", urls=(f"{server.url}/{NAME}",))
        assert f"{server.url}/{NAME} is damaged, or no zip archive (" in capsys.readouterr().err
        server.files[NAME] = b"<html>no such page</html>"
        with pytest.raises(UserError, match=r"224.zip is damaged, or no zip archive \(.*\), 3 times; get the right"):
            get_broden(tmp_path / "other", urls=(f"{server.url}/{NAME}",))
    assert_is_broden(tmp_path / "made", folder)
    assert not list((tmp_path / "other").rglob("*.zip*"))


@pytest.mark.parametrize("damage", [damaged, lambda content: content[:-1000], lambda content: b""])
def test_damaged_archive_on_disk_is_named(folder, tmp_path, damage):
    archive = tmp_path / "mine.zip"
    archive.write_bytes(damage(zipped(folder)))
    with pytest.raises(UserError, match=r"mine.zip: damaged, or no zip archive \(.*\); remove it, and get it again"):
        get_broden(tmp_path / "made", archive)
    archive.write_bytes(zipped(folder))
    get_broden(tmp_path / "made", archive)
    assert_is_broden(tmp_path / "made", folder)


def test_content_that_is_not_broden_is_named(folder, tmp_path):
    with pytest.raises(UserError, match=r"--from = .*nowhere: no such file; expected Broden's zip archive, or the"):
        get_broden(tmp_path / "made", tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"/images: has no index.csv, nor has a folder in it"):
        get_broden(tmp_path / "made", folder / "images")
    (folder / "images" / "a_color.png").write_bytes(b"no image")
    message = r"row 2 \(a.jpg\): label map images/a_color.png cannot be decoded"
    with pytest.raises(UserError, match=rf"source/broden1_224: .*index.csv {message}"):
        get_broden(tmp_path / "made", folder)
    with (
        loopback_server.serving({NAME: zipped(folder)}) as server,
        pytest.raises(UserError, match=rf"made/archives/{NAME}: .*{message}.*; it is removed, so that another --url"),
    ):
        get_broden(tmp_path / "made", urls=(f"{server.url}/{NAME}",))
    assert not (tmp_path / "made" / "broden" / "1.0.0").exists()
    assert not (tmp_path / "made" / "archives" / NAME).exists()


def test_a_full_disk_does_not_cost_the_download(folder, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with loopback_server.serving({NAME: zipped(folder)}) as server:
        urls = (f"{server.url}/{NAME}",)
        with monkeypatch.context() as patched:
            patched.setattr(builder.Broden, "_example", full)
            with pytest.raises(UserError, match="the disk is full") as told:
                get_broden(tmp_path / "made", urls=urls)
        assert "removed" not in str(told.value)
        get_broden(tmp_path / "made", urls=urls)
        assert_is_broden(tmp_path / "made", folder)
        assert len(server.asked) == 2  # its size and its bytes, once


@pytest.mark.parametrize("where", ["unpacking", "building"])
def test_interrupted_command_goes_on(folder, tmp_path, monkeypatch, where):
    made = tmp_path / "made"

    def interrupt(*arguments):
        shutil.copytree(made, tmp_path / "killed")  # as it would lie there after a kill
        raise KeyboardInterrupt

    with loopback_server.serving({NAME: zipped(folder)}) as server:
        urls = (f"{server.url}/{NAME}",)
        with monkeypatch.context() as patched:
            owner, name = {"unpacking": (zipfile.ZipFile, "extract"), "building": (builder.Broden, "_example")}[where]
            patched.setattr(owner, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                get_broden(made, urls=urls)
        assert (tmp_path / "killed" / "archives" / "broden_unpacked").is_dir()
        for each in (made, tmp_path / "killed"):
            get_broden(each, urls=urls)
            assert_is_broden(each, folder)
        assert len(server.asked) == 2


def test_too_small_a_disk_is_told_before_anything_is_fetched(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, 5))
    with loopback_server.serving({NAME: zipped(folder)}) as server:
        with pytest.raises(UserError, match=r"--to = .*made: broden needs 0.0 MB there \(.*\), but 0.0 MB are free"):
            get_broden(tmp_path / "made", urls=(f"{server.url}/{NAME}",))
        assert len(server.asked) == 1
    assert not (tmp_path / "made" / getting.ARCHIVES).exists()


def test_command(folder, tmp_path):
    with loopback_server.serving({NAME: zipped(folder)}) as server:
        command = [sys.executable, "-m", "interpjax", "get", "broden", "--to", "made", "--url", f"{server.url}/{NAME}"]
        settings = {"capture_output": True, "text": True, "cwd": tmp_path, "env": os.environ, "check": False}
        result = subprocess.run(command, **settings)
        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines()[-1] == "done; dissect with it by --config.dissection.broden=made"
        result = subprocess.run([*command[:-1], f"{server.url}/other.zip", "--to=other"], **settings)
    assert_is_broden(tmp_path / "made", folder)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(f"UserError: {server.url}/other.zip: the server answers 404")
    assert "Traceback" not in result.stderr
