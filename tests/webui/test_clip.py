"""The tab's page for clips."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.webui.fake_host import part
from tests.webui.pictures import girl
from tests.webui.test_pages import build, press

SIZE = (96, 128)


@pytest.fixture
def page(host, tmp_path):
    host.opts.data["outdir_samples"] = str(tmp_path / "out")
    return build(host)


@pytest.fixture
def clip(tmp_path):
    """Three frames, uploaded under a temporary name."""
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "tmp123.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 8, SIZE)
    for _ in range(3):
        writer.write(np.ascontiguousarray(np.asarray(girl(SIZE))[..., ::-1]))
    writer.release()
    return SimpleNamespace(name=str(path), orig_name="walk.avi")


def run(page, clip, kind="png", **values):
    given = {f"toonout_clip_{name}": value for name, value in values.items()}
    files = {"toonout_clip_files": [clip] if clip else None, "toonout_clip_format": kind}
    return list(press(page, "toonout_clip_start", **files, toonout_clip_resolution=64, **given))


def results(tmp_path):
    out = tmp_path / "out" / "toonout"
    return sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())


def test_a_clip_becomes_a_folder_of_frames(host, page, clip, tmp_path):
    lines = run(page, clip, output="cutout + mask")
    assert "walk: 2/3" in lines[1]
    assert "walk: 3 frames" in lines[-1]
    frames = [f"walk/walk_{n:05d}{kind}.png" for n in (1, 2, 3) for kind in (".mask", "")]
    assert results(tmp_path) == sorted(frames)
    with Image.open(tmp_path / "out/toonout/walk/walk_00001.png") as cutout:
        assert (cutout.mode, cutout.size) == ("RGBA", SIZE)
        alpha = cutout.getchannel("A").tobytes()
    with Image.open(tmp_path / "out/toonout/walk/walk_00001.mask.png") as mask:
        assert (mask.mode, mask.tobytes()) == ("L", alpha)
    assert host.state.jobs == ["ToonOut"] * 3  # others get their turn between frames
    run(page, clip)
    assert "walk_2/walk_00003.png" in results(tmp_path)  # nothing is overwritten


def test_mp4_on_a_colour(page, clip, tmp_path):
    from toonout_core.output.clips import frames_of

    run(page, clip, "mp4", background="colour", colour="#00ff00", output="cutout + mask")
    assert results(tmp_path) == ["walk.mask.mp4", "walk.mp4"]
    frames = list(frames_of(tmp_path / "out/toonout/walk.mp4"))
    assert len(frames) == 3
    red, green, blue = frames[0][0, :, 2, 2].tolist()
    assert green > 0.8 > 0.3 > max(red, blue)


def test_webm(page, clip, tmp_path):
    pytest.importorskip("av")
    assert "3 frames" in run(page, clip, "webm")[-1]
    assert results(tmp_path) == ["walk.webm"]
    assert b"webm" in (tmp_path / "out/toonout/walk.webm").read_bytes()[:64]


@pytest.mark.parametrize("kind", ["png", "mp4"])
def test_stop_keeps_frames_and_drops_videos(page, clip, tmp_path, kind):
    running = press(
        page, "toonout_clip_start", toonout_clip_files=[clip], toonout_clip_format=kind,
        toonout_clip_resolution=64, toonout_clip_background="colour",
    )  # fmt: skip
    next(running)
    press(page, "toonout_clip_stop")
    assert "stopped after 1 frames" in list(running)[-1]
    assert results(tmp_path) == (["walk/walk_00001.png"] if kind == "png" else [])


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_the_hosts_interrupt_before_the_first_frame(page, clip, tmp_path, monkeypatch, kind):
    if kind == "webm":
        pytest.importorskip("av")

    def stopped(*arguments):
        raise part("tab_clip").Cancelled("Stopped, as you asked.")

    monkeypatch.setattr(part("tab_clip"), "cut", stopped)
    (line,) = run(page, clip, kind, background="colour")
    assert "walk: stopped after 0 frames" in line
    assert results(tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        ("mp4", {}, "mp4 must have a background"),
        ("png", {"crop": True}, "frames must keep their size"),
        ("png", {"background": "picture"}, "must come with a picture"),
        ("gif", {}, "format must be one of"),
    ],
)
def test_wrong_wishes(page, clip, tmp_path, kind, values, sentence):
    (line,) = run(page, clip, kind, **values)
    assert sentence in line
    assert not (tmp_path / "out").exists()


def test_what_is_no_clip_and_webm_without_its_package(page, tmp_path, monkeypatch):
    assert "there must be a clip" in run(page, None)[-1]
    (tmp_path / "a.mp4").write_text("no video")
    upload = SimpleNamespace(name=str(tmp_path / "a.mp4"), orig_name="a.mp4")
    assert "must be a video" in run(page, upload)[-1]
    monkeypatch.setattr(part("tab_clip"), "writable_formats", lambda: ["mp4", "webp", "apng"])
    assert "format must be one of png, mp4, webp, apng" in run(page, upload, "webm")[-1]


def test_steady_sees_all_frames_of_a_clip_and_none_of_another(page, clip, monkeypatch):
    seen = []
    monkeypatch.setattr(
        part("cutting").Steady, "__call__", lambda self, image, alpha: seen.append(self) or alpha
    )
    run(page, clip)
    assert not seen
    run(page, clip, steady=True)
    assert len(seen) == 3
    assert len(set(map(id, seen))) == 1
    run(page, clip, steady=True)
    assert len(set(map(id, seen))) == 2
