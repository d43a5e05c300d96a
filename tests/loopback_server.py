"""An HTTP server on loopback whose answers are as bad as a test asks for."""

import contextlib
import dataclasses
import http.server
import threading
from collections.abc import Iterator


@dataclasses.dataclass
class Server:
    """What it serves, how it misbehaves, and what it was asked for.

    Attributes:
      files: content by name.
      url: its address, which ends without a slash.
      cuts: the first answers end after so many bytes of the body, an entry each.
      wrong: the first bodies are of these bytes, an entry each.
      longer: so many bytes more are announced than are sent.
      ranges: whether it knows of ranges.
      lengths: whether it tells lengths.
      codes: the first answers have these codes, an entry each.
      asked: name and header ``Range`` of each request.
    """

    files: dict[str, bytes]
    url: str = ""
    cuts: list[int] = dataclasses.field(default_factory=list)
    wrong: list[bytes] = dataclasses.field(default_factory=list)
    longer: int = 0
    ranges: bool = True
    lengths: bool = True
    codes: list[int] = dataclasses.field(default_factory=list)
    asked: list[tuple[str, str | None]] = dataclasses.field(default_factory=list)


@contextlib.contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    """The server, as long as the block lasts."""
    server = Server(files)
    handler = type("Handler", (_Handler,), {"served": server})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.url = f"http://127.0.0.1:{listening.server_port}"
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    served: Server

    def do_GET(self) -> None:
        server, name, wanted = self.served, self.path.rpartition("/")[2], self.headers["Range"]
        server.asked.append((name, wanted))
        if server.codes or name not in server.files:
            self.send_error(server.codes.pop(0) if server.codes else 404)
            return
        content = server.wrong.pop(0) if server.wrong else server.files[name]
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.ranges else 0
        if start and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if server.lengths:
            self.send_header("Content-Length", str(len(content) - start + server.longer))
        self.end_headers()
        body = content[start:]
        if server.cuts:
            body = body[: server.cuts.pop(0)]
        with contextlib.suppress(ConnectionError):  # a client that only wants to know the size hangs up
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Keeps the output of the tests short."""
