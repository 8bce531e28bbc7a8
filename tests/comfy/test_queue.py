"""`toonout queue` and a real ComfyUI."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tests.comfy.test_server import load, matte, node

pytestmark = pytest.mark.comfy
pytest.importorskip("aiohttp")

# a light square → our matting node → the server's output folder
WORKFLOW = {
    "1": load(),
    "2": node("LoadImage", image="girl.png"),
    "3": matte(["1", 0], ["2", 0]),
    "4": node("SaveImage", images=["3", 0], filename_prefix="queue"),
}
# the same for 300 copies, of which the first is kept: seconds of work that can be stopped
SLOW = WORKFLOW | {
    "5": node("RepeatImageBatch", image=["2", 0], amount=300),
    "3": matte(["1", 0], ["5", 0]),
    "6": node("ImageFromBatch", image=["3", 0], batch_index=0, length=1),
    "4": node("SaveImage", images=["6", 0], filename_prefix="queue"),
}


def command(comfy, tmp_path, workflow, *options):
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(workflow))
    return [
        sys.executable, "-m", "toonout_core", "queue", str(tmp_path / "in"), "--recursive",
        "--workflow", str(path), "--server", comfy.url, "-o", str(tmp_path / "out"), *options,
    ]  # fmt: skip


def queue(comfy, tmp_path, workflow=WORKFLOW, *options):
    return subprocess.run(
        command(comfy, tmp_path, workflow, *options), capture_output=True, text=True, timeout=240
    )


@pytest.fixture
def pictures(tmp_path):
    """Name → column at which a light square begins."""
    squares = {"a.png": 8, "a.webp": 24, "sub/猫.jpg": 40}
    for name, left in squares.items():
        pixels = np.full((64, 96, 3), 40, np.uint8)
        pixels[16:48, left : left + 32] = 230
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, lossless=True, quality=100)
    return squares


def jobs(comfy):
    state = comfy.get("/queue")
    return len(state["queue_running"]) + len(state["queue_pending"])


def test_results_come_under_the_pictures_names(comfy, tmp_path, pictures):
    done = queue(comfy, tmp_path)
    assert (done.returncode, "3 done." in done.stderr) == (0, True), done.stderr
    names = {"a.png": "a.png.png", "a.webp": "a.webp.png", "sub/猫.jpg": "sub/猫.png"}
    for name, left in pictures.items():
        with Image.open(tmp_path / "out" / names[name]) as picture:
            assert picture.size == (96, 64)
            alpha = np.asarray(picture.convert("RGBA"))[..., 3]
        assert alpha[32, left + 16] > 250
        assert alpha[32, (left + 60) % 96] < 5
    again = queue(comfy, tmp_path, WORKFLOW, "--resume")
    assert again.returncode == 0
    assert "3 done before" in again.stderr


def test_a_broken_picture_is_one_failure(comfy, tmp_path, pictures):
    (tmp_path / "in/broken.png").write_bytes(b"no picture")
    done = queue(comfy, tmp_path)
    assert done.returncode == 1
    assert "3 done, 1 failed." in done.stderr
    assert "broken.png: LoadImage #2: " in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        WORKFLOW | {"3": node("NoSuchNode", image=["2", 0])},
        WORKFLOW | {"4": node("SaveImage", images=["1", 0], filename_prefix="x")},
        # one output is sound: the server says 200, and runs that one
        WORKFLOW | {"7": node("PreviewImage", images=["1", 0])},
    ],
)
def test_a_wrong_workflow_is_a_sentence(comfy, tmp_path, pictures, wrong):
    done = queue(comfy, tmp_path, wrong)
    assert done.returncode == 2
    assert "ComfyUI refuses it" in done.stderr
    assert "Traceback" not in done.stderr
    deadline = time.monotonic() + 20
    while jobs(comfy) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert jobs(comfy) == 0


def test_ctrl_c_leaves_an_empty_queue(comfy, tmp_path, pictures):
    with subprocess.Popen(
        command(comfy, tmp_path, SLOW), stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while jobs(comfy) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert jobs(comfy) == 3
        time.sleep(0.5)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in said
    while jobs(comfy) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert time.monotonic() - started < 40  # the whole batch would take minutes
    assert jobs(comfy) == 0
    # nothing of ours comes after the end
    time.sleep(1)
    assert [p for p in (tmp_path / "out").rglob("*") if p.suffix == ".toonout-part"] == []
    finished = queue(comfy, tmp_path, WORKFLOW, "--resume")
    assert finished.returncode == 0
