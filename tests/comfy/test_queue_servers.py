"""`toonout queue` over two real ComfyUIs, of which one is killed in the middle.

COMFYUI_SECOND_PATH and COMFYUI_SECOND_PYTHON may name another release for the second one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.comfy.test_queue import SLOW, WORKFLOW, command
from tests.comfy.test_server import node

pytestmark = pytest.mark.comfy
pytest.importorskip("aiohttp")

COUNT = 10
# about a second a picture
WORK = SLOW | {"5": node("RepeatImageBatch", image=["2", 0], amount=20)}


@pytest.fixture
def second(tmp_path_factory):
    """A server that a test may kill."""
    path = os.environ.get("COMFYUI_SECOND_PATH", os.environ.get("COMFYUI_PATH"))
    if not path:
        pytest.skip("needs COMFYUI_PATH, see docs/testing.md")
    from tests.comfy.server import ComfyServer, prepare

    base = tmp_path_factory.mktemp("second")
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    python = os.environ.get("COMFYUI_SECOND_PYTHON", python)
    with ComfyServer(Path(path), python, base, prepare(base)) as server:
        yield server


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(COUNT):
        pixels = np.full((64, 96, 3), 40, np.uint8)
        pixels[16:48, 4 * number : 4 * number + 32] = 230
        Image.fromarray(pixels).save(tmp_path / f"in/{number}.png")


def results(tmp_path):
    return sorted(path.name for path in (tmp_path / "out").glob("*.png"))


def require_right(tmp_path):
    for number in range(COUNT):
        with Image.open(tmp_path / f"out/{number}.png") as picture:
            alpha = np.asarray(picture.convert("RGBA"))[..., 3]
        assert alpha[32, 4 * number + 16] > 250
        assert alpha[32, (4 * number + 60) % 96] < 5


def test_two_share_a_folder_and_one_takes_over(comfy, second, tmp_path, pictures):
    words = command(comfy, tmp_path, WORK, "--server", second.url, "--in-flight", "2")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while len(results(tmp_path)) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        second.process.kill()
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert f"{second.url} is left out" in said
    assert f"{COUNT} done." in said
    assert results(tmp_path) == sorted(f"{number}.png" for number in range(COUNT))
    require_right(tmp_path)
    assert comfy.get("/queue") == {"queue_running": [], "queue_pending": []}


def test_two_share_a_folder_to_its_end(comfy, second, tmp_path, pictures):
    words = command(comfy, tmp_path, WORKFLOW, "--server", second.url, "--in-flight", "1")
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    require_right(tmp_path)
    shares = [len(server.get("/history")) for server in (comfy, second)]
    assert shares[1] > 0
    assert f"{second.url}: {shares[1]} done" in done.stderr
