"""`toonout synthesize`: from art to a data set that others read."""

from __future__ import annotations

import json

import pytest

from tests.art import write_library


@pytest.fixture(scope="module")
def art(tmp_path_factory):
    return write_library(tmp_path_factory.mktemp("art"))


@pytest.mark.parametrize("what", ["scenes", "pairs"])
def test_a_data_set_of_two_splits(toonout, art, tmp_path, what):
    options = ("--data", art, "-o", tmp_path, "--size-px", 64, "--workers", 1)
    shell = toonout("synthesize", what, *options, "--count", 3)
    assert (shell.code, shell.stderr) == (0, f"{tmp_path}: 3 made.\n")
    assert toonout("synthesize", what, *options, "--count", 2, "--split", "val").code == 0
    assert len(list((tmp_path / "images" / "train").glob("*.jpg"))) == 3
    assert len(list((tmp_path / "labels" / "val").glob("*.txt"))) == 2
    document = json.loads((tmp_path / "instances_val.json").read_text())
    assert [image["file_name"] for image in document["images"]] == [
        "images/val/000000.jpg",
        "images/val/000001.jpg",
    ]
    yaml = (tmp_path / "data.yaml").read_text()
    assert "train: images/train\nval: images/val\n" in yaml


def test_going_on_with_more(toonout, art, tmp_path):
    options = ("synthesize", "scenes", "--data", art, "-o", tmp_path, "--size-px", 64)
    toonout(*options, "--count", 2, "--workers", 1)
    shell = toonout(*options, "--count", 3, "--workers", 1)
    assert shell.stderr == f"{tmp_path}: 1 made, 2 were there.\n"
    shell = toonout(*options, "--count", 3, "--workers", 1, "--seed", 9)
    assert shell.code == 2 and "same settings" in shell.stderr


def test_mistakes_get_a_sentence(toonout, art, tmp_path):
    options = ("synthesize", "scenes", "--data", art, "-o", tmp_path / "out")
    assert "--seed must be 0" in toonout(*options, "--seed", -1).stderr
    assert "must hold RGBA" in toonout(*options, "--split", "none").stderr
    assert "size_px must" in toonout(*options, "--size-px", 1).stderr
    assert "layouts must be a file" in toonout(*options, "--layouts", "none.json").stderr
    assert not (tmp_path / "out").exists()


def test_help_shows_examples(toonout):
    shell = toonout("synthesize", "--help")
    assert shell.code == 0 and "toonout synthesize scenes" in shell.stdout
    assert "Poisson" in toonout("synthesize", "scenes", "--help").stdout
