"""A file on a server: its address, and the size and the sha256 that a copy of it must have."""

import dataclasses
import hashlib
import re
import urllib.parse
from pathlib import Path

from interpjax.errors import UserError
from interpjax.progress import progress_bar

CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Archive:
    """A file on a server.

    Attributes:
      url: its address, http or https.
      size: in bytes; None if it is not known.
      sha256: as hexadecimal digits; None if it is not known.

    Raises:
      UserError: if the address has another form.
    """

    url: str
    size: int | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        wrong = UserError(f"{self.url!r}: expected an address as http://SERVER/NAME, in ASCII and without blanks")
        try:
            parts = urllib.parse.urlsplit(self.url)
            (parts.hostname or "").encode("idna")  # as the system is asked for it
            _ = parts.port  # raises where it is no number
        except ValueError as error:  # UnicodeError is one
            raise wrong from error
        if not re.fullmatch(r"[!-~]+", self.url):
            raise wrong
        # The name is that of a file here, beside which a folder for what it holds is made and removed.
        if parts.scheme not in ("http", "https") or not parts.netloc or self.name in ("", ".", ".."):
            raise wrong

    @property
    def name(self) -> str:
        """The last part of the address."""
        return Path(urllib.parse.urlsplit(self.url).path).name

    def wrong(self, path: Path) -> str:
        """What is wrong with a copy of it, as part of a sentence; empty if nothing is.

        Args:
          path: the copy.
        """
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"has {size} bytes; expected {self.size}"
        if self.sha256 is not None and (found := _sha256(path)) != self.sha256:
            return f"has the sha256 {found}; expected {self.sha256}"
        return ""


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file, progress_bar(f"checking {path.name}", path.stat().st_size, unit="B") as bar:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()
