"""Whatever a file holds: a picture, or one sentence that names it."""

from __future__ import annotations

import io
import subprocess
import sys
import types
import warnings

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from tests.imaging.files import noise, png, saved, tiff
from toonout_core.errors import BadInput, Cancelled
from toonout_core.imaging import (
    animated_suffixes,
    formats,
    guard,
    picture_suffixes,
    read,
    read_frames,
    to_array,
    verify,
)


def levels(picture, bits: int = 8) -> np.ndarray:
    return to_array(picture.image, bits)[0]


# ---------------------------------------------------------------- the guard


@pytest.mark.parametrize(
    "error", [OverflowError("int too large"), AssertionError(), KeyError(3), RecursionError("deep")]
)
def test_whatever_a_library_throws_is_a_sentence(tmp_path, monkeypatch, error):
    def throw(self):
        raise error

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", throw)
    path = tmp_path / "girl.png"
    path.write_bytes(png(noise(4, 4, 3)))
    with pytest.raises(BadInput, match=r"girl\.png is damaged or .*, but got an error \(\w+"):
        read(path)


def test_memory_that_a_file_asks_for_is_that_files_failure():
    with pytest.raises(BadInput, match=r"x\.gif must fit into memory"), guard.decoding("x.gif"):
        raise MemoryError


def test_a_stop_passes_the_guard():
    with pytest.raises(Cancelled), guard.decoding("x"):
        raise Cancelled
    with pytest.raises(KeyboardInterrupt), guard.attempting(lambda _: None):
        raise KeyboardInterrupt


def test_warnings_of_libraries_are_not_shown(recwarn):
    with guard.decoding("x"):
        warnings.warn("Corrupt EXIF data", UserWarning, stacklevel=1)
    assert not list(recwarn)


# ---------------------------------------------------------------- what is read


def test_every_ending_that_pillow_opens_is_read_and_no_other():
    named = picture_suffixes()
    read_ones = "png jpg jfif jpe jp2 psd webp gif tif bmp tga ico heic jxl"
    assert {f".{ending}" for ending in read_ones.split()} <= named
    others = "eps ps pdf mpg h5 wmf txt fits"
    assert not {f".{ending}" for ending in others.split()} & named
    assert {".gif", ".tif", ".apng", ".webp"} <= animated_suffixes()
    assert not {".png", ".jpg", ".psd", ".ico"} & animated_suffixes()


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"


@pytest.mark.parametrize("head", [EPS, b"\xc5\xd0\xd3\xc6" + bytes(99)])
def test_eps_is_refused_and_no_program_is_started(tmp_path, monkeypatch, head):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program is started"))
    path = tmp_path / "girl.png"
    path.write_bytes(head)
    with pytest.raises(BadInput, match=r"girl\.png must be .*, but got EPS"):
        read(path)
    with Image.open(io.BytesIO(EPS)) as eps, pytest.raises(BadInput, match="EPS"):
        read(eps)


@pytest.mark.parametrize(
    ("head", "package"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "pillow-heif"),
        (b"\xff\x0a\xfa\x1f", "pillow-jxl-plugin"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "pillow-jxl-plugin"),
    ],
)
def test_the_sentence_names_the_package_that_is_needed(tmp_path, monkeypatch, head, package):
    for module in ("pillow_heif", "pillow_jxl"):
        monkeypatch.setitem(sys.modules, module, None)
    path = tmp_path / "photo.bin"
    path.write_bytes(head.ljust(99, b"\0"))
    with pytest.raises(BadInput, match=rf"photo\.bin .*Install the package {package}"):
        read(path)


def test_a_package_that_is_there_is_used(tmp_path, monkeypatch):
    called = []
    module = types.SimpleNamespace(register_heif_opener=lambda: called.append(1))
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    path = tmp_path / "photo.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic".ljust(99, b"\0"))
    with pytest.raises(BadInput):  # this one teaches Pillow nothing
        read(path)
    assert called == [1]


def test_stubs_that_decode_nothing_are_not_tried():
    assert "WMF" not in formats.openable()
    for name in formats.openable():
        factory = Image.OPEN[name][0]
        assert not isinstance(factory, type) or not issubclass(factory, ImageFile.StubImageFile)


# ---------------------------------------------------------------- end marks


def whole_jpeg(**options) -> bytes:
    grey = np.linspace(0, 200, 96).astype(np.uint8)[:, None, None]
    return saved(Image.fromarray(grey + noise(96, 64, 3) // 8), "JPEG", quality=92, **options)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_a_jpeg_that_lacks_its_end_mark_is_read_with_a_note(options):
    data = whole_jpeg(**options)
    assert data.endswith(b"\xff\xd9")
    for short in (data[:-2], data[:-1]):
        picture = read(io.BytesIO(short))
        assert np.array_equal(levels(picture), levels(read(io.BytesIO(data))))
        assert picture.notes == ("the end mark of the file is missing",)
    assert read(io.BytesIO(data)).notes == ()


@pytest.mark.parametrize("lost", [12, 40, 400, 2000])
def test_a_jpeg_that_lacks_more_is_refused(lost):
    with pytest.raises(BadInput, match="must be a whole picture"):
        read(io.BytesIO(whole_jpeg()[:-lost]))


def test_a_png_that_lacks_its_end_mark_is_read_with_a_note():
    pixels = noise(5, 4, 3)
    for data in (png(pixels, end=False), png(pixels)[:-3]):
        picture = read(io.BytesIO(data))
        assert np.array_equal(levels(picture), pixels)
        assert picture.notes == ("the end mark of the file is missing",)


# ---------------------------------------------------------------- frames


def test_layers_are_no_frames():
    """A PSD without layers: Pillow says that it has no frames, and the composite is there."""
    size, planes = (5, 4), noise(4, 5, 3)
    head = b"8BPS\0\1" + b"\0" * 6 + b"\0\3\0\0\0\4\0\0\0\5\0\x08\0\3" + b"\0" * 12 + b"\0\0"
    data = head + b"".join(planes[..., channel].tobytes() for channel in range(3))
    (picture,) = read_frames(io.BytesIO(data))
    assert picture.size_hw == size[::-1]
    assert np.array_equal(levels(picture), planes)


def test_the_picture_for_programs_without_animations_is_no_frame():
    frames = [Image.new("RGB", (3, 3), (value, 0, 0)) for value in (9, 120, 255)]
    data = saved(
        frames[0], "PNG", save_all=True, append_images=frames[1:], default_image=True, duration=40
    )
    found = list(read_frames(io.BytesIO(data)))
    assert [int(levels(frame)[0, 0, 0]) for frame in found] == [120, 255]
    assert [frame.seconds for frame in found] == [0.04, 0.04]
    assert int(levels(read(io.BytesIO(data)))[0, 0, 0]) == 120


def test_frames_that_are_too_fast_for_browsers_last_a_tenth():
    frames = [Image.new("RGB", (3, 3), (value, 0, 0)) for value in (9, 120, 255)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=[10, 30, 500])
    assert [frame.seconds for frame in read_frames(io.BytesIO(data))] == [0.1, 0.03, 0.5]
    assert read(io.BytesIO(png(noise(3, 3, 3)))).seconds == 0


def test_a_frame_of_pillows_is_read_where_it_is():
    frames = [Image.new("L", (3, 3), value) for value in (9, 120)]
    data = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    with Image.open(io.BytesIO(data)) as picture:
        picture.seek(1)
        assert int(levels(read(picture))[0, 0, 0]) == 120


# ---------------------------------------------------------------- bombs


def test_a_bomb_is_refused_before_it_is_decoded_in_any_frame(tmp_path, monkeypatch):
    small, large = Image.new("L", (4, 4)), Image.new("L", (60, 60))
    path = tmp_path / "pages.tif"
    path.write_bytes(saved(small, "TIFF", save_all=True, append_images=[large]))
    monkeypatch.setattr(guard, "PIXEL_LIMIT", 1000)
    frames = read_frames(path)
    assert next(frames).size_hw == (4, 4)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("it is decoded"))
    with pytest.raises(BadInput, match=r"pages\.tif must have at most"):
        next(frames)


def test_a_gif_whose_canvas_grows_is_refused():
    def frame(width: int, height: int) -> bytes:
        head = b",\0\0\0\0" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"\0"
        return head + b"\x02\x02\x4c\x01\0"  # one pixel, 2 bits

    data = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + frame(1, 1) + frame(65000, 65000) + b";"
    with pytest.raises(BadInput, match="megapixels"):
        list(read_frames(io.BytesIO(data)))
    assert read(io.BytesIO(data)).size_hw == (1, 1)


def test_pillows_pictures_have_the_same_limit(monkeypatch):
    monkeypatch.setattr(guard, "PIXEL_LIMIT", 100)
    with pytest.raises(BadInput, match="at most"):
        read(Image.new("L", (11, 10)))


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    "name", ["[a] b (2024).png", "猫 \udcff\n.png", "-o.png", "x" * 251 + ".png"]
)
def test_names_that_a_file_system_allows(tmp_path, name):
    path = tmp_path / name
    try:
        path.write_bytes(png(noise(3, 3, 3)))
    except (OSError, UnicodeError):
        pytest.skip("not allowed on this file system")
    assert read(path).size_hw == (3, 3)


def test_a_folder_and_a_name_with_a_zero_get_a_sentence(tmp_path):
    for path in (tmp_path, "a\0b.png"):
        with pytest.raises(BadInput, match="must be a file that can be read"):
            read(path)


def test_what_was_written_is_looked_at(tmp_path):
    path = tmp_path / "x.png"
    data = bytearray(png(noise(9, 9, 3)))
    path.write_bytes(data)
    verify(path)
    data[60] ^= 255
    path.write_bytes(data)
    with pytest.raises(BadInput, match="what was written"):
        verify(path)


def test_32_bits_are_refused_not_clipped():
    picture = Image.new("I", (3, 3), 70000)
    with pytest.raises(BadInput, match="at most 16 bits"):
        read(picture)


def test_tiffs_made_here_are_such():
    pixels = noise(4, 6, 3)
    with Image.open(io.BytesIO(tiff(pixels))) as picture:
        assert np.array_equal(np.asarray(picture), pixels)
