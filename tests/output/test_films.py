"""Frames into a file or a folder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from toonout_core.errors import BadInput
from toonout_core.imaging import read_frames
from toonout_core.output.films import is_folder, write_film


def frames(count, alpha=True, size_hw=(20, 31)):
    for number in range(count):
        image = torch.zeros(1, 3, *size_hw)
        image[..., number * 4 : number * 4 + 4] = 1
        yield image, (image[:, :1] * 0.6 if alpha else None)


def test_an_animated_webp_keeps_alpha_and_timing(tmp_path):
    path = write_film(tmp_path / "a.webp", frames(5), 24)
    shown = list(read_frames(path))
    assert len(shown) == 5
    assert sum(picture.seconds for picture in shown) == pytest.approx(5 / 24, abs=0.001)
    for number, picture in enumerate(shown):
        alpha = picture.alpha
        assert float(alpha[0, 0, 10, number * 4 + 1]) == pytest.approx(0.6, abs=0.02)
        assert float(alpha.sum()) == pytest.approx(0.6 * 80, rel=0.05)


def test_an_opaque_one_is_opaque(tmp_path):
    with Image.open(write_film(tmp_path / "a.webp", frames(2, alpha=False), 10)) as picture:
        assert (picture.n_frames, picture.mode) == (2, "RGB")


def test_frames_are_made_when_they_are_written(tmp_path):
    """No more than two are alive: a clip may be longer than memory."""
    import gc
    import weakref

    alive: list[weakref.ref] = []
    most = 0

    def made():
        nonlocal most
        for image, _ in frames(12, alpha=False):
            alive.append(weakref.ref(image))
            gc.collect()
            most = max(most, sum(ref() is not None for ref in alive))
            yield image, None

    for ending in ("webp", "mp4"):
        write_film(tmp_path / f"a.{ending}", made(), 24)
    write_film(tmp_path / "folder", made(), 24)
    assert most <= 3


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    out = tmp_path / "frames"
    out.mkdir()
    assert write_film(out, frames(2), 24) == out, "an empty one is taken"
    kept = out / "frames_00001.png"
    before = kept.read_bytes()
    assert write_film(out, frames(3), 24) == tmp_path / "frames_2"
    assert kept.read_bytes() == before
    assert len(list((tmp_path / "frames_2").iterdir())) == 3
    assert np.asarray(Image.open(kept)).shape == (20, 31, 4)


def test_odd_sides_get_their_last_pixel_twice_in_mp4(tmp_path):
    av = pytest.importorskip("av")
    path = write_film(tmp_path / "a.mp4", frames(3, alpha=False, size_hw=(21, 31)), 24)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.height, stream.width, stream.codec_context.name) == (22, 32, "h264")


@pytest.mark.parametrize("name", ["a.webp", "a.mp4", "folder"])
def test_no_frames_are_no_clip(tmp_path, name):
    with pytest.raises(BadInput, match="frames"):
        write_film(tmp_path / name, iter(()), 24)
    assert list(tmp_path.iterdir()) == []


def test_names_of_folders(tmp_path):
    assert is_folder("frames/")
    assert is_folder("frames")
    assert is_folder(tmp_path)
    assert not is_folder("clip.mp4")
