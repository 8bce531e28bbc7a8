"""`toonout dataset`: from a folder of cutouts to a checked data set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.art import draw_figure
from toonout_core.cli.dataset import finding_lines
from toonout_core.training.dataset.checking import Finding
from toonout_core.training.examples import find_examples


def test_split_check_and_mattes(toonout, tmp_path):
    root, out = tmp_path / "cutouts", tmp_path / "out"
    (root / "pose").mkdir(parents=True)
    for index in range(10):
        draw_figure(index, (270, 300)).save(root / "pose" / f"who{index}x.png")
    shell = toonout("dataset", "check", root)
    assert shell.code == 1
    assert "FAULT  no splits yet. Run `toonout dataset split` next" in shell.stdout
    assert "Nothing stands in the way" not in shell.stderr
    shell = toonout("dataset", "split", root, "-o", out)
    assert shell.code == 0, shell.stderr
    assert "The best epoch would be chosen by 1 picture" in shell.stderr
    assert "| pose | 8 | 1 | 1 |" in shell.stdout
    shell = toonout("dataset", "check", out, "--json", tmp_path / "found.json")
    assert shell.code == 0, shell.stdout
    assert "note  few to choose by: validation. The best epoch would be chosen by 1" in shell.stdout
    assert json.loads((tmp_path / "found.json").read_text())["counts"]["train"] == {"pose": 8}
    shell = toonout("dataset", "mattes", out, "-o", tmp_path / "m", "--threshold", 0, 220)
    assert shell.code == 0, shell.stderr
    assert len(list((tmp_path / "m" / "train" / "pose" / "gt").iterdir())) == 8
    (trained, *_) = (out / "train" / "pose").iterdir()
    shutil.copy(trained, out / "test" / "pose" / "stranger.png")
    shell = toonout("dataset", "check", out)
    assert shell.code == 1
    assert f"FAULT  leak: test/pose/stranger, train/pose/{trained.stem}." in shell.stdout


@pytest.mark.parametrize("root", ["cutouts", "../here/cutouts", "."])
def test_folders_may_be_named_as_they_are_seen_from_here(toonout, tmp_path, monkeypatch, root):
    where = tmp_path / "here"
    folder = where / "cutouts"
    folder.mkdir(parents=True)
    for index in range(10):
        draw_figure(index, (270, 300)).save(folder / f"who{index}x.png")
    monkeypatch.chdir(folder if root == "." else where)
    assert toonout("dataset", "split", root, "-o", "../mine").code == 0
    assert toonout("dataset", "check", "../mine").code == 0
    assert toonout("dataset", "mattes", "../mine/test", "-o", "../truth").code == 0
    assert [len(find_examples(Path("../mine"), name)) for name in ("train", "val")] == [8, 1]


def test_a_category_that_counts_as_one_character_is_told(toonout, tmp_path):
    for index in range(8):
        for folder, name in (("pose", f"frame_{index}.png"), ("hair", f"who{index}x.png")):
            (tmp_path / "in" / folder).mkdir(parents=True, exist_ok=True)
            seed = index + 20 * (folder == "hair")
            draw_figure(seed, (270, 300)).save(tmp_path / "in" / folder / name)
    shell = toonout("dataset", "split", tmp_path / "in", "-o", tmp_path / "out")
    assert "All of pose is in train" in shell.stderr
    rule = ("--character", "file")
    shell = toonout("dataset", "split", tmp_path / "in", "-o", tmp_path / "other", *rule)
    assert "All of" not in shell.stderr


def test_what_is_not_there_is_code_2(toonout, tmp_path):
    for task in ("split", "mattes"):
        assert toonout("dataset", task, tmp_path / "x", "-o", tmp_path / "y").code == 2
    assert toonout("dataset", "check", tmp_path).code == 2


def test_what_is_said_of_many_pictures_is_said_once():
    small = [Finding("small", (f"{i}",), "Tiny.", grave=False) for i in range(6)]
    twins = [Finding("duplicate", ("0", name), "Alike.", grave=False) for name in "12"]
    lines = finding_lines([*small, *twins, Finding("opaque", ("6",), "Nothing of it.")])
    assert lines == [
        "FAULT  opaque: 6. Nothing of it.",
        "note  duplicate: 0, 1. Alike.",
        "note  duplicate: 0, 2. Alike.",
        "note  small: 0, 1, 2, 3 and 2 more. Tiny.",
    ]
