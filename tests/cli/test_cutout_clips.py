"""`toonout cutout` of clips, called as a user would."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.output.test_clips import with_sound
from toonout_core.output.clip_cutting import ROOM, ahead
from toonout_core.output.clip_writers import new_clip
from toonout_core.output.clips import pictures_of

SIZE_HW = (24, 32)


@pytest.fixture
def cutout(toonout, model):
    def call(*arguments):
        return toonout(
            "cutout", *arguments, "--model", model, "--device", "cpu", "--resolution", 32
        )

    return call


def clip(path: Path, count: int = 5) -> Path:
    """Frames of other lengths: light above, dark below."""
    with new_clip(path) as made:
        for number in range(count):
            image = torch.zeros(1, 3, *SIZE_HW)
            image[..., : 8 + number, :] = 0.9
            made.add(image, None, 0.1 + 0.1 * (number % 2))
    return path


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


@pytest.mark.parametrize("kind", ["webm", "mov", "mkv", "apng"])
def test_a_clip_to_a_clip(cutout, tmp_path, kind):
    pytest.importorskip("av")
    source = clip(tmp_path / "walk.mp4")
    shell = cutout(source, "-o", tmp_path / f"out.{kind}")
    assert shell.code == 0
    found = list(pictures_of(tmp_path / f"out.{kind}"))
    assert len(found) == 5
    assert all(picture.alpha is not None for picture in found)
    assert [p.seconds for p in found[:4]] == pytest.approx([0.1, 0.2, 0.1, 0.2], abs=0.002)
    assert "1 done." in shell.stderr


def test_sound_and_background(cutout, tmp_path):
    av = pytest.importorskip("av")
    source = with_sound(tmp_path / "talk.mp4")
    assert cutout(source, "-o", tmp_path / "a.mp4", "--background", "#ff00ff").code == 0
    assert cutout(source, "-o", tmp_path / "b.mp4", "--mask-only", "--no-sound").code == 0
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert len(container.streams.audio) == 1
        assert container.streams.video[0].frames == 10
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert not container.streams.audio


def test_frames_and_going_on(cutout, tmp_path):
    source, out = clip(tmp_path / "walk.mp4"), tmp_path / "frames"
    assert cutout(source, "-o", out).code == 0
    frames = [f"walk_{number:05d}.png" for number in range(1, 6)]
    assert names(out) == frames
    with Image.open(out / frames[0]) as picture:
        assert (picture.mode, picture.size) == ("RGBA", SIZE_HW[::-1])
    before = {name: (out / name).stat().st_mtime_ns for name in frames}
    other = cutout(clip(tmp_path / "run.mp4"), "-o", out)
    assert "there already" not in other.stderr
    for path in out.glob("run_*"):
        path.unlink()
    whole = (out / frames[2]).read_bytes()
    (out / frames[2]).unlink()
    (out / frames[4]).write_bytes(b"somebody's")
    again = cutout(source, "-o", out, "--resume")
    assert "there already" not in again.stderr
    assert again.code == 0
    assert "3 frames were done before" in again.stderr
    assert (out / frames[2]).read_bytes() == whole
    assert (out / frames[4]).read_bytes() == b"somebody's"  # nothing of others is lost
    assert "walk_00005_2.png" in names(out)
    for name in (frames[0], frames[1], frames[3]):
        assert (out / name).stat().st_mtime_ns == before[name]
    twice = cutout(source, "-o", out)
    assert "6 results are there already; new ones get new numbers." in twice.stderr


def test_stop_leaves_no_file_or_whole_frames(cutout, tmp_path, monkeypatch):
    source = clip(tmp_path / "walk.mp4", 9)
    from toonout_core import flow as module

    inner, calls = module.MattingFlow.matte, []

    def stopped(self, *arguments, **options):
        calls.append(1)
        if len(calls) % 5 == 0:
            raise KeyboardInterrupt
        return inner(self, *arguments, **options)

    monkeypatch.setattr(module.MattingFlow, "matte", stopped)
    shell = cutout(source, "-o", tmp_path / "out.mkv")
    assert shell.code == 130
    assert names(tmp_path) == ["walk.mp4"]
    assert cutout(source, "-o", tmp_path / "frames").code == 130
    made = names(tmp_path / "frames")
    assert 1 <= len(made) <= 4
    for name in made:
        Image.open(tmp_path / "frames" / name).load()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["walk.mp4", "-o", "a.mp4"], "must have a background"),
        (["walk.mp4", "walk.mp4", "-o", "a.webm"], "made of one clip"),
        (["none.mp4", "-o", "a.webm"], "made of one clip"),
        (["walk.mp4", "walk.mp4", "-o", "frames"], "different names"),
        (["walk.mp4", "-o", "frames", "--shrink-to", "1"], "--shrink-to must be left out"),
    ],
)
def test_what_cannot_be(cutout, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    clip(tmp_path / "walk.mp4", 2)
    shell = cutout(*arguments)
    assert shell.code == 2
    assert sentence in shell.stderr
    assert names(tmp_path) == ["walk.mp4"]


def test_a_broken_clip_does_not_end_the_others(cutout, tmp_path):
    good, bad = clip(tmp_path / "good.mp4", 2), tmp_path / "bad.mp4"
    bad.write_text("no video")
    shell = cutout(bad, good, "-o", tmp_path / "out")
    assert shell.code == 1
    assert "bad.mp4 must be a video" in shell.stderr
    assert names(tmp_path / "out") == ["good_00001.png", "good_00002.png"]


# ---------------------------------------------------------------- reading ahead


def test_no_more_is_read_ahead_than_there_is_room_for():
    made = []

    def source():
        for number in range(50):
            made.append(number)
            yield number

    reading = ahead(source())
    for number in range(20):
        assert next(reading) == number
        assert len(made) <= number + ROOM + 3
    reading.close()
    assert len(made) < 50


def test_what_reading_raises_is_raised_where_it_is_asked_for():
    def source():
        yield 1
        raise ValueError("half a file")

    reading = ahead(source())
    assert next(reading) == 1
    with pytest.raises(ValueError, match="half a file"):
        next(reading)


def test_a_turned_clip_comes_upright(tmp_path):
    """As phones write it: the matrix in the header turns the picture by a quarter."""
    av = pytest.importorskip("av")
    path = tmp_path / "phone.mp4"
    with new_clip(path) as made:
        image = torch.zeros(1, 3, 32, 48)
        image[..., :16, :24] = 1  # white at the top left
        for _ in range(3):
            made.add(image)
    if not hasattr(av.VideoFrame, "rotation"):
        pytest.skip("this PyAV does not tell how a frame is turned")
    data = path.read_bytes()
    one, plain = 1 << 16, np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    header = data.index(b"tkhd")
    at = data.index(plain, header)
    # a quarter clockwise, as seen on a screen
    turned = np.array([0, one, 0, -one, 0, 0, 32 * one, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(data[:at] + turned + data[at + len(plain) :])
    picture = next(iter(pictures_of(path)))
    assert tuple(picture.image.shape[-2:]) == (48, 32)
    assert float(picture.image[..., 4, 28].mean()) > 0.8  # now at the top right
    assert float(picture.image[..., 4, 4].mean()) < 0.2


@pytest.mark.parametrize("full", [False, True])
def test_colour_ranges_are_obeyed(tmp_path, full):
    av = pytest.importorskip("av")
    path = tmp_path / "red.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv444p"
        context = stream.codec_context
        context.color_range, context.colorspace = (2 if full else 1), 1
        luma, blue, red = 0.2126 * 0.8 + 0.7152 * 0.2 + 0.0722 * 0.1, 0.0, 0.0
        blue, red = (0.1 - luma) / 1.8556, (0.8 - luma) / 1.5748
        scale = (255, 255, 0) if full else (219, 224, 16)
        frame = av.VideoFrame(32, 32, "yuv444p")
        values = (scale[2] + scale[0] * luma, 128 + scale[1] * blue, 128 + scale[1] * red)
        for plane, value in zip(frame.planes, values, strict=True):
            plane.update(bytes([round(value)]) * plane.buffer_size)
        frame.pts, frame.time_base = 0, Fraction(1, 10)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    picture = next(iter(pictures_of(path)))
    assert picture.image[0, :, 16, 16].tolist() == pytest.approx([0.8, 0.2, 0.1], abs=0.015)


def test_the_report_names_clips(cutout, tmp_path):
    source = clip(tmp_path / "walk.mp4", 2)
    assert cutout(source, "-o", tmp_path / "a.apng", "--report", tmp_path / "r.json").code == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["counts"]["done"] == 1
    assert report["pictures"][0]["outputs"] == [str(tmp_path / "a.apng")]
