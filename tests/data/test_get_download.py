"""Downloads go on where they were cut, are tried again a bounded number of times, and are right when they are there."""

import errno
import hashlib

import loopback_server
import numpy as np
import pytest

from interpjax.data.get import download
from interpjax.data.get.archive import Archive
from interpjax.data.get.download import fetch, size_on_server
from interpjax.data.get.folder import require_space, working_in
from interpjax.errors import UserError

CONTENT = np.random.default_rng(0).bytes(300_000)
NAME = "set.tar"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(download, "CHUNK", 1 << 12)
    monkeypatch.setattr("interpjax.data.get.archive.CHUNK", 1 << 12)
    with loopback_server.serving({NAME: CONTENT}) as found:
        yield found


def archive_of(server, content=CONTENT):
    return Archive(f"{server.url}/{NAME}", len(content), hashlib.sha256(content).hexdigest())


def assert_fetched(server, folder, archive=None):
    path = fetch(archive or archive_of(server), folder)
    assert path == folder / NAME
    assert path.read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_whole_file_is_fetched_once(server, tmp_path):
    assert_fetched(server, tmp_path / "new")
    assert_fetched(server, tmp_path / "new")
    assert server.asked == [(NAME, None)]


@pytest.mark.parametrize("lengths", [True, False])
def test_goes_on_after_cuts_more_often_than_it_tries_in_vain(server, tmp_path, lengths):
    server.lengths, server.cuts = lengths, [30_000] * 8
    assert_fetched(server, tmp_path)
    assert server.asked == [(NAME, f"bytes={30_000 * n}-" if n else None) for n in range(9)]


def test_goes_on_from_what_a_killed_process_left(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:123_456])
    assert download.left_to_fetch(archive_of(server), tmp_path) == len(CONTENT) - 123_456
    assert_fetched(server, tmp_path)
    assert server.asked == [(NAME, "bytes=123456-")]
    assert download.left_to_fetch(archive_of(server), tmp_path) == 0


def test_starts_anew_where_the_server_knows_no_ranges(server, tmp_path):
    server.ranges, server.cuts = False, [200_000]
    assert_fetched(server, tmp_path)
    assert server.asked == [(NAME, None), (NAME, "bytes=200000-")]


def test_server_that_always_cuts_is_given_up(server, tmp_path):
    server.ranges, server.cuts = False, [1000] * 100
    with pytest.raises(UserError, match=r"set.tar cannot be fetched, 5 times in a row: .*1000 of 300000 bytes.*--from"):
        fetch(archive_of(server), tmp_path)
    assert len(server.asked) == 6  # the first brought something


def test_wrong_file_is_named_removed_and_fetched_again(server, tmp_path, capsys):
    server.wrong = [b"x" * len(CONTENT)]
    assert_fetched(server, tmp_path)
    assert f"{server.url}/{NAME} has the sha256 " in capsys.readouterr().err
    assert server.asked == [(NAME, None)] * 2


def test_file_that_stays_wrong_is_given_up_and_not_left(server, tmp_path):
    server.files[NAME] = CONTENT[1:] + CONTENT[:1]
    with pytest.raises(UserError, match=r"set.tar has the sha256 \w+; expected \w+, 3 times; get the right file"):
        fetch(archive_of(server), tmp_path)
    assert not list(tmp_path.iterdir())
    assert len(server.asked) == 3


def test_damaged_part_is_found_and_fetched_anew(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(b"?" * 1000)
    assert_fetched(server, tmp_path)
    (tmp_path / NAME).unlink()
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT + b"more")
    assert_fetched(server, tmp_path)


@pytest.mark.parametrize("longer", [10, -10])
def test_length_that_is_a_lie_is_told(server, tmp_path, longer):
    server.longer = longer
    with pytest.raises(UserError, match=rf"the server offers {len(CONTENT) + longer} bytes; expected {len(CONTENT)}"):
        fetch(archive_of(server), tmp_path)
    assert not (tmp_path / NAME).exists()


def test_page_in_place_of_the_file_is_not_put_before_it(server, tmp_path):
    server.wrong = [b"<html>please log in</html>"]
    assert_fetched(server, tmp_path)


@pytest.mark.parametrize("size", [None, "told"])
def test_file_of_unknown_size_and_content(server, tmp_path, size):
    archive = Archive(f"{server.url}/{NAME}", size_on_server(f"{server.url}/{NAME}") if size else None)
    server.cuts = [100_000]
    assert_fetched(server, tmp_path, archive)
    (tmp_path / NAME).rename(tmp_path / f"{NAME}.part")  # killed before it got its name
    assert_fetched(server, tmp_path, archive)
    (tmp_path / NAME).unlink()
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT + b"more")
    assert_fetched(server, tmp_path, archive)


def test_missing_file_is_told_at_once_and_busy_server_asked_again(server, tmp_path):
    with pytest.raises(UserError, match=r"/other.tar: the server answers 404 Not Found; get the file elsewhere"):
        fetch(Archive(f"{server.url}/other.tar", 1, ""), tmp_path)
    assert len(server.asked) == 1
    server.codes = [503, 429, 500]
    assert_fetched(server, tmp_path)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/set.tar", "http://no-such-host.invalid/set.tar"])
def test_server_that_is_not_there(url, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "FIRST_WAIT", 0.001)
    for ask in (lambda: fetch(Archive(url, 1, ""), tmp_path), lambda: size_on_server(url)):
        with pytest.raises(UserError, match=rf"{url} cannot be fetched, 5 times in a row: .*The same command goes on"):
            ask()


NO_ADDRESSES = ["file:///etc/hostname", "set.tar", "ftp://127.0.0.1/set.tar", "http://127.0.0.1", "http://[::1/x"]
ODD_ADDRESSES = [
    "http://a..b/x",
    f"http://{'a' * 64}.org/x",
    "http://a/\u00fc",
    "http://a/b c",
    "http://a:port/x",
    "http://a\n/x",
]


@pytest.mark.parametrize("url", NO_ADDRESSES + ODD_ADDRESSES)
def test_address_that_is_none_is_refused(url, tmp_path):
    with pytest.raises(UserError, match=r"expected an address as http://SERVER/NAME"):
        fetch(Archive(url), tmp_path)


def test_body_without_a_stated_length_has_an_end(server, tmp_path, monkeypatch):
    server.lengths = False
    monkeypatch.setattr(download, "UNSTATED", 100)
    monkeypatch.setattr(download, "CHUNK", 64)
    with pytest.raises(UserError, match=r"set.tar: sends more than 0.0 MB without having told how much it is; get the"):
        fetch(Archive(f"{server.url}/set.tar"), tmp_path)


FULL = [
    OSError(errno.ENOSPC, "No space left on device", "set.tar.part"),
    OSError(errno.EDQUOT, "Disk quota exceeded", "set.tar.part"),
    RuntimeError("write() failed: No space left on device; writing set.array_record"),  # as array_record tells it
]


@pytest.mark.parametrize("error", FULL, ids=str)
def test_full_disk_is_told_with_the_file(server, tmp_path, monkeypatch, error):
    def full(*arguments):
        raise error

    monkeypatch.setattr(download, "_copy", full)
    message = r"--to = .*/a: the disk is full \(.*set\..*\); make room"
    with pytest.raises(UserError, match=message), working_in(tmp_path / "a"):
        fetch(archive_of(server), tmp_path / "a")


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "No such file", "x"), RuntimeError("a bug")])
def test_other_errors_stay_what_they_are(tmp_path, error):
    with pytest.raises(type(error)), working_in(tmp_path):
        raise error


def test_folder_has_one_user_and_enough_space(tmp_path, capsys):
    message = "another process is getting data into it"
    with working_in(tmp_path / "a"), pytest.raises(UserError, match=message), working_in(tmp_path / "a"):
        raise AssertionError
    require_space(tmp_path, "set", 1000, 2_000_000)
    assert "set: 0.0 MB to download and 2.0 MB to write beside; " in capsys.readouterr().out
    with pytest.raises(UserError, match=r"set needs 1000000.0 GB there \(.*\), but [\d.]+ [GM]B are free; make room"):
        require_space(tmp_path, "set", 10**15, 0)
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="is a file or below one; expected a folder"), working_in(path):
            raise AssertionError
