"""The page about the house names every room, and no other."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT
from tests.test_layers import MAY_IMPORT

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def rooms_on_the_page():
    table = PAGE[PAGE.index("| room in") : PAGE.index("Beside the core")]
    return {
        name
        for line in table.splitlines()[2:]
        if line.startswith("|")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }


def test_every_room_is_named():
    assert rooms_on_the_page() == set(MAY_IMPORT) - {"__init__", "__main__"}


def test_what_is_named_exists():
    folders = re.findall(r"`((?:[\w.]+/)+[\w.]*|\w+\.py)`", PAGE)
    assert folders
    assert [name for name in folders if not (ROOT / name).exists()] == []
