"""Videos that OpenCV and PyAV write are read again."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from toonout_core.errors import BadInput, MissingPackage
from toonout_core.output.clip_encoders import ByOpenCV, has_side_data
from toonout_core.output.clip_formats import CLIP_FORMATS, writable_formats
from toonout_core.output.clip_writers import clip_writer, new_clip
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
    with clip_writer(path, rate=12.5) as clip:
        for left in PLACES:
            clip.add(square(left)[0])
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
    with clip_writer(path) as clip:
        for _ in range(3):
            clip.add(colour.expand(1, 3, 64, 96))
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
    with clip_writer(path, rate=12.5) as clip:
        for left in PLACES:
            clip.add(*square(left))
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


# ---------------------------------------------------------------- every kind, there and back

SECONDS = (0.1, 0.3, 0.05, 0.2, 0.1)
WITH_ALPHA = [name for name, kind in CLIP_FORMATS.items() if kind.transparent]


def largest_loss(kind):
    """Of alpha. What PyAV cannot write beside colours has their quality."""
    return 2 / 255 if kind != "webm" or has_side_data() else 30 / 255


def soft(number):
    """A disc with a soft edge that moves, and a hair of one pixel."""
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    alpha = np.clip((15 - np.hypot(x - 20 - 3 * number, y - 24)) / 5 + 0.5, 0, 1)
    alpha[:, 3 + 2 * number] = 0.5
    colours = np.stack([x / SIZE_HW[1], y / SIZE_HW[0], np.full(SIZE_HW, 0.4)])
    return torch.tensor(colours)[None].float(), torch.tensor(alpha)[None, None].float()


@pytest.mark.parametrize("kind", [k for k in WITH_ALPHA if CLIP_FORMATS[k].codec is not None])
def test_many_frames_of_an_odd_width_come_back(tmp_path, kind):
    """Of ProRes every fifth one was not, by chance: swscale wrote alpha that was not there."""
    pytest.importorskip("av")
    with new_clip(tmp_path / f"discs{CLIP_FORMATS[kind].suffixes[0]}") as clip:
        for number in range(40):
            clip.add(*soft(number % 5), 0.1)
    for number, picture in enumerate(pictures_of(clip.path)):
        assert picture.alpha is not None
        image, alpha = soft(number % 5)
        assert float((picture.alpha - alpha).abs().max()) <= largest_loss(kind)
        assert float((picture.image - image).abs()[(alpha == 1).expand_as(image)].max()) < 0.06


@pytest.mark.parametrize("kind", WITH_ALPHA)
def test_alpha_and_times_come_back(tmp_path, kind):
    if CLIP_FORMATS[kind].codec is not None:
        pytest.importorskip("av")
    with new_clip(tmp_path / f"disc{CLIP_FORMATS[kind].suffixes[0]}") as clip:
        for number, seconds in enumerate(SECONDS):
            clip.add(*soft(number), seconds)
    found = list(pictures_of(clip.path))
    assert len(found) == len(SECONDS)
    for number, picture in enumerate(found):
        image, alpha = soft(number)
        assert picture.alpha is not None
        assert float((picture.alpha - alpha).abs().max()) <= largest_loss(kind)
        assert float((picture.image - image).abs().mul(alpha).mean()) < 0.01
    # what a frame is shown for lies between two times, of which WebM and Matroska keep ms
    shown = [picture.seconds for picture in found]
    assert shown[:-1] == pytest.approx(SECONDS[:-1], abs=0.0015)


@pytest.mark.parametrize("name", ["a.webp", "a.apng", "a.mp4"])
def test_nothing_is_left_of_a_clip_that_was_stopped(tmp_path, name):
    def stopped():
        with new_clip(tmp_path / name) as clip:
            clip.add(square(0)[0], None, 0.1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_gets_a_number(tmp_path):
    (tmp_path / "a.webp").write_text("somebody's")
    with new_clip(tmp_path / "a.webp") as clip:
        clip.add(square(0)[0])
    assert clip.path == tmp_path / "a_2.webp"
    assert (tmp_path / "a.webp").read_text() == "somebody's"


# ---------------------------------------------------------------- sound


def with_sound(path, seconds=1.0):
    """A clip of grey frames with a tone in PCM or AAC."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        sound = container.add_stream("aac", rate=44100)
        sound.layout = "mono"
        for number in range(round(10 * seconds)):
            frame = av.VideoFrame(32, 32, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(video.encode(frame))
        for number in range(round(44100 * seconds) // 1024):
            tone = np.sin(np.arange(number * 1024, number * 1024 + 1024) * 0.06)
            frame = av.AudioFrame.from_ndarray(
                (tone * 0.4).astype(np.float32)[None], format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 44100, number * 1024
            frame.time_base = Fraction(1, 44100)
            container.mux(sound.encode(frame))
        container.mux(video.encode())
        container.mux(sound.encode())
    return path


@pytest.mark.parametrize(
    ("kind", "codec"), [("webm", "opus"), ("mov", "aac"), ("mkv", "aac"), ("mp4", "aac")]
)
def test_sound_is_kept(tmp_path, kind, codec):
    av = pytest.importorskip("av")
    source = with_sound(tmp_path / "source.mp4")
    with new_clip(tmp_path / f"cut.{kind}", sound=source) as clip:
        for _ in range(10):
            clip.add(torch.rand(1, 3, 32, 32), None, 0.1)
    with av.open(str(clip.path)) as container:
        (track,) = container.streams.audio
        assert track.codec_context.name == codec
        frames = list(container.decode(track))
        loud = max(float(np.abs(frame.to_ndarray()).max()) for frame in frames)
        length = sum(frame.samples for frame in frames) / track.rate
    assert length == pytest.approx(1, abs=0.1)
    assert loud > 0.2


def test_sound_ends_with_the_frames_and_a_clip_without_any_is_no_fault(tmp_path):
    av = pytest.importorskip("av")
    source = with_sound(tmp_path / "source.mp4", 2)
    with new_clip(tmp_path / "short.mp4", sound=source) as clip:
        for _ in range(5):
            clip.add(torch.rand(1, 3, 32, 32), None, 0.1)
    with av.open(str(clip.path)) as container:
        assert container.duration / 1e6 == pytest.approx(0.5, abs=0.1)
    with new_clip(tmp_path / "silent.mp4", sound=clip.path) as silent:
        silent.add(torch.rand(1, 3, 32, 32))
    silent_source = tmp_path / "silent.webm"
    with new_clip(silent_source) as made:
        made.add(torch.rand(1, 3, 32, 32))
    with new_clip(tmp_path / "b.mp4", sound=silent_source) as made:
        made.add(torch.rand(1, 3, 32, 32))
    with av.open(str(made.path)) as container:
        assert not container.streams.audio


def test_what_cannot_be_is_a_sentence(tmp_path, monkeypatch):
    image, alpha = square(0)
    with pytest.raises(BadInput, match="opaque"), clip_writer(tmp_path / "a.mp4") as clip:
        clip.add(image, alpha)
    with (
        pytest.raises(BadInput, match="65×48 as the first"),
        clip_writer(tmp_path / "b.mp4") as clip,
    ):
        clip.add(image)
        clip.add(image[..., 1:])
    with pytest.raises(BadInput, match="must hold frames"), clip_writer(tmp_path / "c.webp"):
        pass
    with pytest.raises(BadInput, match=r"must end in \.webm"), new_clip(tmp_path / "c.txt"):
        pass
    with pytest.raises(BadInput, match="no file"):
        list(frames_of(tmp_path / "none.mp4"))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(BadInput, match="must be a video"):
        timing(tmp_path / "text.mp4")


@pytest.fixture
def without_pyav(monkeypatch):
    for name in ("clip_formats", "clip_encoders", "clips"):
        monkeypatch.setattr(f"toonout_core.output.{name}.has_pyav", lambda: False)


@pytest.mark.usefixtures("without_pyav")
def test_without_pyav(tmp_path):
    assert writable_formats() == ["mp4", "webp", "apng"]
    extra = r'package av.* pip install -e "\.\[video\]"'
    with pytest.raises(MissingPackage, match=extra), clip_writer(tmp_path / "a.webm"):
        pass
    path = mp4(tmp_path / "walk.mp4")
    assert timing(path) == (pytest.approx(12.5), len(PLACES))
    pictures = list(pictures_of(path))
    assert [picture.seconds for picture in pictures] == [pytest.approx(0.08)] * len(PLACES)
    assert tuple(pictures[0].image.shape[-2:]) == (48, 66)  # odd sides get a column more
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(BadInput, match="video that OpenCV reads"):
        timing(tmp_path / "text.mp4")


def test_a_clip_that_opencv_could_not_write_whole_is_an_error(tmp_path):
    """Its writer reports nothing, whatever the disk says."""
    path = tmp_path / "a.mp4"
    with pytest.raises(BadInput, match="must hold 3 frames"):
        sink = ByOpenCV(path, 10, (32, 32, 3))
        for _ in range(3):
            sink.add(torch.rand(1, 3, 32, 32), Fraction(0), Fraction(1, 10))
        sink._writer.release()
        path.write_bytes(path.read_bytes()[:1000])
        sink._writer = SimpleNamespace(release=lambda: None)
        sink.close()
