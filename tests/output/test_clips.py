"""Videos that OpenCV and PyAV write are read again."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from toonout_core.errors import BadInput
from toonout_core.output.clip_writers import _OpenCV, mp4_writer, webm_writer
from toonout_core.output.clips import frames_of, pictures_of, timing

SIZE_HW = (48, 65)  # odd on purpose
PLACES = (0, 10, 20, 30)


def square(left):
    """A red square before blue, and its alpha."""
    alpha = torch.zeros(1, 1, *SIZE_HW)
    alpha[..., 12:36, left : left + 24] = 1
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    blue = torch.tensor([0, 0, 1.0]).view(1, 3, 1, 1)
    return red * alpha + blue * (1 - alpha), alpha


def mp4(path):
    with mp4_writer(path, 12.5) as add:
        for left in PLACES:
            add(square(left)[0], None)
    return path


def test_mp4_is_read_again(tmp_path):
    path = mp4(tmp_path / "walk.mp4")
    assert timing(path) == (pytest.approx(12.5), len(PLACES))
    frames = list(frames_of(path))
    assert len(frames) == len(PLACES)
    for frame, left in zip(frames, PLACES, strict=True):
        red, _, blue = frame[0, :, 24, left + 12].tolist()
        assert red > 0.8 > 0.3 > blue
        red, _, blue = frame[0, :, 4, 60].tolist()
        assert blue > 0.8 > 0.3 > red


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_colours_say_what_they_are(tmp_path, kind):
    """A player guesses by the size otherwise, and reds turn orange. Browsers play H.264 and VP9."""
    av = pytest.importorskip("av")
    colour = torch.tensor([0.8, 0.2, 0.1]).view(1, 3, 1, 1)
    path = tmp_path / f"red.{kind}"
    with {"mp4": mp4_writer, "webm": webm_writer}[kind](path, 24) as add:
        for _ in range(3):
            add(colour.expand(1, 3, 64, 96), None)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name in ("h264", "vp9", "libvpx-vp9")
        assert int(stream.codec_context.colorspace) == 1
        frame = next(container.decode(stream))
        assert frame.format.name == "yuv420p"
        luma, blue, red = (plane[0, 0] for plane in _planes(frame))
    # BT.709, 8 bits, limited range
    expected = 0.2126 * 0.8 + 0.7152 * 0.2 + 0.0722 * 0.1
    assert luma == pytest.approx(16 + 219 * expected, abs=2)
    assert blue == pytest.approx(128 + 224 * (0.1 - expected) / 1.8556, abs=2)
    assert red == pytest.approx(128 + 224 * (0.8 - expected) / 1.5748, abs=2)


def _planes(frame):
    """As they are in the file: converting between formats has faults in some releases of PyAV."""
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        yield rows[:, : plane.width].astype(float)


def test_webm_keeps_alpha(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "walk.webm"
    with webm_writer(path, 12.5) as add:
        for left in PLACES:
            image, alpha = square(left)
            add(image, alpha)
    assert timing(path)[0] == pytest.approx(12.5)
    decoder = av.codec.CodecContext.create("libvpx-vp9", "r")
    with av.open(str(path)) as container:
        packets = list(container.demux(video=0))
        found = [f for p in packets for f in decoder.decode(p if p.size else None)]
        planes = [list(_planes(frame)) for frame in found]
    assert len(planes) == len(PLACES)
    for (luma, blue, red, alpha), left in zip(planes, PLACES, strict=True):
        assert alpha.shape == luma.shape == SIZE_HW
        assert (alpha[24, left + 12], alpha[4, 60]) == (255, 0)
        place = (12, left // 2 + 6)  # of pure red, in planes of half the size
        expected = (16 + 219 * 0.2126, 128 - 112 * 0.2126 / 0.9278, 240)
        found = (luma[24, left + 12], blue[place], red[place])
        assert found == pytest.approx(expected, abs=4)


def test_an_animated_picture_is_a_clip(tmp_path):
    # of different colours too: Pillow before 10.1 takes frames that differ in alpha for equal
    frames = [Image.new("RGBA", (8, 8), (255 - v, 0, 0, v)) for v in (255, 128, 0)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    alphas = [picture.alpha for picture in pictures_of(tmp_path / "a.png")]
    means = [1.0 if alpha is None else float(alpha.mean()) for alpha in alphas]
    assert means == pytest.approx([1, 128 / 255, 0], abs=0.01)


def test_what_cannot_be_is_a_sentence(tmp_path, monkeypatch):
    image, alpha = square(0)
    with pytest.raises(BadInput, match="opaque"), mp4_writer(tmp_path / "a.mp4", 5) as add:
        add(image, alpha)
    with (
        pytest.raises(BadInput, match="65×48 as the first"),
        mp4_writer(tmp_path / "b.mp4", 5) as add,
    ):
        add(image, None)
        add(image[..., 1:], None)
    with pytest.raises(BadInput, match="no file"):
        list(frames_of(tmp_path / "none.mp4"))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(BadInput, match="video that OpenCV reads"):
        timing(tmp_path / "text.mp4")
    monkeypatch.setattr("toonout_core.output.clip_writers.has_pyav", lambda: False)
    with pytest.raises(BadInput, match="package av"), webm_writer(tmp_path / "a.webm", 5):
        pass


def test_a_clip_that_opencv_could_not_write_whole_is_an_error(tmp_path):
    """Its writer reports nothing, whatever the disk says."""
    path = tmp_path / "a.mp4"
    with pytest.raises(BadInput, match="must hold 3 frames"):
        sink = _OpenCV(path, 10, (32, 32))
        for _ in range(3):
            sink.add(torch.rand(1, 3, 32, 32), None)
        sink._writer.release()
        path.write_bytes(path.read_bytes()[:1000])
        sink._writer = SimpleNamespace(release=lambda: None)
        sink.close()
