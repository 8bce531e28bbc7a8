"""Videos that OpenCV and PyAV write are read again."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from toonout_core.errors import BadInput
from toonout_core.output.clips import frames_of, mp4_writer, pictures_of, timing, webm_writer

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
        arrays = [frame.to_ndarray(format="rgba") for frame in found]
    assert len(arrays) == len(PLACES)
    for array, left in zip(arrays, PLACES, strict=True):
        assert array.shape == (*SIZE_HW, 4)
        assert array[24, left + 12].tolist() == pytest.approx([255, 0, 0, 255], abs=16)
        assert array[4, 60, 3] < 8


def test_an_animated_picture_is_a_clip(tmp_path):
    frames = [Image.new("RGBA", (8, 8), (255, 0, 0, value)) for value in (255, 128, 0)]
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
    monkeypatch.setattr("toonout_core.output.clips.writes_webm", lambda: False)
    with pytest.raises(BadInput, match="package av"), webm_writer(tmp_path / "a.webm", 5):
        pass
