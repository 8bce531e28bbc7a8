"""`toonout watch`: files that come while it looks. Time stands still: `sleep` is what happens."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from PIL import Image

from toonout_core.cli import watch as module


@pytest.fixture
def watch(toonout, tmp_path, monkeypatch, light):
    """watch(what happens at each pause, …) → what the shell said; the last one says stop."""

    def call(*events, arguments=(), last=None):
        folder = tmp_path / "in"
        folder.mkdir(exist_ok=True)
        left = [*events, last or (lambda: (folder / "stop.txt").touch())]

        def sleep(seconds):
            assert seconds == 1
            if left:
                left.pop(0)()

        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep))
        options = ["--model", light, "-o", tmp_path / "out", *arguments]
        shell = toonout("watch", folder, *options)
        (folder / "stop.txt").unlink(missing_ok=True)
        return shell

    return call


def lit(path, size=(24, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size, "black")
    picture.paste("white", (6, 4, 18, 16))
    picture.save(path)


def opened(path):
    with Image.open(path) as picture:
        picture.load()
    return picture


def nothing():
    """A pause in which nothing happens."""


def results(tmp_path):
    out = tmp_path / "out"
    return sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png"))


def test_what_comes_is_cut_out(watch, tmp_path):
    lit(tmp_path / "in/a.png")
    shell = watch(nothing, lambda: lit(tmp_path / "in/b.png"), nothing)
    assert shell.code == 0
    assert results(tmp_path) == ["a.png", "b.png"]
    assert opened(tmp_path / "out/a.png").getpixel((10, 8)) == (255, 255, 255, 255)
    assert "2 done." in shell.stderr
    assert f"b.png → {tmp_path / 'out/b.png'}" in shell.stderr


def test_a_file_that_grows_is_taken_when_it_is_whole(watch, tmp_path):
    lit(tmp_path / "whole.png", (400, 300))
    content = (tmp_path / "whole.png").read_bytes()
    path = tmp_path / "in/a.png"
    seen = []

    def write(share):
        def happen():
            seen.append(results(tmp_path))
            path.write_bytes(content[: int(len(content) * share)])

        return happen

    shell = watch(write(0), write(0.3), write(0.6), write(1), nothing, nothing)
    assert shell.code == 0
    assert "1 done." in shell.stderr
    assert seen == [[]] * 4
    assert opened(tmp_path / "out/a.png").size == (400, 300)


def test_a_copy_that_pauses_is_tried_again_when_it_goes_on(watch, tmp_path):
    lit(tmp_path / "whole.png", (400, 300))
    content = (tmp_path / "whole.png").read_bytes()
    path = tmp_path / "in/a.png"
    half = content[: len(content) // 2]
    shell = watch(
        lambda: path.write_bytes(half), nothing, nothing, lambda: path.write_bytes(content), nothing
    )
    assert shell.code == 1
    assert "1 done, 1 failed" in shell.stderr
    assert opened(tmp_path / "out/a.png").size == (400, 300)


def test_what_is_done_stays_done(watch, tmp_path, monkeypatch):
    lit(tmp_path / "in/a.png")
    watch(nothing)
    monkeypatch.setattr(module, "make_cut", lambda _: pytest.fail("it loads a model"))
    shell = watch(nothing)
    assert shell.code == 0
    assert "1 done before" in shell.stderr


def test_a_picture_that_changes_is_cut_out_again(watch, tmp_path):
    lit(tmp_path / "in/a.png")
    shell = watch(nothing, nothing, lambda: lit(tmp_path / "in/a.png", (50, 40)), nothing)
    assert "2 done, 1 replaced earlier results" in shell.stderr
    assert results(tmp_path) == ["a.png"]
    assert opened(tmp_path / "out/a.png").size == (50, 40)


def test_subfolders_only_where_asked_for(watch, tmp_path):
    lit(tmp_path / "in/sub/a.png")
    assert "Subfolders not read: 1" in watch(nothing).stderr
    watch(nothing, arguments=["--recursive"])
    assert results(tmp_path) == ["sub/a.png"]


def test_results_inside_of_the_folder_are_no_inputs(watch, tmp_path):
    lit(tmp_path / "in/a.png")
    shell = watch(nothing, nothing, nothing, arguments=["-o", tmp_path / "in"])
    assert shell.code == 0
    assert sorted(p.name for p in (tmp_path / "in").glob("*.png")) == ["a.png", "a_2.png"]


def test_ctrl_c_tells_what_was_done(watch, tmp_path):
    def interrupt():
        raise KeyboardInterrupt

    lit(tmp_path / "in/a.png")
    shell = watch(nothing, nothing, last=interrupt, arguments=["--report", tmp_path / "r.json"])
    assert shell.code == 130
    assert "1 done, then interrupted." in shell.stderr
    assert json.loads((tmp_path / "r.json").read_text())["counts"]["done"] == 1


def test_stop_lets_the_rest_be_finished_first(watch, tmp_path):
    for name in ("in/a.png", "in/b.png"):
        lit(tmp_path / name)
    (tmp_path / "in/stop.txt").touch()
    shell = watch()
    assert results(tmp_path) == ["a.png", "b.png"]
    assert "stop.txt" not in shell.stderr.splitlines()[-1]


def test_a_folder_that_is_none(toonout, tmp_path):
    shell = toonout("watch", tmp_path / "absent", "-o", tmp_path / "out")
    assert shell.code == 2
    assert "IN must be a folder" in shell.stderr
