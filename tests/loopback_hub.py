"""A Hugging Face hub of one machine: as much of its protocol as the client needs for one file."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


@dataclass
class Served:
    """One file. `cuts`: after how many bytes each answer in turn breaks off; `sha256` is what the
    hub says about it; `pace`: bytes per piece and seconds between the pieces. A hostile hub:
    `says` and `sends` are headers of its two answers in place of the right ones, `always_cuts` is
    after how many bytes every answer breaks off, `endless` sends the content again and again."""

    content: bytes
    sha256: str = ""
    cuts: list[int] = field(default_factory=list)
    pace: tuple[int, float] | None = None
    gate: threading.Event | None = None  # held after the first piece until it is set
    ranges: bool = True
    says: dict[str, str] = field(default_factory=dict)
    sends: dict[str, str | None] = field(default_factory=dict)
    always_cuts: int | None = None
    endless: bool = False
    sent: int = 0


class LoopbackHub:
    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, str, str]] = []  # method, path, range
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def serve(self, repo: str, file: str, content: bytes, **how) -> Served:
        served = Served(content, **how)
        served.sha256 = served.sha256 or hashlib.sha256(content).hexdigest()
        self.files[f"{repo}/{file}"] = served
        return served

    def gets(self, repo: str) -> list[str]:
        """Ranges of all requests for content of `repo`; "" for a whole file."""
        return [r for method, path, r in self.requests if method == "GET" and repo in path]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LoopbackHub

    def log_message(self, *_) -> None:
        pass

    def do_HEAD(self) -> None:
        self.hub.requests.append(("HEAD", self.path, ""))
        if self.path.startswith("/cdn/"):
            return self._answer(405)
        if "hangs-up" in self.path:
            self.close_connection = True
            return None
        served = self._served()
        if served is None:
            return self._missing()
        return self._answer(302, self._linked(served))

    def do_GET(self) -> None:
        span = self.headers.get("Range", "")
        if not self.path.startswith("/cdn/"):
            served = self._served()
            return self._missing() if served is None else self._answer(302, self._linked(served))
        self.hub.requests.append(("GET", self.path, span))
        served = self.hub.files[self.path.removeprefix("/cdn/")]
        first = int(span.removeprefix("bytes=").split("-")[0]) if span and served.ranges else 0
        rest = served.content[first:]
        headers: dict[str, str | None] = {
            "Content-Length": str(len(rest)),
            "Accept-Ranges": "bytes",
        }
        if span and served.ranges:
            total = len(served.content)
            headers["Content-Range"] = f"bytes {first}-{total - 1}/{total}"
        headers |= served.sends
        self.close_connection = "Content-Length" in served.sends
        self._answer(206 if span and served.ranges else 200, headers)
        self._write(served, rest)

    def _write(self, served: Served, rest: bytes) -> None:
        cut = served.cuts.pop(0) if served.cuts else served.always_cuts
        rest = rest[:cut] if cut is not None else rest
        piece, pause = served.pace or (len(rest) or 1, 0)
        try:
            for start in (
                itertools.count(0, piece) if served.endless else range(0, len(rest), piece)
            ):
                self.wfile.write(rest[:piece] if served.endless else rest[start : start + piece])
                self.wfile.flush()
                served.sent += piece
                if served.gate is not None:
                    served.gate.wait(20)
                elif pause:
                    threading.Event().wait(pause)
        except OSError:  # the client hung up
            pass
        if cut is not None:
            self.close_connection = True

    def _served(self) -> Served | None:
        # /owner/name/resolve/revision/file
        parts = self.path.strip("/").split("/")
        return self.hub.files.get("/".join((*parts[:2], *parts[4:])))

    def _linked(self, served: Served) -> dict[str, str]:
        parts = self.path.strip("/").split("/")
        # another host, as the real one's storage is
        storage = f"http://localhost:{self.hub.server.server_port}/cdn"
        return {
            "X-Repo-Commit": COMMIT,
            "X-Linked-Etag": f'"{served.sha256}"',
            "X-Linked-Size": str(len(served.content)),
            "ETag": '"of the redirect, not of the file"',
            "Location": f"{storage}/{'/'.join((*parts[:2], *parts[4:]))}",
            **served.says,
        }

    def _missing(self) -> None:
        self._answer(404, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})

    def _answer(self, status: int, headers: Mapping[str, str | None] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": "0", **(headers or {})}).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
