"""`toonout queue` against a ComfyUI of the tests' own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("aiohttp")

from tests.cli.fake_comfy_server import WORKFLOW, fake_server
from toonout_core.output.manifest import claim

# with what would make it start slowly out of reach
CODE_OF_MAIN = """
import sys
sys.modules |= dict.fromkeys(("torch", "numpy"))
from toonout_core.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("toonout_core.cli.queue_run._LOOK_S", 0.1)
    monkeypatch.setattr("toonout_core.cli.comfy_server._RECONNECT_S", 0.05)


@pytest.fixture
def pictures(tmp_path):
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    for name in ("a.png", "a.jpg", "sub/猫.webp"):
        (root / name).write_bytes(f"picture {name}".encode())
    return root


@pytest.fixture
def queue(toonout, tmp_path):
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))

    def call(server, *arguments, workflow=tmp_path / "workflow.json"):
        options = ["--workflow", workflow, "--server", server.url, "-o", tmp_path / "out"]
        return toonout("queue", *arguments, *options)

    return call


def results(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_every_picture_has_its_result_under_its_name(queue, pictures, tmp_path):
    with fake_server() as server:
        shell = queue(server, pictures, "--recursive")
        assert (shell.code, results(tmp_path / "out")) == (0, {
            "a.png.png": "result x_00001_.png of picture a.png",
            "a.jpg.png": "result x_00001_.png of picture a.jpg",
            "sub/猫.png": "result x_00001_.png of picture sub/猫.webp",
        })  # fmt: skip
        assert "3 done." in shell.stderr
        assert len(server.prompts) == 3
        assert all(prompt["prompt"]["2"] == WORKFLOW["2"] for prompt in server.prompts)

        again = queue(server, pictures, "--recursive", "--resume")
        assert again.code == 0
        assert "3 done before" in again.stderr
        assert len(server.prompts) == 3


def test_no_more_in_flight_than_asked_for(queue, pictures):
    with fake_server(seconds=0.05) as server:
        assert queue(server, pictures, "--recursive", "--in-flight", 2).code == 0
        assert server.most_at_once == 2


def test_a_picture_that_fails_does_not_stop_the_rest(queue, pictures, tmp_path):
    with fake_server(fails_on=b"picture a.jpg") as server:
        shell = queue(server, pictures, "--recursive", "--report", tmp_path / "report.json")
        assert shell.code == 1
        assert "a.jpg: LoadImage #1: ValueError: cannot read it" in shell.stderr
        assert set(results(tmp_path / "out")) == {"a.png.png", "sub/猫.png"}
        counts = json.loads((tmp_path / "report.json").read_text())["counts"]
        assert (counts["done"], counts["failed"]) == (2, 1)
        server.fails_on = b""
        assert queue(server, pictures, "--recursive", "--resume").code == 0
        assert len(server.prompts) == 4


NODE_ERRORS = {
    "class_type": "SaveImage",
    "errors": [{"type": "value_not_in_list", "message": "Value not in list", "details": "x: 'y'"}],
}


@pytest.mark.parametrize("way", ["refuse", "node_errors"])
def test_a_wrong_workflow_ends_the_run_at_once(queue, pictures, way):
    answer = {"2": NODE_ERRORS}
    error = {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed"}
    options = {
        "refuse": {"refuse": {"error": error, "node_errors": answer}},
        "node_errors": {"node_errors": answer, "seconds": 5},
    }[way]
    with fake_server(**options) as server:
        shell = queue(server, pictures, "--in-flight", 1)
        assert shell.code == 2
        assert "SaveImage #2: Value not in list (x: 'y')" in shell.stderr
        assert len(server.prompts) <= 1
        assert server.waiting == []
        time.sleep(0.1)
        assert set(server.running) <= set(server.interrupts)  # what ran in spite of it


def test_a_picture_that_is_refused_is_one_failure(queue, pictures):
    refused = {"1": NODE_ERRORS | {"class_type": "LoadImage"}}
    with fake_server(refuse={"error": {}, "node_errors": refused}) as server:
        shell = queue(server, pictures, "--recursive")
        assert shell.code == 1
        assert "3 failed" in shell.stderr


@pytest.mark.parametrize("trouble", [{"deaf": True}, {"cuts": 2}, {"own_ids": True}])
def test_lost_events_are_made_up_for(queue, pictures, tmp_path, trouble):
    with fake_server(**trouble) as server:
        assert queue(server, pictures, "--recursive").code == 0
        assert len(results(tmp_path / "out")) == 3


def test_a_queue_that_somebody_cleared_is_told(queue, pictures):
    with fake_server(forgets=True) as server:
        shell = queue(server, pictures / "a.png")
        assert shell.code == 1
        assert "must stay in ComfyUI's queue" in shell.stderr


def test_several_files_and_nodes_have_names_of_their_own(queue, pictures, tmp_path):
    files = {"2": ["x_1.png", "x_2.png"], "7": ["film.mp4"]}
    with fake_server(files_of=files) as server:
        assert queue(server, pictures / "a.png").code == 0
        assert set(results(tmp_path / "out")) == {
            "a.png_2_0001.png", "a.png_2_0002.png", "a.png_7.mp4",
        }  # fmt: skip
    with fake_server(files_of=files) as server:
        assert queue(server, pictures / "a.jpg", "--output", 7).code == 0
        assert "a.jpg.mp4" in results(tmp_path / "out")


def test_what_is_not_ours_stays(queue, pictures, tmp_path):
    """By a manifest that lies, and by a user who has worked on a result."""
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "thesis.txt").write_text("words")
    record = {
        "source": str(pictures / "a.png"), "size": 1, "mtime_ns": 1, "settings": "",
        "status": "done", "outputs": ["a.png.png", "../thesis.txt"],
    }  # fmt: skip
    (out / ".toonout.jsonl").write_text(json.dumps(record) + "\n[1]\n")
    with fake_server() as server:
        assert queue(server, pictures / "a.png", "--resume").code == 0
        assert (tmp_path / "thesis.txt").read_text() == "words"
        assert set(results(out)) == {"a.png.png"}
        (out / "a.png.png").write_text("retouched")
        arguments = (pictures / "a.png", "--resume", "--input", "1.image")
        assert queue(server, *arguments).code == 0
        assert queue(server, *arguments, "--overwrite").code == 0
    assert results(out) == {
        "a.png.png": "retouched",
        "a.png_2.png": "result x_00001_.png of picture a.png",
    }


def test_a_folder_in_use_is_waited_for(queue, pictures, tmp_path, monkeypatch, caplog):
    class Waited(Exception):
        pass

    def stop_waiting(_):
        raise Waited

    with fake_server() as server, claim(tmp_path / "out", wait=False):
        monkeypatch.setattr("toonout_core.locking.time", SimpleNamespace(sleep=stop_waiting))
        with pytest.raises(Waited):
            queue(server, pictures / "a.png")
        assert server.prompts == []
    assert "waiting, as another run writes to" in caplog.text


def test_previews_are_taken_where_nothing_is_saved(queue, pictures, tmp_path):
    with fake_server(file_type="temp") as server:
        assert queue(server, pictures / "a.png").code == 0
        assert set(results(tmp_path / "out")) == {"a.png.png"}
    with fake_server(files_of={}) as server:
        shell = queue(server, pictures / "a.jpg")
        assert shell.code == 1
        assert "has written no file" in shell.stderr


def test_no_server(queue, pictures):
    with fake_server() as server:
        pass
    shell = queue(server, pictures)
    assert shell.code == 2
    assert f"A ComfyUI must be running at {server.url}" in shell.stderr


def test_no_aiohttp(queue, pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with fake_server() as server:
        shell = queue(server, pictures)
    assert shell.code == 2
    assert "aiohttp, which is not installed" in shell.stderr


TWO_LOADERS = WORKFLOW | {"5": {"class_type": "LoadImageMask", "inputs": {"image": "b.png"}}}


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        ("no json", [], "must be a workflow in JSON"),
        ('{"nodes": [], "links": []}', [], "Export (API)"),
        ("[1, 2]", [], "API format"),
        (json.dumps({"2": WORKFLOW["2"]}), [], "must have one LoadImage node"),
        (json.dumps(TWO_LOADERS), [], "Nodes: 1 LoadImage, 2 SaveImage, 5 LoadImageMask."),
        (json.dumps(WORKFLOW), ["--input", "9.image"], "must name a node"),
    ],
)
def test_workflows_that_do_not_fit(queue, pictures, tmp_path, content, options, sentence):
    path = tmp_path / "other.json"
    path.write_text(content)
    with fake_server() as server:
        shell = queue(server, pictures, *options, workflow=path)
    assert shell.code == 2
    assert sentence in shell.stderr


def test_a_workflow_that_is_not_there_is_said_in_words(queue, pictures, tmp_path):
    with fake_server() as server:
        shell = queue(server, pictures, workflow=tmp_path / "absent.json")
    assert shell.code == 2
    assert "a workflow must exist, but got no file at" in shell.stderr


def test_input_says_where_the_picture_goes(queue, pictures, tmp_path):
    path = tmp_path / "two.json"
    path.write_text(json.dumps(TWO_LOADERS))
    with fake_server(uploads={"example.png": b"the other one"}) as server:
        shell = queue(server, pictures / "a.png", "--input", "5.image", workflow=path)
        assert shell.code == 0
        (prompt,) = (body["prompt"] for body in server.prompts)
        assert prompt["1"] == WORKFLOW["1"]
        assert server.uploads[prompt["5"]["inputs"]["image"]] == b"picture a.png"


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a child process")
def test_ctrl_c_takes_back_what_is_ours_and_nothing_needs_torch(tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    for index in range(10):
        (root / f"{index}.png").write_bytes(b"picture %d" % index)
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    with fake_server(seconds=0.4, waiting=[], running=[]) as server:
        command = [
            sys.executable, "-c", CODE_OF_MAIN, "queue", root, "-o", tmp_path / "out",
            "--workflow", tmp_path / "workflow.json", "--server", server.url,
        ]  # fmt: skip
        with subprocess.Popen(
            list(map(str, command)), stderr=subprocess.PIPE, text=True
        ) as process:
            deadline = time.monotonic() + 30
            while len(server.history) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            server.waiting.append("of another client")
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            said = process.stderr.read()
        assert process.returncode == 130
        assert "then interrupted" in said
        assert "Traceback" not in said
        assert server.waiting == ["of another client"]
        time.sleep(0.3)
        assert server.running == []  # ours was interrupted
    done = results(tmp_path / "out")  # uploads race, so the first to end may be any of four
    assert 1 <= len(done) < 10
    for name, content in done.items():
        assert content == f"result x_00001_.png of picture {name.removesuffix('.png')}"


def test_the_graph_of_the_readme_takes_pictures(queue, pictures, tmp_path):
    graph = Path(__file__).parents[2] / "examples" / "api" / "cutout.json"
    with fake_server(files_of={"4": ["x_00001_.png"]}) as server:
        assert queue(server, pictures, workflow=graph).code == 0
    assert results(tmp_path / "out")
    assert {body["prompt"]["2"]["inputs"]["model"] for body in server.prompts} == {"toonout-mini"}
