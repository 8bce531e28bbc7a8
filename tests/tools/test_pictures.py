"""Every picture of the pages says what makes it again, and those that move stay small."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest
from PIL import Image

from tools import pictures


def unknown(names):
    """Those that neither the tool nor its list of others makes."""
    others = [*pictures.PICTURES, *pictures.ELSEWHERE]
    return [name for name in names if not any(fnmatch(name, other) for other in others)]


def test_every_picture_of_the_pages_can_be_made_again():
    there = {path.name for path in pictures.FOLDER.iterdir()}
    assert unknown(there) == []
    assert set(pictures.PICTURES) <= there
    assert unknown(["hero.jpg", "of-nobody.jpg"]) == ["of-nobody.jpg"]


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
