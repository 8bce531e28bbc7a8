"""Every picture is found once and has a name of its own, whatever the order of the arguments."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toonout_core.output.naming import find_sources


def plant(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def targets(*arguments: Path | str, **options: object) -> dict[str, str]:
    found = find_sources(arguments, **options)  # type: ignore[arg-type]
    return {source.path.name: source.target.as_posix() for source in found.sources}


def test_a_folder_is_mirrored(tmp_path: Path) -> None:
    plant(tmp_path, "in/a.png", "in/sub/b.png", "in/sub/deep/猫.webp", "in/notes.txt", "in/.x.png")
    assert targets(tmp_path / "in", recursive=True) == {
        "a.png": "a", "b.png": "sub/b", "猫.webp": "sub/deep/猫",
    }  # fmt: skip
    found = find_sources([tmp_path / "in"])
    assert [source.path.name for source in found.sources] == ["a.png"]
    assert found.folders_left_out == 1


def test_same_stem_keeps_the_ending(tmp_path: Path) -> None:
    plant(tmp_path, "a.png", "A.jpg", "b.png", "a.jpg.png")
    assert targets(tmp_path) == {
        "a.png": "a.png", "A.jpg": "A.jpg", "b.png": "b", "a.jpg.png": "a.jpg.png",
    }  # fmt: skip


def test_names_do_not_depend_on_what_is_chosen(tmp_path: Path) -> None:
    plant(tmp_path, "a.png", "a.jpg", "b.png")
    whole = targets(tmp_path)
    for name in ("a.png", "a.jpg", "b.png"):
        assert targets(tmp_path / name) == {name: whole[name]}


def test_frames_of_an_animation_do_not_meet_a_still(tmp_path: Path) -> None:
    plant(tmp_path, "run.gif", "run_0001.png")
    assert targets(tmp_path) == {"run.gif": "run.gif", "run_0001.png": "run_0001"}


def test_order_of_arguments_changes_nothing(tmp_path: Path) -> None:
    plant(tmp_path, "x/in/a.png", "y/in/a.png", "z/a.png", "z/b.png")
    arguments = [tmp_path / "x/in", tmp_path / "y/in", tmp_path / "z/a.png"]
    results = {
        tuple((str(s.path), s.target.as_posix()) for s in find_sources(order).sources)
        for order in itertools.permutations(arguments)
    }
    assert len(results) == 1
    assert [target for _, target in results.pop()] == ["a", "x/in/a", "y/in/a"]


def test_several_folders_have_their_names_in_front(tmp_path: Path) -> None:
    plant(tmp_path, "one/a.png", "two/a.png", "two/sub/c.png")
    found = find_sources([tmp_path / "one", tmp_path / "two"], recursive=True)
    assert [s.target.as_posix() for s in found.sources] == ["one/a", "two/a", "two/sub/c"]


def test_a_picture_named_twice_is_done_once(tmp_path: Path) -> None:
    plant(tmp_path, "in/a.png")
    found = find_sources([tmp_path / "in", tmp_path / "in/a.png", tmp_path / "in/*.png"])
    assert len(found.sources) == 1


def test_patterns_are_mirrored_from_their_fixed_part(tmp_path: Path) -> None:
    plant(tmp_path, "in/a.png", "in/sub/b.jpg", "in/sub/c.png", "in/[1].png", "in/readme.md")
    assert targets(str(tmp_path / "in/**/*.png")) == {
        "a.png": "a", "c.png": "sub/c", "[1].png": "[1]",
    }  # fmt: skip
    assert targets(str(tmp_path / "in/**"))["b.jpg"] == "sub/b"
    assert targets(str(tmp_path / "in/[1].png")) == {"[1].png": "[1]"}


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    found = find_sources([tmp_path / "none.png", str(tmp_path / "*.png")])
    assert [name for name, _ in found.problems] == [
        str(tmp_path / "none.png"), str(tmp_path / "*.png"),
    ]  # fmt: skip


def test_results_inside_the_input_are_not_read(tmp_path: Path) -> None:
    plant(tmp_path, "a.png", "out/a.png", "b.png")
    assert set(targets(tmp_path, recursive=True, out=tmp_path / "out")) == {"a.png", "b.png"}
    assert set(targets(str(tmp_path / "**/*.png"), out=tmp_path / "out")) == {"a.png", "b.png"}
    found = find_sources([tmp_path], out=tmp_path, results={tmp_path / "b.png"})
    assert [source.path.name for source in found.sources] == ["a.png"]
    assert found.results_left_out == 1


def test_own_results_do_not_change_a_name(tmp_path: Path) -> None:
    plant(tmp_path, "a.jpg", "a.png")
    assert targets(tmp_path / "a.jpg", results={tmp_path / "a.png"}) == {"a.jpg": "a"}


def test_circles_of_links_end(tmp_path: Path) -> None:
    plant(tmp_path, "in/a.png", "in/sub/b.png")
    (tmp_path / "in/sub/up").symlink_to(tmp_path / "in")
    (tmp_path / "in/again").symlink_to(tmp_path / "in/sub")
    (tmp_path / "in/broken.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "in/itself.png").symlink_to(tmp_path / "in/itself.png")
    (tmp_path / "in/itself").symlink_to(tmp_path / "in/itself")
    plant(tmp_path, "far/c.png")
    (tmp_path / "in/far").symlink_to(tmp_path / "far")
    expected = {"a.png": "a", "b.png": "sub/b", "c.png": "far/c", "broken.png": "broken"}
    expected |= {"itself.png": "itself"}
    assert targets(tmp_path / "in", recursive=True) == expected
    assert set(targets(str(tmp_path / "in/**/*.png"))) == {"a.png", "b.png"}


NAMES = st.lists(
    st.tuples(
        st.sampled_from(["", "s/", "s/t/"]),
        st.sampled_from(["a", "A", "a.png", "a_0001", "b", "b.gif"]),
        st.sampled_from([".png", ".jpg", ".PNG", ".gif"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(NAMES, st.randoms(use_true_random=False))
def test_no_two_pictures_share_a_name(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[tuple[str, str, str]],
    shuffler: random.Random,
) -> None:
    root = tmp_path_factory.mktemp("names")
    plant(root, *("".join(name) for name in names))
    found = find_sources([root], recursive=True)
    places = [source.target.as_posix() for source in found.sources]
    assert len(set(places)) == len(places) == len({"".join(name) for name in names})
    paths = [source.path for source in found.sources]
    shuffler.shuffle(paths)
    again = find_sources([*paths, root], recursive=True)
    assert [s.target for s in again.sources] == [s.target for s in found.sources]
