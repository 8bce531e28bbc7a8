"""`toonout layers`, called as a user would."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from PIL import Image
from psd_tools import PSDImage

from tests.cli.discs import draw_discs
from tests.light import write_light_model
from toonout_core.cli.layers import SUFFIXES
from toonout_core.layers.files import FORMATS


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return write_light_model(tmp_path_factory.mktemp("light") / "light.safetensors")


@pytest.fixture
def layers(toonout, model):
    def call(*arguments):
        return toonout("layers", *arguments, "--detector", model, "--device", "cpu")

    return call


@pytest.fixture
def pair(tmp_path):
    path = tmp_path / "in" / "pair.png"
    draw_discs(path, (70, 25), (25, 40))
    return path


def difference(path, image):
    with Image.open(path) as picture:
        return np.abs(
            np.asarray(picture.convert("RGB")).astype(int) - np.asarray(image.convert("RGB"))
        )


def test_a_psd_shows_the_picture_again(layers, pair, tmp_path):
    shell = layers(pair, "-o", tmp_path / "pair.psd")
    assert shell.code == 0, shell.stderr
    psd = PSDImage.open(tmp_path / "pair.psd")
    assert [layer.name for layer in psd] == ["picture", "background", "characters"]
    # the right one stands higher, and so farther away
    assert [layer.name for layer in psd[2]] == ["character 1", "character 0"]
    # the edges of this network's mattes are softer than those of the picture
    assert np.quantile(difference(pair, psd.composite(force=True)), 0.9) <= 1
    assert difference(pair, psd[0].topil()).max() == 0


def test_a_folder_becomes_files_of_the_chosen_kind(layers, pair, tmp_path):
    draw_discs(pair.with_name("one.png"), (40, 30))
    shell = layers(pair.parent, "-o", tmp_path / "out", "--format", "ora")
    assert shell.code == 0, shell.stderr
    names = sorted(path.name for path in (tmp_path / "out").glob("*.ora"))
    assert names == ["one.ora", "pair.ora"]
    with zipfile.ZipFile(tmp_path / "out" / "one.ora") as archive:
        assert archive.read("mimetype") == b"image/openraster"
    again = layers(pair.parent, "-o", tmp_path / "out", "--format", "ora", "--resume")
    assert "2 done before" in again.stderr


def test_a_plate_of_ones_own_lies_below(layers, pair, tmp_path):
    Image.new("RGB", (96, 64), (1, 200, 3)).save(tmp_path / "plate.png")
    shell = layers(pair, "-o", tmp_path / "pair.psd", "--plate", tmp_path / "plate.png")
    assert shell.code == 0, shell.stderr
    plate = PSDImage.open(tmp_path / "pair.psd")[1].topil()
    assert plate.getpixel((25, 40))[:3] == (1, 200, 3)
    Image.new("RGB", (9, 9)).save(tmp_path / "plate.png")
    wrong = layers(pair, "-o", tmp_path / "b.psd", "--plate", tmp_path / "plate.png")
    assert wrong.code == 1
    assert "must have the picture's size, 96×64" in wrong.stderr
    assert not (tmp_path / "b.psd").exists()


def test_a_cutout_has_nothing_behind_its_character(layers, pair, tmp_path):
    with Image.open(pair) as picture:
        rgba = np.dstack([np.asarray(picture), np.asarray(picture)[..., 0]])
    rgba[..., 3] = np.where(rgba[..., 3] > 100, 255, 0)
    Image.fromarray(rgba).save(tmp_path / "cutout.png")
    assert layers(tmp_path / "cutout.png", "-o", tmp_path / "cutout.psd").code == 0
    psd = PSDImage.open(tmp_path / "cutout.psd")
    assert [layer.name for layer in psd] == ["picture", "characters"]
    assert np.asarray(psd.topil())[0, 0, 3] == 0


def test_names_are_kept_and_nothing_is_overwritten(layers, pair, tmp_path):
    (tmp_path / "pair.PSD").write_bytes(b"mine")
    assert layers(pair, "-o", tmp_path / "pair.PSD").code == 0
    assert (tmp_path / "pair.PSD").read_bytes() == b"mine"
    assert PSDImage.open(tmp_path / "pair_2.PSD").size == (96, 64)


def test_what_does_not_fit_is_said(layers, pair, tmp_path):
    shell = layers(pair, "-o", tmp_path / "a.psd", "--format", "ora")
    assert shell.code == 2
    assert "--format must fit" in shell.stderr
    assert layers(pair.parent, "-o", tmp_path / "a.psd").code == 2


def test_the_kinds_are_those_of_the_core():
    assert tuple(FORMATS) == SUFFIXES


def test_a_picture_without_anybody_is_a_background(layers, tmp_path):
    night = tmp_path / "night.png"
    Image.new("RGB", (48, 40)).save(night)
    shell = layers(night, "-o", tmp_path / "night.psd")
    assert shell.code == 0, shell.stderr
    assert "1 done. Without a character: 1. Result:" in shell.stderr
    psd = PSDImage.open(tmp_path / "night.psd")
    assert [layer.name for layer in psd] == ["picture", "background"]


@pytest.mark.parametrize("name", ["pair.png", "pair.JPG", "pair.mp4"])
def test_a_folder_is_not_called_as_a_picture(layers, pair, tmp_path, name):
    shell = layers(pair, "-o", tmp_path / name)
    assert shell.code == 2
    assert f"OUT must be a folder, but got the file name {tmp_path / name}." in shell.stderr
    (tmp_path / name).mkdir()  # somebody wants it so
    assert layers(pair, "-o", tmp_path / name).code == 0
