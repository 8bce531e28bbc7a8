"""Names: brackets, case, absolute places, and what is no picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from toonout_core.output.naming import find_sources
from toonout_core.output.report import Report


def plant(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def targets(found) -> dict[str, str]:
    return {source.path.name: source.target.as_posix() for source in found.sources}


def test_names_that_differ_in_case_stay_in_out(tmp_path):
    root = plant(tmp_path / "in", "Girl.png", "girl.png", "other.png")
    if len(list(root.iterdir())) < 3:
        pytest.skip("the file system takes them for the same")
    expected = {"Girl.png": "Girl.png", "girl.png": "girl.png", "other.png": "other"}
    assert targets(find_sources([root])) == expected
    assert targets(find_sources([root / "Girl.png", root / "girl.png", root / "other.png"])) == {
        **expected
    }


def test_folders_that_differ_in_case_stay_in_out(tmp_path):
    one, two = plant(tmp_path / "Art", "a.png"), plant(tmp_path / "art", "a.png")
    if one.samefile(two):
        pytest.skip("the file system takes them for the same")
    found = find_sources([one, two]).sources
    assert sorted(source.target.as_posix() for source in found) == ["Art/a", "art/a"]


def test_folders_are_told_apart_by_as_many_parents_as_it_takes(tmp_path):
    one, two = plant(tmp_path / "x/in", "a.png"), plant(tmp_path / "y/in", "a.png")
    found = find_sources([one, two]).sources
    assert sorted(source.target.as_posix() for source in found) == ["x/in/a", "y/in/a"]


@pytest.mark.parametrize(
    "pattern",
    [
        "[circle] book (2024)/*.png",
        "[circle] book (2024)/[[]p] *.png",
        "[circle] book (2024)/[p] *",
    ],
)
def test_brackets_in_names_are_no_pattern(tmp_path, monkeypatch, pattern):
    plant(tmp_path, "[circle] book (2024)/[p] 1.png", "[circle] book (2024)/notes.txt", "c/x.png")
    monkeypatch.chdir(tmp_path)
    found = find_sources([pattern])
    assert [source.path.name for source in found.sources] == ["[p] 1.png"]
    assert found.problems == []


def test_brackets_stay_a_pattern_where_they_are_one(tmp_path, monkeypatch):
    plant(tmp_path, "a1.png", "a2.png", "a3.png", "sub/a1.png")
    monkeypatch.chdir(tmp_path)
    found = find_sources(["a[12].png"])
    assert [source.path.name for source in found.sources] == ["a1.png", "a2.png"]
    assert find_sources(["a[78].png"]).problems


def test_what_is_no_picture_is_counted_and_named(tmp_path):
    root = plant(tmp_path, "a.png", "b.jfif", "c.PSD", "d.heic", "e.eps", "girl.txt", ".hidden")
    found = find_sources([root])
    assert sorted(source.path.name for source in found.sources) == [
        "a.png", "b.jfif", "c.PSD", "d.heic",
    ]  # fmt: skip
    assert [path.name for path in found.not_pictures] == ["e.eps", "girl.txt"]
    report = Report(not_read=found.not_pictures)
    assert report.sentence().endswith("Not read, as they are no pictures: 2 (e.eps, girl.txt).")
    assert report.as_json()["not_read"] == [str(root / "e.eps"), str(root / "girl.txt")]


def test_only_the_first_ones_are_named(tmp_path):
    found = find_sources([plant(tmp_path, *(f"{n}.txt" for n in range(9)))])
    assert "9 (0.txt, 1.txt, 2.txt, …)." in Report(not_read=found.not_pictures).sentence()
