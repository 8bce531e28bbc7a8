"""Whatever a hub sends: no more than it announced, no names of its making, one sentence."""

from __future__ import annotations

import gzip

import pytest

from tests.loopback_hub import LoopbackHub
from tests.weight_files.test_hub import CONTENT, MB, SHA256, Worker, loadable, path_of, row


@pytest.fixture(scope="module")
def hub():
    hub = LoopbackHub()
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def worker(hub):
    worker = Worker(hub.url)
    yield worker
    worker.close()


def bytes_in(folder) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def refused(worker, folder, name, says="", **job) -> str:
    """The sentence; nothing is left that could be loaded, and nothing outside of the folder."""
    target = folder / "models"
    target.mkdir()
    answer = worker.download(row(f"o/{name}", **job.pop("row", {})), target, **job)
    assert answer.get("error") in ("DownloadFailed", "CorruptWeights"), answer
    assert answer["text"].isprintable()
    assert says in answer["text"]
    assert loadable(folder) == []
    assert {path.relative_to(folder).parts[0] for path in folder.rglob("*")} == {"models"}
    assert bytes_in(folder) <= len(CONTENT) + 1000
    return answer["text"]


ENDLESS = {
    "without-a-length": {"Content-Length": None, "Connection": "close"},
    "with-a-huge-length": {"Content-Length": str(10**12)},
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_body_without_end_stops_at_the_announced_size(hub, worker, tmp_path, name):
    served = hub.serve(f"o/{name}", "model.safetensors", CONTENT, sends=ENDLESS[name], endless=True)
    refused(worker, tmp_path, name, "more than the announced")
    assert served.sent < 40 * MB  # twice, and what lies in buffers on the way


def test_an_answer_that_unpacks_to_any_size_stops_at_the_announced_one(hub, worker, tmp_path):
    bomb = gzip.compress(bytes(400 * MB), 1)
    hub.serve(
        "o/bomb", "model.safetensors", bomb, sha256=SHA256,
        says={"X-Linked-Size": str(len(CONTENT))}, sends={"Content-Encoding": "gzip"},
    )  # fmt: skip
    refused(worker, tmp_path, "bomb")


def test_an_answer_that_is_shorter_than_it_says(hub, worker, tmp_path):
    hub.serve(
        "o/short", "model.safetensors", CONTENT[:MB], sha256=SHA256,
        says={"X-Linked-Size": str(len(CONTENT))},
    )  # fmt: skip
    refused(worker, tmp_path, "short")


def test_a_longer_file_than_the_tables_is_not_even_fetched(hub, worker, tmp_path):
    hub.serve("o/longer", "model.safetensors", CONTENT + b"x", sha256=SHA256)
    refused(worker, tmp_path, "longer", "must have 3000000 bytes, but the server offers 3000001")
    assert hub.gets("o/longer") == []


def test_ranges_that_are_ignored_for_ever_come_to_an_end(hub, worker, tmp_path):
    hub.serve("o/circle", "model.safetensors", CONTENT, ranges=False, always_cuts=MB)
    refused(worker, tmp_path, "circle", "starts over again and again")
    assert len(hub.gets("o/circle")) < 8


SAYS = {
    "path-as-etag": {"X-Linked-Etag": '"' + "../" * 21 + 'x"'},
    "slashes-as-etag": {"X-Linked-Etag": '"' + "a/b/c/d/" * 8 + '"'},
    "negative-size": {"X-Linked-Size": "-5"},
    "no-number-as-size": {"X-Linked-Size": "lots"},
    "huge-size": {"X-Linked-Size": "9" * 400},
    "size-of-too-many-digits": {"X-Linked-Size": "9" * 5000},
    "control-characters": {"X-Linked-Etag": '"\x1b[31m' + "a" * 59 + '"'},
    "upper-case": {"X-Linked-Etag": f'"{SHA256.upper()}"'},
}


@pytest.mark.parametrize("name", SAYS)
def test_what_is_no_size_and_no_sha256_is_not_taken_for_one(hub, worker, tmp_path, name):
    hub.serve(f"o/{name}", "model.safetensors", CONTENT, says=SAYS[name])
    unpinned = {"sha256": "", "size_is_exact": False}
    text = refused(worker, tmp_path, name, "must", row=unpinned)
    assert len(text) < 600
    assert hub.gets(f"o/{name}") == []


def test_what_a_server_calls_its_error_is_shown_in_one_short_line(hub, worker, tmp_path):
    hub.serve(
        "o/shouts", "model.safetensors", CONTENT,
        says={"Location": "http://localhost:1/\x1b[2J" + "x" * 9000},
    )  # fmt: skip
    assert len(refused(worker, tmp_path, "shouts")) < 900


def test_a_name_of_the_server_is_not_used(hub, worker, tmp_path):
    hub.serve(
        "o/named", "model.safetensors", CONTENT,
        sends={"Content-Disposition": 'attachment; filename="../../evil.safetensors"'},
    )  # fmt: skip
    folder = tmp_path / "a" / "b"
    path = path_of(worker.download(row("o/named"), folder))
    assert loadable(tmp_path) == [path] == [folder / "named.safetensors"]
