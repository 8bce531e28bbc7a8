"""Load Folder in parts: what is done already is skipped, and what was left out is told."""

from __future__ import annotations

import sys

import pytest

from tests.comfy.characters import error_class
from tests.imaging.files import chunk, noise, png


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(noise(4, 4, 3)))


@pytest.fixture
def load(run, host):
    def names(**options):
        given = {"folder": "film", "pattern": "*", "limit": 2, "skip_done": "toonout"}
        return run("LoadFolder", **(given | options))["name"]

    for number in (1, 2, 3, 10):
        picture(host.input / "film" / f"f_{number}.png")
    return names


def test_each_run_does_the_next_ones(load, host):
    done = []
    for expected in (["f_1", "f_2"], ["f_3", "f_10"]):
        assert load() == expected
        done += expected
        for name in expected:
            picture(host.output / "toonout" / f"{name}.webp")
    with pytest.raises(error_class(), match="All are done already"):
        load()
    assert load(skip_done="") == ["f_1", "f_2"]


def test_names_in_subfolders_are_told_apart(load, host):
    picture(host.input / "film" / "b" / "f_1.png")
    picture(host.output / "toonout" / "b" / "f_1.png")
    assert load(recursive=True, limit=0) == ["f_1", "f_2", "f_3", "f_10"]


def test_a_folder_outside_of_the_output_folder_is_not_looked_into(load, host):
    picture(host.models.parent / "home" / "f_1.png")
    assert load(skip_done="../home") == ["f_1", "f_2"]
    assert load(skip_done="not there yet") == ["f_1", "f_2"]


def test_the_fingerprint_follows_the_results(nodes, load, host):
    chosen = dict(folder="film", pattern="*", recursive=False, start=0, limit=2)
    node = nodes["ToonOut_LoadFolder"]
    before = node.fingerprint_inputs(**chosen, skip_done="toonout")
    assert before == node.fingerprint_inputs(**chosen), "as in graphs that are older"
    picture(host.output / "toonout" / "f_1.png")
    assert before != node.fingerprint_inputs(**chosen, skip_done="toonout")


@pytest.fixture
def told(nodes, monkeypatch):
    """What is shown on the node."""
    shown = []
    server = type("Server", (), {"instance": None})
    server.instance = type("Instance", (), {"send_progress_text": lambda _, *a: shown.append(a)})()
    monkeypatch.setitem(sys.modules, "server", type("Module", (), {"PromptServer": server}))
    hidden = type("Hidden", (), {"unique_id": "7"})
    monkeypatch.setattr(nodes["ToonOut_LoadFolder"], "hidden", hidden, raising=False)
    return shown


def test_what_was_left_out_stands_on_the_node(load, host, told):
    (host.input / "film" / "f_2.png").write_bytes(b"no picture")
    (host.input / "film" / "f_3.png").write_bytes(png(noise(4, 4, 3), chunk(b"eXIf", b"II*\0")))
    assert load(limit=0) == ["f_1", "f_3", "f_10"]
    ((text, key),) = told
    lines = text.splitlines()
    assert (key, lines[0]) == ("7", "3 pictures")
    assert lines[1].startswith("Left out: ") and "f_2.png" in lines[1]
    assert lines[2].startswith("f_3.png: EXIF was left out")


def test_many_notes_are_cut_short(load, host, told):
    for number in range(20):
        (host.input / "film" / f"x_{number}.png").write_bytes(b"no picture")
    load(limit=0)
    assert told[0][0].splitlines()[-1] == "and 12 more notes, in the log"


def test_broken_files_only_is_an_error_that_names_them(load, host, told):
    (host.input / "film" / "f_2.png").write_bytes(b"no picture")
    with pytest.raises(error_class(), match=r"must be readable.*f_2\.png"):
        load(pattern="f_2*")
