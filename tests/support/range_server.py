"""A server of files on this machine that knows ranges, and can end connections in the middle."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Served:
    """What the server gives, and what it was asked.

    files: content by path; breaks: bytes after which the next connections end, one each; ranges: does it know them;
    asked: the first byte of each request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks: list[int] = field(default_factory=list)
    ranges: bool = True
    tag: str = '"1"'
    asked: list[int] = field(default_factory=list)


@contextmanager
def range_server() -> Iterator[Served]:
    """A running server on a free port."""
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = served.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            fits = self.headers.get("If-Range") in (None, served.tag)
            first = int(match[1]) if match and served.ranges and fits else 0
            served.asked.append(first)
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            self.send_header("ETag", served.tag)
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            end = served.breaks.pop(0) if served.breaks else len(content)
            self.wfile.write(content[first : first + end])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("no_proxy", "127.0.0.1")  # a proxy of the site does not reach this machine's own servers
            yield served
    finally:
        server.shutdown()
        server.server_close()
