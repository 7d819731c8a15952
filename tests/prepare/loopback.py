"""A publisher on 127.0.0.1, with the faults that servers have."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Loopback:
    """Files, faults and requests of the server."""

    files: dict[str, bytes] = field(default_factory=dict)
    """By path, from `/` on."""
    ranges: bool = True
    """Support Range."""
    tags: bool = True
    """Send ETags."""
    lengths: bool = True
    """Send a size for HEAD."""
    drops: list[int] = field(default_factory=list)
    """Bytes after which the coming answers end, one each."""
    statuses: dict[str, list[int]] = field(default_factory=dict)
    """Statuses that the coming answers for a path have; the last one stays."""
    type: str = "application/octet-stream"
    shift: int = 0
    """Answers to Range start so many bytes later than asked."""
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and Range of every request."""
    sent: int = 0
    """Bytes of bodies."""
    base: str = ""

    def gets(self) -> list[tuple[str, str | None]]:
        """Path and Range of every GET."""
        return [(path, span) for method, path, span in self.asked if method == "GET"]


@contextmanager
def serve(loopback: Loopback) -> Iterator[Loopback]:
    """Serve in a thread until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            span = self.headers["Range"]
            loopback.asked.append((self.command, self.path, span))
            if planned := loopback.statuses.get(self.path):
                status = planned.pop(0) if len(planned) > 1 else planned[0]
                if status != 200:
                    return self.send_error(status)
            if self.path not in loopback.files:
                return self.send_error(404)
            content = loopback.files[self.path]
            tag = '"' + sha256(content).hexdigest()[:8] + '"'
            same = self.headers["If-Range"] in (None, tag)
            first = 0
            if span and loopback.ranges and same:
                first = int(span.removeprefix("bytes=").removesuffix("-"))
                if first >= len(content):
                    return self.send_error(416)
                first += loopback.shift
                self.send_response(206)
                last = len(content) - 1
                self.send_header("Content-Range", f"bytes {first}-{last}/{last + 1}")
            else:
                self.send_response(200)
            self.send_header("Content-Type", loopback.type)
            if loopback.tags:
                self.send_header("ETag", tag)
            if body or loopback.lengths:
                self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            if body:
                part = content[first:]
                if loopback.drops:
                    part = part[: loopback.drops.pop(0)]
                # Counted first: who has read it all does not wait for this thread.
                loopback.sent += len(part)
                self.wfile.write(part)
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        loopback.base = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield loopback
        finally:
            server.shutdown()
            thread.join()
