"""Load Folder and names that every file system allows."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.comfy.characters import at_places
from tests.imaging.files import chunk, noise, png


def test_brackets_in_names_are_no_pattern(nodes, host):
    for name in ("[circle] book/[p] 1.png", "[circle] book/p 2.png"):
        (host.input / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(host.input / name)
    node = nodes["ToonOut_LoadFolder"]
    for pattern in ("[p] *", "[P] 1.png"):
        found = at_places(node, "[circle] book", pattern, False, 0, 0, True).result
        assert "[p] 1" in found[1]


def test_names_that_are_no_utf_8(nodes, host):
    path = host.input / "girl \udcff.png"
    try:
        Image.new("RGB", (4, 4)).save(path)
    except (OSError, UnicodeError):
        pytest.skip("not allowed on this file system")
    node = nodes["ToonOut_LoadFolder"]
    options = {"folder": "", "pattern": "*", "recursive": False, "start": 0, "limit": 0}
    before = node.fingerprint_inputs(**options)
    assert len(before) == 64 and node.fingerprint_inputs(**options) == before
    assert at_places(node, *options.values(), True).result[1] == ["girl \udcff"]


def test_what_was_left_out_of_a_picture_is_in_the_log(nodes, host, caplog):
    (host.input / "a.png").write_bytes(png(noise(4, 4, 3), chunk(b"eXIf", b"II*\0")))
    at_places(nodes["ToonOut_LoadFolder"], "", "*", False, 0, 0, True)
    assert "a.png: EXIF was left out" in caplog.text
