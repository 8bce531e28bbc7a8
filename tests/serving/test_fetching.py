"""No address of a stranger leads into this machine or its network: real servers on the loopback."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import socket
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.serving.conftest import lit, running
from tests.serving.test_rembg import call, png
from toonout_core.errors import BadInput
from toonout_core.serving import fetching

PUBLIC, PRIVATE = "127.0.0.2", "127.0.0.1"  # the first stands for the internet


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        status, headers, body = self.server.answers.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):  # whoever asked may have had enough
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving(host, answers):
    """A server of fixed answers: path → (status, headers, body); `asked` lists what came."""
    server = ThreadingHTTPServer((host, 0), _Handler)
    server.answers, server.asked = answers, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def internet(monkeypatch):
    """127.0.0.2 counts as public."""
    try:
        socket.create_server((PUBLIC, 0)).close()
    except OSError:
        pytest.skip("this system has one loopback address only")
    real = fetching.is_public
    monkeypatch.setattr(fetching, "is_public", lambda a: str(a) == PUBLIC or real(a))


def at(server, path, host=None):
    address, port = server.server_address[:2]
    return f"http://{host or address}:{port}{path}"


def fetch(url, most=100_000):
    return asyncio.run(fetching.fetch(url, most))


def test_a_public_picture_is_fetched(internet):
    with serving(PUBLIC, {"/a.png": (200, {}, b"picture")}) as web:
        assert fetch(at(web, "/a.png")) == b"picture"


def test_redirects_are_followed_to_public_places(internet):
    answers = {"/a": (302, {"Location": "/b"}, b""), "/b": (200, {}, b"picture")}
    with serving(PUBLIC, answers) as web:
        assert fetch(at(web, "/a")) == b"picture"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_into_this_machine_is_refused(internet, status):
    with serving(PRIVATE, {"/secret": (200, {}, b"secret")}) as inside:
        answers = {"/a": (status, {"Location": at(inside, "/secret")}, b"")}
        with serving(PUBLIC, answers) as web, pytest.raises(BadInput, match="public internet"):
            fetch(at(web, "/a"))
        assert inside.asked == []


def test_a_circle_of_redirects_ends(internet):
    with serving(PUBLIC, {"/a": (302, {"Location": "/a"}, b"")}) as web:
        with pytest.raises(BadInput, match="at most 5 redirects"):
            fetch(at(web, "/a"))
        assert len(web.asked) == 6


def answering(monkeypatch, *addresses):
    """Names lead to these addresses, one after the other; returns the names that were asked for."""
    asked, left = [], list(addresses)
    real = socket.getaddrinfo

    def lookup(host, port, *rest, **how):
        if host == "name.example":
            asked.append(host)
            host = left.pop(0) if len(left) > 1 else left[0]
            how.pop("flags", None)
            return real(host, port, type=socket.SOCK_STREAM)
        return real(host, port, *rest, **how)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


def test_what_was_checked_is_what_is_connected_to(internet, monkeypatch):
    """A name that means something else a moment later (DNS rebinding)."""
    asked = answering(monkeypatch, PUBLIC, PRIVATE)
    with serving(PUBLIC, {"/a": (200, {}, b"public")}) as web:
        assert fetch(at(web, "/a", "name.example")) == b"public"
    assert len(asked) == 1


def test_a_name_that_turns_private_between_redirects_is_refused(internet, monkeypatch):
    answering(monkeypatch, PUBLIC, PRIVATE)
    with serving(PUBLIC, {"/a": (302, {"Location": "/b"}, b"")}) as web:
        again = {"Location": at(web, "/b", "name.example"), "Connection": "close"}
        web.answers["/a"] = (302, again, b"")
        with pytest.raises(BadInput, match="public internet"):
            fetch(at(web, "/a", "name.example"))
        assert web.asked == ["/a"]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "0.0.0.0", "10.0.0.1", "192.168.1.1", "172.16.0.1",
        "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "2130706433", "127.1",
        "0x7f000001", "0177.0.0.1", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:1::1]", "[ff02::1]", "[fe80::1%25lo]",
    ],
)  # fmt: skip
def test_addresses_of_this_machine_and_of_networks_are_refused(host):
    with pytest.raises(BadInput):
        fetch(f"http://{host}:9/a.png")


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://example.org/a", "gopher://x", "a.png", "", "http://", "http:///a",
     "http://user:pass@example.org/a", "data:image/png;base64,AAAA", "http://[bad/", "//x/a"],
)  # fmt: skip
def test_other_addresses_are_refused(url):
    with pytest.raises(BadInput):
        fetch(url)


@pytest.mark.parametrize(
    ("address", "public"),
    [("93.184.216.34", True), ("2606:2800:220:1::1", True), ("::ffff:93.184.216.34", True),
     ("64:ff9b::5db8:d822", True), ("198.18.0.1", False), ("240.0.0.1", False)],
)  # fmt: skip
def test_what_is_public(address, public):
    assert fetching.is_public(ipaddress.ip_address(address)) is public


def test_size_is_bounded_whatever_is_told(internet):
    packed = gzip.compress(bytes(10_000_000))
    answers = {
        "/told": (200, {"Content-Length": "200000"}, bytes(200_000)),
        "/untold": (200, {}, bytes(200_000)),
        "/packed": (200, {"Content-Encoding": "gzip"}, packed),
    }
    with serving(PUBLIC, answers) as web:
        for path in ("/told", "/untold"):
            with pytest.raises(BadInput, match="at most 0 MB"):
                fetch(at(web, path))
        assert fetch(at(web, "/packed")) == packed  # it stays packed, and is no picture


def test_what_is_not_there_is_told(internet):
    with serving(PUBLIC, {}) as web, pytest.raises(BadInput, match="status 404"):
        fetch(at(web, "/a"))
    with pytest.raises(BadInput, match="can be fetched"):
        fetch(at(web, "/a"))


def test_the_route_fetches_and_refuses(internet, server):
    with serving(PUBLIC, {"/a.png": (200, {}, png(lit()))}) as web:
        status, content, _ = call(f"{server}/api/remove?om=true&url={at(web, '/a.png')}")
        assert (status, content[1:4]) == (200, b"PNG")
    status, content, _ = call(f"{server}/api/remove?url={server}/openapi.json")
    assert status == 422
    assert b"public internet" in content


def test_more_requests_than_are_taken_are_told_to_come_back():
    gate = threading.Event()
    begun = threading.Event()

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        begun.set()
        await asyncio.get_running_loop().run_in_executor(None, gate.wait)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with running(app, limit_concurrency=2, lifespan="off") as address:
        first = threading.Thread(target=call, args=(address,))
        first.start()
        assert begun.wait(10)
        try:
            assert call(address)[0] == 503
        finally:
            gate.set()
            first.join()
