"""`toonout queue` over several ComfyUIs: real servers on the loopback, processes of their own."""

from __future__ import annotations

import json
import threading
import time

import pytest

pytest.importorskip("aiohttp")

from tests.cli.fake_comfy_server import WORKFLOW, fake_server, server_process

PICTURES = 12


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("toonout_core.cli.queue_run._LOOK_S", 0.1)
    monkeypatch.setattr("toonout_core.cli.comfy_server._RECONNECT_S", 0.05)


@pytest.fixture
def queue(toonout, tmp_path):
    """queue(addresses, *options) over twelve pictures."""
    root = tmp_path / "in"
    root.mkdir()
    for number in range(PICTURES):
        (root / f"{number:02d}.png").write_bytes(b"picture %02d" % number)
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))

    def call(addresses, *options):
        servers = [word for address in addresses for word in ("--server", address)]
        where = ["--workflow", tmp_path / "workflow.json", "-o", tmp_path / "out"]
        return toonout("queue", root, *where, *servers, *options)

    return call


def results(tmp_path):
    out = tmp_path / "out"
    return {path.name: path.read_text() for path in out.glob("*") if path.name[0] != "."}


WHOLE = {f"{n:02d}.png": f"result x_00001_.png of picture {n:02d}" for n in range(PICTURES)}


def test_both_work_and_every_picture_is_done_once(queue, tmp_path):
    with fake_server(seconds=0.04) as one, fake_server(seconds=0.04) as two:
        shell = queue([one.url, two.url], "--in-flight", 2)
        assert shell.code == 0, shell.stderr
        assert results(tmp_path) == WHOLE
        assert len(one.prompts) + len(two.prompts) == PICTURES
        assert min(len(one.prompts), len(two.prompts)) >= 1
        assert f"{one.url}: {len(one.prompts)} done" in shell.stderr
        assert "12 done." in shell.stderr

        again = queue([one.url, two.url], "--resume")
        assert "12 done before" in again.stderr
        assert len(one.prompts) + len(two.prompts) == PICTURES


def test_the_faster_one_does_more_and_takes_over_what_waits(queue, tmp_path):
    """The slow one has filled its queue before the fast one is idle."""
    with fake_server(seconds=0.6) as slow, fake_server(seconds=0.01) as fast:
        shell = queue([slow.url, fast.url], "--in-flight", 6)
        assert shell.code == 0, shell.stderr
        assert results(tmp_path) == WHOLE
        assert len(slow.history) < 6
        assert len(slow.history) + len(fast.history) == PICTURES
        assert slow.waiting == []


def test_pictures_of_a_killed_server_go_to_the_others(queue, tmp_path):
    with fake_server(seconds=0.15) as other, server_process(seconds=0.15) as (address, process):

        def kill():
            deadline = time.monotonic() + 30
            while len(results(tmp_path)) < 4 and time.monotonic() < deadline:
                time.sleep(0.005)
            process.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        shell = queue([address, other.url], "--in-flight", 3)
        killer.join()
        assert shell.code == 0, shell.stderr
        assert results(tmp_path) == WHOLE
        assert f"{address} is left out: ComfyUI at {address} must keep answering" in shell.stderr
        assert "12 done." in shell.stderr
        assert 0 < len(other.history) < PICTURES


def test_when_the_last_one_is_gone_what_is_done_is_kept(queue, tmp_path):
    with (
        server_process(seconds=0.15) as (one, first),
        server_process(seconds=0.15) as (two, second),
    ):

        def kill():
            for process, count in ((first, 2), (second, 5)):
                deadline = time.monotonic() + 30
                while len(results(tmp_path)) < count and time.monotonic() < deadline:
                    time.sleep(0.005)
                process.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        shell = queue([one, two], "--in-flight", 2)
        killer.join()
    assert shell.code == 2
    assert "go on with --resume" in shell.stderr
    kept = results(tmp_path)
    assert 5 <= len(kept) < PICTURES
    assert kept.items() <= WHOLE.items()
    with fake_server() as server:
        assert queue([server.url], "--resume").code == 0
        assert len(server.prompts) == PICTURES - len(kept)
    assert results(tmp_path) == WHOLE


def test_one_that_is_not_there_is_told_and_left_out(queue, tmp_path):
    with fake_server() as gone:
        pass
    with fake_server() as server:
        shell = queue([gone.url, server.url])
        assert shell.code == 0
        assert f"A ComfyUI must be running at {gone.url}" in shell.stderr
    assert results(tmp_path) == WHOLE
    shell = queue([gone.url, server.url])
    assert (shell.code, "None of the servers answers" in shell.stderr) == (2, True)


def test_one_that_lacks_a_node_is_left_out(queue, tmp_path):
    error = {"type": "missing_node_type", "message": "Node 'SaveImage' not found"}
    with fake_server(refuse={"error": error, "node_errors": {}}) as poor, fake_server() as server:
        shell = queue([poor.url, server.url])
        assert shell.code == 0
        assert "Node 'SaveImage' not found Its" not in shell.stderr
        assert f"{poor.url} is left out: ComfyUI refuses it" in shell.stderr
        assert len(server.prompts) == PICTURES
    assert results(tmp_path) == WHOLE


def test_a_workflow_that_all_refuse_ends_the_run(queue, tmp_path):
    refuse = {"error": {"message": "no such node"}, "node_errors": {}}
    with fake_server(refuse=refuse) as one, fake_server(refuse=refuse) as two:
        shell = queue([one.url, two.url])
    assert shell.code == 2
    assert "no such node" in shell.stderr
    assert results(tmp_path) == {}


def test_a_picture_that_fails_at_one_is_not_tried_at_the_other(queue, tmp_path):
    with fake_server(fails_on=b"picture 03") as one, fake_server(fails_on=b"picture 03") as two:
        shell = queue([one.url, two.url])
        assert shell.code == 1
        assert "11 done, 1 failed" in shell.stderr
        assert len(one.prompts) + len(two.prompts) == PICTURES


def test_the_same_address_twice_is_one_server(queue):
    with fake_server(seconds=0.01) as server:
        shell = queue([server.url, server.url + "/"], "--in-flight", 2)
        assert shell.code == 0
        assert server.most_at_once == 2
        assert shell.stderr.count("ComfyUI 0.0.fake at") == 1
