"""Pictures on a Ray cluster of two nodes; and without Ray, what is said."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).with_name("ray_cluster.py")
COUNT = 14
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs the package ray")


@pytest.fixture
def pictures(tmp_path):
    """A light square at another place in each; one that is no picture; an animation."""
    root = tmp_path / "in"
    root.mkdir()
    for number in range(COUNT):
        pixels = np.zeros((30, 60, 3), np.uint8)
        pixels[8:22, 2 * number : 2 * number + 14] = 255
        Image.fromarray(pixels).save(root / f"{number:02d}.png")
    (root / "broken.png").write_bytes(b"no picture")
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("white", "black", "white")]
    frames[0].save(root / "moves.gif", save_all=True, append_images=frames[1:], duration=50)
    return root


def on_cluster(tmp_path, pictures, *options, lose_a_node_after=0):
    out = tmp_path / "out"
    words = ["cutout", pictures, "-o", out, "--files-per-task", 2, *options]
    given = {
        "words": list(map(str, words)), "out": str(out), "lose_a_node_after": lose_a_node_after
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, str(SCRIPT), json.dumps(given)], capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".toonout")}


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("lose_a_node_after", [0, 3])
def test_the_same_results_as_in_one_process_and_the_same_manifest(
    toonout, tmp_path, pictures, light, lose_a_node_after
):
    options = ("--model", light, "--grow", 1)
    done = on_cluster(tmp_path, pictures, *options, lose_a_node_after=lose_a_node_after)
    assert done.returncode == 1, done.stderr
    assert f"{COUNT + 1} done, 1 failed." in done.stderr
    assert "broken.png is damaged or not a picture" in done.stderr
    assert "Traceback" not in done.stderr
    alone = tmp_path / "alone"
    assert toonout("cutout", pictures, "-o", alone, *options).code == 1
    assert contents(tmp_path / "out") == contents(alone)

    # what one engine has done, the other leaves out
    again = toonout("cutout", pictures, "-o", tmp_path / "out", *options, "--resume")
    assert f"{COUNT + 1} done before" in again.stderr


class FakeRay:
    """Ray as far as it is used, in this process; `dies`: calls of `cut` that lose their actor."""

    class exceptions:  # noqa: N801
        class RayError(Exception):
            pass

        class RayActorError(RayError):
            pass

    def __init__(self, dies=(), slots=None):
        self.dies, self.slots = set(dies), slots or {"CPU": 2}
        self.calls = self.started = 0
        self.asked: list[int] = []

    def cluster_resources(self):
        return self.slots

    def put(self, content):
        return content

    def get(self, content):
        if callable(content):
            return content()
        return content

    def remote(self, kind):
        return SimpleNamespace(options=lambda **needs: SimpleNamespace(remote=self._start(kind)))

    def _start(self, kind):
        def start(*given):
            self.started += 1
            actor = kind(*given)
            return SimpleNamespace(
                cut=SimpleNamespace(remote=lambda asked: self._call(actor, asked)),
                ready=SimpleNamespace(
                    options=lambda **_: SimpleNamespace(remote=lambda: lambda: actor.ready())
                ),
            )

        return start

    def _call(self, actor, asked):
        self.calls += 1
        number = self.calls
        self.asked.append(len(asked))

        def result():
            if number in self.dies or any(b"poison" in picture.content for picture in asked):
                raise self.exceptions.RayActorError("it died")
            return actor.cut(asked)

        return result

    def wait(self, refs, *, num_returns, timeout):
        return refs[:1], refs[1:]

    def kill(self, actor):
        self.started -= 1


@pytest.fixture
def faked(monkeypatch):
    def fake(**how):
        ray = FakeRay(**how)

        @contextmanager
        def connected(arguments):
            yield ray

        monkeypatch.setitem(sys.modules, "ray", ray)
        monkeypatch.setattr("toonout_core.cli.ray_engine._connected", connected)
        return ray

    return fake


def test_one_worker_a_slot_and_batches_of_files(faked, toonout, tmp_path, pictures, light):
    ray = faked(slots={"CPU": 3.0})
    started = []
    ray.kill = started.append
    options = ("--model", light, "--engine", "ray", "--files-per-task", 4)
    shell = toonout("cutout", pictures, "-o", tmp_path / "out", *options)
    assert (shell.code, f"{COUNT + 1} done, 1 failed." in shell.stderr) == (1, True)
    assert len(started) == 3
    assert ray.asked == [4, 4, 4, 4]
    assert "broken.png is damaged or not a picture" in shell.stderr


def test_pictures_of_a_lost_worker_are_done_again_one_by_one(
    faked, toonout, tmp_path, pictures, light
):
    ray = faked(dies={2, 5})
    (pictures / "broken.png").write_bytes(b"poison")
    options = ("--model", light, "--engine", "ray", "--files-per-task", 4)
    shell = toonout("cutout", pictures, "-o", tmp_path / "out", *options)
    assert shell.code == 1
    assert f"{COUNT + 1} done, 1 failed." in shell.stderr
    assert "broken.png: A worker of the cluster failed with it (RayActorError" in shell.stderr
    assert ray.started == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == COUNT + 1


def test_what_concerns_all_pictures_ends_the_run(faked, toonout, tmp_path, pictures):
    faked()
    options = ("--model", "isnet-anime", "--no-download", "--models-dir", tmp_path)
    shell = toonout("cutout", pictures, "-o", tmp_path / "out", *options, "--engine", "ray")
    assert shell.code == 2
    assert "https://huggingface.co/skytnt/anime-seg" in shell.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-o", "a.png"], "into a folder, but got the file name a.png"),
        (["-o", "-"], "into a folder, but got a clip or a pipe"),
        (["-o", "out", "--steady"], "--steady must be left out"),
        (["-o", "out", "--raw", "8x8"], "into a folder"),
    ],
)
def test_what_does_not_go_on_a_cluster(toonout, options, sentence):
    shell = toonout("cutout", "a.jpg", "--engine", "ray", *options)
    assert shell.code == 2
    assert sentence in shell.stderr


def test_without_ray(toonout, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    shell = toonout("cutout", "a.jpg", "-o", "out", "--engine", "ray")
    assert shell.code == 2
    assert "needs the package ray, which is not installed" in shell.stderr
    assert 'python -m pip install -e ".[ray]"' in shell.stderr
