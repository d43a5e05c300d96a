"""Downloads over HTTP that go on where they stopped, are tried again where the line is cut, and are checked."""

import http.client
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from tqdm import tqdm

from interpjax.data.get.archive import CHUNK, Archive
from interpjax.data.get.folder import PART, gigabytes
from interpjax.errors import UserError, naming
from interpjax.progress import progress_bar

TRIES = 5  # in a row, none of which brought a byte that no earlier one had
WHOLE_TRIES = 3  # of a file that came in full and was wrong
FIRST_WAIT, TIMEOUT = 1.0, 60.0  # seconds; the wait doubles from one try to the next
RANGE_NOT_SATISFIABLE = 416
UNSTATED = 50 * 10**9  # bytes of a file whose size no one tells, after which it is given up
PASSING = (408, 425, 429)  # codes from 400 to 499 after which it is worth while to try again


class _CutError(Exception):
    """A try ended early; another one may not."""


def fetch(archive: Archive, folder: Path, wrong: Callable[[Path], str] | None = None) -> Path:
    """Downloads a file, unless it is there. What an earlier call has left of it in ``NAME.part`` is not fetched again.

    Args:
      archive: what to download.
      folder: where to put it, under its own name, once it is whole and right.
      wrong: says what is wrong with the file, or nothing; by default its size and sha256 are checked.

    Returns:
      The path of the file.

    Raises:
      UserError: naming the address and what to do, if the server cannot be reached, has no such file, or goes on
        sending another one than was expected.
    """
    whole = folder / archive.name
    if whole.is_file():  # was checked before it got this name
        return whole
    part = whole.with_name(whole.name + PART)
    for _ in range(WHOLE_TRIES):
        _complete(archive, part)
        fault = archive.wrong(part) if wrong is None else wrong(part)
        if not fault:
            return part.replace(whole)
        part.unlink()
        print(f"{archive.url} {fault}; what was fetched is removed", file=sys.stderr)
    raise UserError(f"{archive.url} {fault}, {WHOLE_TRIES} times; get the right file elsewhere and give it as --from")


def size_on_server(url: str) -> int | None:
    """How many bytes a file has; None if the server does not tell.

    Raises:
      UserError: as :func:`fetch`.
    """
    fault: Exception | None = None
    for number in range(TRIES):
        _wait(url, number, fault)
        try:
            with _open(url, 0) as response:
                return _total(response, 0)
        except _CutError as error:
            fault = error
    raise _unreachable(url, fault)


def left_to_fetch(archive: Archive, folder: Path) -> int:
    """How many bytes of a file of known size are not yet in a folder."""
    whole = folder / archive.name
    if whole.is_file():
        return 0
    part = whole.with_name(whole.name + PART)
    return max(0, (archive.size or 0) - _size(part))


def _complete(archive: Archive, part: Path) -> None:
    """Fetches what the part lacks, in as many tries as bring it further, and ``TRIES`` that do not."""
    part.parent.mkdir(parents=True, exist_ok=True)
    furthest, number, fault = _size(part), 0, None
    while number < TRIES:
        _wait(archive.url, number, fault)
        try:
            _append(archive, part)
        except _CutError as error:
            fault, size = error, _size(part)
            number = 0 if size > furthest else number + 1
            furthest = max(size, furthest)
        else:
            return
    raise _unreachable(archive.url, fault)


def _append(archive: Archive, part: Path) -> None:
    """One try; raises _CutError if the part is not whole after it."""
    start = _size(part)
    if archive.size is not None and start >= archive.size:
        return
    with _open(archive.url, start) as response:
        if response.status == RANGE_NOT_SATISFIABLE:  # no byte is left, or the file there is a shorter one
            if _total(response, start) not in (start, None):
                os.truncate(part, 0)
                raise _CutError("the file there is shorter than what is here")
            return
        if response.status != http.client.PARTIAL_CONTENT:  # the server knows no ranges
            start = 0
        total = _total(response, start)
        if None not in (total, archive.size) and total != archive.size:
            raise _CutError(f"the server offers {total} bytes; expected {archive.size}")
        total = total or archive.size
        with naming(part), part.open("ab") as file, progress_bar(archive.name, total, start, unit="B") as bar:
            file.truncate(start)
            file.seek(start)
            _copy(response, file, total, bar)
    got = _size(part)
    if total is not None and got < total:
        raise _CutError(f"the connection ended after {got} of {total} bytes")


def _copy(response, file: IO[bytes], total: int | None, bar: tqdm) -> None:
    """Copies the body of a response; raises _CutError if the connection breaks, UserError if it has no end."""
    while total is None or file.tell() <= total:  # one longer than was told is cut off
        if total is None and file.tell() > UNSTATED:
            raise UserError(
                f"{response.url}: sends more than {gigabytes(UNSTATED)} without having told how much it is; get the "
                "file elsewhere and give it as --from"
            )
        try:
            chunk = response.read(CHUNK)
        except (OSError, http.client.HTTPException) as error:  # writing is outside of it: a full disk is no cut
            raise _CutError(f"{type(error).__name__}: {error}") from error
        if not chunk:
            return
        file.write(chunk)
        bar.update(len(chunk))


def _open(url: str, start: int):
    """The response to a request for a file from a byte on, whose status may be 200, 206 or 416.

    Raises:
      _CutError: if it may work another time.
      UserError: if it will not.
    """
    headers = {"User-Agent": "interpjax"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == RANGE_NOT_SATISFIABLE and start:
            return error  # it is a response, too
        error.close()
        if error.code < 500 and error.code not in PASSING:
            raise UserError(
                f"{url}: the server answers {error.code} {error.reason}; get the file elsewhere and give it as --from"
            ) from error
        raise _CutError(f"the server answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as error:
        raise _CutError(str(getattr(error, "reason", error)) or type(error).__name__) from error
    except ValueError as error:  # of an address to which the server sends on; UnicodeError is one
        raise UserError(f"{url}: leads to an address that is none ({error}); get the file elsewhere") from error


def _total(response, start: int) -> int | None:
    """The size of the whole file, as the head of a response tells; None if it does not."""
    stated = response.headers.get("Content-Range", "").rpartition("/")[2]
    if stated.isdecimal():
        return int(stated)
    length = response.headers.get("Content-Length", "")
    partial = response.status in (http.client.PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE)
    if not length.isdecimal() or response.status == RANGE_NOT_SATISFIABLE:
        return None
    return int(length) + (start if partial else 0)


def _wait(url: str, number: int, fault: Exception | None) -> None:
    """Before a try that follows others in vain, says what went wrong and waits."""
    if fault is None:
        return
    seconds = FIRST_WAIT * 2**number
    print(f"{url}: {fault}; trying again in {seconds:g} s", file=sys.stderr)
    time.sleep(seconds)


def _unreachable(url: str, fault: Exception | None) -> UserError:
    return UserError(
        f"{url} cannot be fetched, {TRIES} times in a row: {fault}. The same command goes on where this one stopped; "
        "or get the file elsewhere and give it as --from"
    )


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
