"""Downloads by the real client of the hub from a hub of our own, in processes of their own."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.loopback_hub import COMMIT, LoopbackHub

ROOT = Path(__file__).parents[2]
MB = 1_000_000
CONTENT = random.Random(0).randbytes(3 * MB)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Worker:
    def __init__(self, endpoint: str, **environment: str) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "hub_worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=clean
            | {"HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_TELEMETRY": "1"}
            | {"PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
            | environment,
        )

    def start(self, row: dict, folder: Path, **job) -> None:
        assert self.process.stdin is not None
        print(json.dumps({"row": row, "folder": str(folder), **job}), file=self.process.stdin)
        self.process.stdin.flush()

    def answer(self) -> dict:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def download(self, row: dict, folder: Path, **job) -> dict:
        self.start(row, folder, **job)
        return self.answer()

    def close(self) -> None:
        if self.process.returncode is not None:
            return
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


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


@pytest.fixture(scope="module")
def second_worker(others):
    return others["second"]


@pytest.fixture(scope="module", autouse=True)
def others(hub):
    """Started before they are needed: each imports torch for some seconds."""
    workers = {"second": Worker(hub.url), "offline": Worker(hub.url, HF_HUB_OFFLINE="1")}
    yield workers
    for worker in workers.values():
        worker.close()


def row(repo: str, **changes) -> dict:
    return {
        "name": repo.split("/")[1],
        "task": "matting",
        "architecture": "unet",
        "purpose": "",
        "repo": repo,
        "file": "model.safetensors",
        "revision": COMMIT,
        "sha256": SHA256,
        "size_bytes": len(CONTENT),
        "licence": "MIT",
        "source": "",
    } | changes


def path_of(answer: dict) -> Path:
    assert "path" in answer, answer
    return Path(answer["path"])


def loadable(folder: Path) -> list[Path]:
    """Files that any program would take for weights, at any depth."""
    suffixes = (".safetensors", ".sft", ".pth", ".pt", ".ckpt", ".bin")
    return [path for path in folder.rglob("*") if path.suffix in suffixes]


def test_download_is_verified_named_and_remembered(hub, worker, tmp_path):
    hub.serve("o/plain", "model.safetensors", CONTENT)
    answer = worker.download(row("o/plain"), tmp_path)
    path = path_of(answer)
    assert path == tmp_path / "plain.safetensors"
    assert path.read_bytes() == CONTENT
    assert answer["labels"][0] == [3, "downloading plain (MB)"]
    assert answer["done"] == 3
    (record,) = (tmp_path / ".toonout").glob("*.json")
    known = json.loads(record.read_text("utf-8"))
    assert (known["sha256"], known["size"]) == (SHA256, len(CONTENT))
    assert known["source"] == "o/plain/model.safetensors"
    assert hub.gets("o/plain") == [""]
    # a second time nothing is fetched
    assert path_of(worker.download(row("o/plain"), tmp_path)) == path
    assert hub.gets("o/plain") == [""]


def test_hash_known_to_the_hub_only(hub, worker, tmp_path):
    hub.serve("o/unpinned", "model.safetensors", CONTENT)
    unpinned = row("o/unpinned", sha256="", size_is_exact=False)
    path = path_of(worker.download(unpinned, tmp_path))
    assert path.read_bytes() == CONTENT
    assert path_of(worker.download(unpinned, tmp_path)) == path  # by its record
    assert hub.gets("o/unpinned") == [""]


def test_file_that_is_here_is_recognised_by_the_hubs_hash(hub, worker, tmp_path):
    hub.serve("o/here", "model.safetensors", CONTENT)
    mine = tmp_path / "sub" / "General.safetensors"
    mine.parent.mkdir()
    mine.write_bytes(CONTENT)
    unpinned = row("o/here", sha256="", size_is_exact=False)
    for _ in range(2):
        assert path_of(worker.download(unpinned, tmp_path)) == mine
    assert hub.gets("o/here") == []
    assert len([path for _, path, _ in hub.requests if "o/here" in path]) == 1  # then its record


def test_a_name_that_is_taken_is_not_overwritten(hub, worker, tmp_path):
    hub.serve("o/taken", "model.safetensors", CONTENT)
    mine = tmp_path / "taken.safetensors"
    mine.write_bytes(b"a file of the user's")
    path = path_of(worker.download(row("o/taken"), tmp_path))
    assert path == tmp_path / "taken-2.safetensors"
    assert path.read_bytes() == CONTENT
    assert mine.read_bytes() == b"a file of the user's"


def test_cut_connection_is_continued(hub, worker, tmp_path):
    hub.serve("o/cut", "model.safetensors", CONTENT, cuts=[1_250_000])
    path = path_of(worker.download(row("o/cut"), tmp_path))
    assert path.read_bytes() == CONTENT
    first, second = hub.gets("o/cut")
    assert first == ""
    assert 1 * MB < int(second.removeprefix("bytes=").rstrip("-")) <= 1_250_000


def test_stop_passes_through_and_is_continued_later(hub, worker, tmp_path):
    served = hub.serve("o/stopped", "model.safetensors", CONTENT, pace=(200_000, 0.05))
    answer = worker.download(row("o/stopped"), tmp_path, stop_after_mb=1)
    assert answer["error"] == "Stop"
    assert loadable(tmp_path) == []
    served.pace = None
    answer = worker.download(row("o/stopped"), tmp_path)
    assert path_of(answer).read_bytes() == CONTENT
    assert int(hub.gets("o/stopped")[-1].removeprefix("bytes=").rstrip("-")) >= MB


def test_server_that_cannot_continue(hub, worker, tmp_path):
    """It sends the whole file again: what arrives must be sound all the same."""
    hub.serve("o/norange", "model.safetensors", CONTENT, cuts=[1_500_000], ranges=False)
    answer = worker.download(row("o/norange"), tmp_path)
    assert path_of(answer).read_bytes() == CONTENT


def test_wrong_content_leaves_nothing(hub, worker, tmp_path):
    hub.serve("o/wrong", "model.safetensors", b"x" + CONTENT[1:], sha256=SHA256)
    answer = worker.download(row("o/wrong"), tmp_path)
    assert answer["error"] == "CorruptWeights"
    assert SHA256 in answer["text"]
    assert loadable(tmp_path) == []
    assert list((tmp_path / ".toonout").glob("*.partial")) == []


def test_damaged_remains_are_thrown_away(hub, worker, tmp_path):
    hub.serve("o/damaged", "model.safetensors", CONTENT)
    state = tmp_path / ".toonout"
    state.mkdir()
    (state / f"damaged.{SHA256[:16]}.partial").write_bytes(b"x" * MB)
    path = path_of(worker.download(row("o/damaged"), tmp_path))
    assert path.read_bytes() == CONTENT
    assert hub.gets("o/damaged") == [f"bytes={MB}-", ""]


def test_replaced_file_is_not_even_fetched(hub, worker, tmp_path):
    hub.serve("o/replaced", "model.safetensors", b"y" + CONTENT[1:])
    answer = worker.download(row("o/replaced"), tmp_path)
    assert answer["error"] == "CorruptWeights"
    assert "Nothing was downloaded" in answer["text"]
    assert hub.gets("o/replaced") == []


def test_missing_file_says_where_and_what_to_do(hub, worker, tmp_path):
    answer = worker.download(row("o/nowhere"), tmp_path)
    assert answer["error"] == "DownloadFailed"
    assert "https://huggingface.co/o/nowhere/resolve/" in answer["text"]
    assert str(tmp_path) in answer["text"]
    assert "Nothing was downloaded." in answer["text"]
    (tmp_path / ".toonout" / "nowhere.0123.partial").write_bytes(CONTENT[:1000])
    answer = worker.download(row("o/nowhere"), tmp_path)
    assert "Start again to continue where it stopped." in answer["text"]


def test_server_without_checksum(hub, worker, tmp_path):
    hub.serve("o/bare", "model.safetensors", CONTENT, sha256="not a hash")
    answer = worker.download(row("o/bare", sha256=""), tmp_path)
    assert answer["error"] == "DownloadFailed"
    assert "sha256" in answer["text"]
    # with a hash of our own the server's is not needed
    assert path_of(worker.download(row("o/bare"), tmp_path)).read_bytes() == CONTENT


def test_client_without_the_parts(hub, worker, tmp_path):
    hub.serve("o/future", "model.safetensors", CONTENT)
    answer = worker.download(row("o/future"), tmp_path, without_parts=True)
    assert answer["error"] == "DownloadFailed"
    assert "By hand: download https://" in answer["text"]
    assert loadable(tmp_path) == []


def test_two_processes_share_one_download(hub, worker, second_worker, tmp_path):
    gate = threading.Event()
    hub.serve("o/shared", "model.safetensors", CONTENT, pace=(MB, 0), gate=gate)
    worker.start(row("o/shared"), tmp_path)
    wait_until(lambda: hub.gets("o/shared"))
    second_worker.start(row("o/shared"), tmp_path)
    time.sleep(1.5)
    gate.set()
    paths = {path_of(worker.answer()), path_of(second_worker.answer())}
    assert paths == {tmp_path / "shared.safetensors"}
    assert (tmp_path / "shared.safetensors").read_bytes() == CONTENT
    assert hub.gets("o/shared") == [""]


def test_waiting_process_can_be_stopped(hub, worker, second_worker, tmp_path):
    gate = threading.Event()
    hub.serve("o/waiting", "model.safetensors", CONTENT, pace=(MB, 0), gate=gate)
    worker.start(row("o/waiting"), tmp_path)
    wait_until(lambda: hub.gets("o/waiting"))
    answer = second_worker.download(row("o/waiting"), tmp_path, stop_after_mb=0)
    gate.set()
    assert answer["error"] == "Stop"
    assert path_of(worker.answer()).read_bytes() == CONTENT


def test_offline_asks_nobody(hub, others, tmp_path):
    hub.serve("o/offline", "model.safetensors", CONTENT)
    answer = others["offline"].download(row("o/offline"), tmp_path)
    assert answer["error"] == "DownloadFailed"
    assert "offline" in answer["text"].lower()
    assert not [path for _, path, _ in hub.requests if "o/offline" in path]


def test_server_that_hangs_up(hub, worker, tmp_path):
    answer = worker.download(row("o/hangs-up"), tmp_path)
    assert answer["error"] == "DownloadFailed"
    assert loadable(tmp_path) == []


def test_killed_process_is_continued_by_the_next(hub, worker, second_worker, tmp_path):
    gate = threading.Event()
    served = hub.serve("o/killed", "model.safetensors", CONTENT, pace=(MB, 0), gate=gate)
    second_worker.start(row("o/killed"), tmp_path)
    state = tmp_path / ".toonout"
    wait_until(lambda: any(p.stat().st_size for p in state.glob("*.partial")))
    second_worker.close()
    gate.set()
    assert loadable(tmp_path) == []
    served.gate = None
    path = path_of(worker.download(row("o/killed"), tmp_path))
    assert path.read_bytes() == CONTENT
    assert int(hub.gets("o/killed")[-1].removeprefix("bytes=").rstrip("-")) > 0
    assert list(state.glob("*.partial")) == []


def wait_until(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)
