"""Files that are whole or not there, and take nobody's name."""

from __future__ import annotations

import pytest

from toonout_core.output.publishing import Part, publish_parts


def part(suffix, content=b"x"):
    def encode(stream):
        stream.write(content)
        return [f"wrote {suffix}"]

    return Part(suffix, encode)


def test_parts_share_a_number(tmp_path):
    (tmp_path / "girl.b.png").write_bytes(b"somebody's")
    paths, notes = publish_parts([part(".a.png"), part(".b.png")], tmp_path, "girl")
    assert [path.name for path in paths] == ["girl_2.a.png", "girl_2.b.png"]
    assert notes == ["wrote .a.png", "wrote .b.png"]
    assert (tmp_path / "girl.b.png").read_bytes() == b"somebody's"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_part_that_fails_leaves_nothing(tmp_path):
    def fail(stream):
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        publish_parts([part(".a.png"), Part(".b.png", fail)], tmp_path, "girl")
    assert list(tmp_path.iterdir()) == []
