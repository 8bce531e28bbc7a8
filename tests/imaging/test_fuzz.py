"""A small part of tools/fuzz.py: files that are damaged in every way."""

from __future__ import annotations

import pytest

from tools import fuzz


@pytest.mark.parametrize("first", range(0, 200, 25))
def test_damaged_pictures_are_read_or_refused_in_a_sentence(tmp_path, first):
    for number in range(first, first + 25):
        made = fuzz.case("pictures", 1, number)
        path = tmp_path / made.name
        path.write_bytes(made.content)
        assert fuzz.outcome("pictures", path) in ("read", "refused"), made.name


def test_sound_pictures_are_read(tmp_path):
    unread = {"eps.png", "photo.heic", "photo.jxl"}
    for name, content in fuzz.seeds("pictures").items():
        path = tmp_path / name
        path.write_bytes(content)
        assert fuzz.outcome("pictures", path) == ("refused" if name in unread else "read"), name


def test_outcomes_that_nobody_wants_are_seen(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(b"")
    told = []
    for error in (OverflowError("raw"), fuzz.ToonOutError("no name."), fuzz.ToonOutError("x.png")):

        def throw(_, error=error):
            raise error

        monkeypatch.setitem(fuzz.READERS, "pictures", throw)
        told.append(fuzz.outcome("pictures", path))
    assert "OverflowError: raw" in told[0]
    assert told[1:] == ["no sentence: no name.", "no sentence: x.png"]


def test_the_same_number_is_the_same_file():
    assert fuzz.case("pictures", 3, 77) == fuzz.case("pictures", 3, 77)
    assert fuzz.case("pictures", 3, 77) != fuzz.case("pictures", 4, 77)
