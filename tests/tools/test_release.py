"""What a release must have, and what its check says where it has not."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from tools import brand, readme, release

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout():
    try:
        release.tracked()
    except release.NoCheckoutError as error:
        pytest.skip(str(error))


def test_everything_but_the_changelog_is_ready(checkout):
    assert release.check_address() == []
    assert release.check_archive() == []
    assert release.check_licences() == []


def test_a_version_without_its_part_of_the_changelog_is_said(monkeypatch):
    monkeypatch.setattr(release.toonout_core, "__version__", "99.0.0")
    (problem,) = release.check_version()
    assert "'## [99.0.0] - YEAR-MONTH-DAY'" in problem
    monkeypatch.setattr(release.toonout_core, "__version__", "next")
    assert "three numbers" in release.check_version()[0]


def test_a_developers_folder_in_the_archive_and_a_lost_page_are_said(checkout, monkeypatch):
    names = release.archive()
    page = "web/docs/ToonOut_Matte.md"
    changed = [name for name in names if name != page] + ["tests/torture.py"]
    monkeypatch.setattr(release, "archive", lambda: changed)
    assert release.check_archive() == [
        f"{page} is not in the archive",
        "tests/torture.py is in the archive",
    ]


def test_a_picture_without_a_licence_is_said():
    notice = "\nPictures\n\n  a/*.png, b.jpg: drawn here, MIT\n  c/*.png: from somewhere\n"
    patterns = release.licensed(notice)
    assert patterns == ["a/*.png", "b.jpg"]
    told = release.unlicensed(["a/x.png", "b.jpg", "c/y.png"], patterns)
    assert told == ["c/y.png: NOTICE names no licence for it"]


def test_weights_and_pictures_are_looked_at(checkout):
    assert "toonout_core/assets/example.webp" in release.pictures()
    assert "docs/images/icon.svg" in release.pictures()
    assert any(name.startswith("web/docs/pictures/") for name in release.pictures())


def test_the_validator_is_asked_where_it_is_installed(monkeypatch, capsys):
    monkeypatch.setattr(release.shutil, "which", lambda name: None)
    assert release.check_validator() == []
    assert "not installed" in capsys.readouterr().out
    done = type("Done", (), {"returncode": 1, "stdout": "no licence", "stderr": ""})
    monkeypatch.setattr(release.shutil, "which", lambda name: "comfy")
    monkeypatch.setattr(release.subprocess, "run", lambda *a, **k: done)
    assert release.check_validator() == ["no licence"]


def test_the_address_stands_in_one_place():
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    own = readme.address(project)
    assert readme.foreign((ROOT / "README.md").read_text("utf-8"), own) == []
    assert own in (ROOT / "README.md").read_text("utf-8")
    raw = own.replace(readme.HOST, readme.RAW)
    for key, file in (("Icon", "icon.png"), ("Banner", "banner.png")):
        assert f'{key} = "{raw}/main/docs/images/{file}"' in project
        assert (ROOT / "docs" / "images" / file).is_file()


def test_another_address_is_filled_in_everywhere():
    old, new = "https://github.com/a/pack", "https://github.com/b/other"
    text = f"[x]({old}) {old}.git {old}/issues https://github.com/a/packs "
    text += "https://raw.githubusercontent.com/a/pack/main/i.png"
    assert readme.moved(text, old, new) == (
        f"[x]({new}) {new}.git {new}/issues https://github.com/a/packs "
        "https://raw.githubusercontent.com/b/other/main/i.png"
    )
    assert readme.foreign("https://github.com/c/pack/x", old) == ["https://github.com/c/pack"]
    with pytest.raises(ValueError, match="must hold Repository"):
        readme.address('Repository = "https://example.org/x"')


def test_icon_and_banner_are_what_the_tool_draws():
    """After a change of tools/brand.py: run it."""
    for name, svg in brand.drawings().items():
        assert (brand.IMAGES / f"{name}.svg").read_text("utf-8") == svg
    sizes = {"icon": (brand.ICON_PX, brand.ICON_PX), "banner": brand.BANNER_PX}
    for name, size in sizes.items():
        with Image.open(brand.IMAGES / f"{name}.png") as picture:
            assert picture.size == size
    assert brand.BANNER_PX[0] * 9 == brand.BANNER_PX[1] * 21


def test_drawings_become_pictures_of_their_size():
    pytest.importorskip("resvg_py")
    with Image.open(io.BytesIO(brand.as_png(brand.icon()))) as picture:
        assert picture.size == (400, 400)
        corners, middle = picture.getpixel((0, 0)), picture.getpixel((200, 130))
    assert corners[3] == 0, "the icon's corners are round"
    assert re.fullmatch("#ff7a59", "#{:02x}{:02x}{:02x}".format(*middle[:3])), "her hair"
