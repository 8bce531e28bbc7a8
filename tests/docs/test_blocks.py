"""Every block of README and docs runs as it stands, one after the other, or says what it needs."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.art import draw_background, draw_figure, write_library
from tests.docs.pages import NEEDS, PAGES, ROOT, blocks
from tests.docs.shell import run_block

# what a block says that a command prints
PRINTED = re.compile(r"^# → (.*)$", re.MULTILINE)
LANGUAGES = {"sh", "python", "", "json", "yaml", "mermaid", "md", "diff"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The repository's folder as far as the pages use it, and folders that stand for a reader's."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shipped = tmp_path / "toonout_core" / "assets"
    shipped.mkdir(parents=True)
    shutil.copy(ROOT / "toonout_core" / "assets" / "example.webp", shipped)
    write_library(tmp_path / "art", figures=4, backgrounds=2)
    write_measured(tmp_path)
    write_cutouts(tmp_path / "cutouts")
    return tmp_path


def write_measured(root):
    """Pictures, their true mattes, and mattes of several makers, which are a little off."""
    for name in ("pictures", "truth", "mattes", "ours", "theirs"):
        (root / name).mkdir()
    for number in range(2):
        figure = draw_figure(number)
        alpha = figure.getchannel("A")
        ground = draw_background(number, figure.size)
        Image.composite(figure.convert("RGB"), ground, alpha).save(root / f"pictures/{number}.png")
        alpha.save(root / f"truth/{number}.png")
        for name, shift in (("mattes", 4), ("ours", 8), ("theirs", 12)):
            off = np.clip(np.asarray(alpha, np.int16) - shift, 0, 255).astype(np.uint8)
            Image.fromarray(off).save(root / f"{name}/{number}.png")


def write_cutouts(root):
    """Ten characters in two categories, and a background."""
    for number in range(10):
        path = root / ("pose" if number % 2 else "hair") / f"girl{chr(97 + number)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_figure(number).save(path)
    (root / "bg").mkdir()
    draw_background(0).save(root / "bg/room.png")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run_in_the_order_of_the_page(page, place, capsys):
    names: dict[str, object] = {}
    for block in blocks(page):
        if block.needs:
            continue
        if block.language == "sh":
            run_block(block.text)
            said = "\n".join(capsys.readouterr()).splitlines()
            assert [line for line in PRINTED.findall(block.text) if line not in said] == []
        elif block.language == "python":
            exec(compile(block.text, block.place, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_say_what_they_are_and_need(page):
    for block in blocks(page):
        assert block.language in LANGUAGES, block.place
        assert block.needs in ("", *NEEDS), block.place
        if block.language == "python":
            compile(block.text, block.place, "exec")


def test_the_readme_says_what_commands_print():
    said = PRINTED.findall((ROOT / "README.md").read_text("utf-8"))
    assert len(said) >= 5
    assert all(re.fullmatch(r"\d+ done\. Results?: out/\S+", line) for line in said)
