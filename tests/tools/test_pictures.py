"""Every picture of the pages says what makes it again, and those that move stay small."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest
import torch
from PIL import Image
from torch.nn import functional

from tools import pictures
from toonout_core import Matte


def unknown(names):
    """Those that neither the tool nor its list of others makes."""
    others = [*pictures.PICTURES, *pictures.ELSEWHERE]
    return [name for name in names if not any(fnmatch(name, other) for other in others)]


def test_every_picture_of_the_pages_can_be_made_again():
    there = {path.name for path in pictures.FOLDER.iterdir()}
    assert unknown(there) == []
    assert set(pictures.PICTURES) <= there
    assert unknown(["hero.jpg", "of-nobody.jpg"]) == ["of-nobody.jpg"]


def test_the_frame_lies_where_edges_became_sharper(tmp_path, monkeypatch):
    sharp = torch.zeros(1, 1, 512, 640)
    sharp[..., 256:384, 320:480] = 1
    soft = sharp.clone()
    soft[..., 320:384, 380:500] = functional.avg_pool2d(sharp, 9, 1, 4)[..., 320:384, 380:500]
    soft[..., :64, :64] = 1  # a larger difference, but in one direction
    image = torch.full((1, 3, 512, 640), 0.5)
    mattes = iter([Matte(image, soft), Matte(image, sharp)])
    monkeypatch.setattr(pictures, "load_matting", lambda name: lambda picture, detail: next(mattes))
    Image.new("RGB", (640, 512), "grey").save(tmp_path / "a.png")
    before, without, sharper = pictures.redrawn_edges(tmp_path / "a.png", "toonout-mini")
    assert without.shape == sharper.shape == (1, 3, 64, 64)
    red = (before[0, 0] > 0.9) & (before[0, 1] < 0.1)
    rows, columns = red.nonzero().unbind(1)
    assert int(rows.min()) > 300
    assert 400 < int(columns.min()) < 480
    assert float((without - sharper).abs().max()) > 0.2


def test_moving_pictures_are_small_and_move():
    moving = list(pictures.FOLDER.glob("*.webp"))
    assert moving
    for path in moving:
        assert path.stat().st_size <= pictures.MOST_BYTES
        with Image.open(path) as picture:
            assert picture.n_frames > 1


def test_quality_goes_down_until_a_film_fits(tmp_path, monkeypatch):
    frames = [Image.effect_noise((64, 64), 90).convert("RGB") for _ in range(3)]
    pictures.save(tmp_path / "a.webp", frames)
    most = (tmp_path / "a.webp").stat().st_size
    monkeypatch.setattr(pictures, "MOST_BYTES", most - 1)
    pictures.save(tmp_path / "b.webp", frames)
    assert (tmp_path / "b.webp").stat().st_size < most
    monkeypatch.setattr(pictures, "MOST_BYTES", 10)
    with pytest.raises(SystemExit, match="fewer or smaller frames"):
        pictures.save(tmp_path / "c.webp", frames)
