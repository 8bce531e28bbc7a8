"""`toonout cutout` of animations, and crops: called as a user would."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from tests.cli.discs import draw_discs
from tests.light import write_light_model
from toonout_core.imaging import read_frames

SIZE = (96, 64)
DURATIONS = (100, 40, 40, 250)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return write_light_model(tmp_path_factory.mktemp("light") / "light.safetensors")


@pytest.fixture
def cutout(toonout, model):
    def call(*arguments):
        return toonout("cutout", *arguments, "--model", model, "--device", "cpu")

    return call


@pytest.fixture
def dance(tmp_path):
    """A light disc that moves to the right."""
    frames = []
    for index, x in enumerate((24, 44, 48, 64)):
        draw_discs(tmp_path / f"frame{index}.png", (x, 30))
        frames.append(Image.open(tmp_path / f"frame{index}.png").copy())
    path = tmp_path / "in" / "dance.webp"
    path.parent.mkdir()
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=list(DURATIONS), loop=3,
        lossless=True,
    )  # fmt: skip
    return path


def box(alpha):
    rows, columns = np.nonzero(np.asarray(alpha) > 127)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("kind", ["png", "webp", "gif"])
def test_an_animation_becomes_one_with_its_timing(cutout, dance, tmp_path, kind):
    out = tmp_path / "out"
    shell = cutout(dance, "-o", out, "--format", kind, "--report", tmp_path / "r.json")
    assert shell.code == 0, shell.stderr
    assert [path.name for path in out.iterdir() if path.name[0] != "."] == [f"dance.{kind}"]
    pictures = list(read_frames(out / f"dance.{kind}"))
    assert [round(1000 * picture.seconds) for picture in pictures] == list(DURATIONS)
    assert {picture.plays for picture in pictures} == {3}
    lefts = [box(picture.alpha[0, 0].numpy() * 255)[0] for picture in pictures]
    assert np.allclose(np.diff(lefts), (20, 4, 16), atol=1)
    assert "4 frames" in shell.stderr
    assert json.loads((tmp_path / "r.json").read_text())["counts"]["done"] == 1


def test_frames_become_files_by_option_and_where_nothing_can_move(cutout, dance, tmp_path):
    assert cutout(dance, "-o", tmp_path / "a", "--frames").code == 0
    names = sorted(path.name for path in (tmp_path / "a").glob("*.png"))
    assert names == [f"dance_{number:04d}.png" for number in (1, 2, 3, 4)]
    assert cutout(dance, "-o", tmp_path / "b", "--format", "tiff").code == 0
    assert len(list((tmp_path / "b").glob("dance_*.tif"))) == 4


def test_the_name_of_the_result_decides(cutout, dance, tmp_path):
    assert cutout(dance, "-o", tmp_path / "cut.gif").code == 0
    with Image.open(tmp_path / "cut.gif") as picture:
        assert (picture.format, picture.n_frames) == ("GIF", 4)


def test_masks_and_backgrounds_move_too(cutout, dance, tmp_path):
    assert cutout(dance, "-o", tmp_path / "mask.webp", "--mask-only").code == 0
    assert cutout(dance, "-o", tmp_path / "red.png", "--background", "red").code == 0
    mask, red = (list(read_frames(tmp_path / name)) for name in ("mask.webp", "red.png"))
    assert mask[0].alpha is None
    assert mask[3].image[0, :, 30, 64].min() > 0.9
    assert red[3].image[0, :, 2, 2].tolist() == [1, 0, 0]


def test_a_failing_frame_leaves_nothing(cutout, dance, tmp_path):
    broken = tmp_path / "broken.webp"
    broken.write_bytes(dance.read_bytes()[:-200])
    shell = cutout(broken, "-o", tmp_path / "out")
    assert shell.code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".toonout.jsonl"]


def test_resume_does_not_cut_again(cutout, dance, tmp_path):
    assert cutout(dance.parent, "-o", tmp_path / "out").code == 0
    again = cutout(dance.parent, "-o", tmp_path / "out", "--resume")
    assert "1 done before" in again.stderr
    assert "loaded in" not in again.stderr


class Pipe(io.TextIOWrapper):
    def __init__(self, data=b""):
        super().__init__(io.BytesIO(data))


def test_through_a_pipe(cutout, dance, monkeypatch):
    monkeypatch.setattr("sys.stdin", Pipe(dance.read_bytes()))
    monkeypatch.setattr("sys.stdout", Pipe())
    assert cutout("-").code == 0
    piped = sys.stdout.buffer.getvalue()
    monkeypatch.undo()
    pictures = list(read_frames(io.BytesIO(piped)))
    assert [round(1000 * picture.seconds) for picture in pictures] == list(DURATIONS)


# ---------------------------------------------------------------- crops


@pytest.fixture
def disc(tmp_path):
    path = tmp_path / "disc.png"
    draw_discs(path, (30, 30))  # radius 14: 16 … 44
    return path


def test_a_crop_ends_at_the_character(cutout, disc, tmp_path):
    assert cutout(disc, "-o", tmp_path / "whole.png").code == 0
    assert cutout(disc, "-o", tmp_path / "crop.png", "--crop").code == 0
    assert cutout(disc, "-o", tmp_path / "room.png", "--crop", "10").code == 0
    with Image.open(tmp_path / "crop.png") as crop, Image.open(tmp_path / "room.png") as room:
        assert min(crop.size) >= 27
        assert max(crop.size) <= 40
        assert abs(room.width - crop.width - 20) <= 1
        with Image.open(tmp_path / "whole.png") as whole:
            x0, y0, *_ = box(whole.getchannel("A"))
            left, top = box(crop.getchannel("A"))[:2]
            place = (x0 - left, y0 - top, x0 - left + crop.width, y0 - top + crop.height)
            assert np.array_equal(np.asarray(crop), np.asarray(whole.crop(place)))


def test_a_fixed_aspect_and_a_margin_in_percent(cutout, disc, tmp_path):
    options = ["--crop", "50%", "--aspect", "1:3", "--background", "white"]
    assert cutout(disc, "-o", tmp_path / "tall.png", *options).code == 0
    with Image.open(tmp_path / "tall.png") as tall:
        assert tall.size[1] == pytest.approx(3 * tall.size[0], abs=3)
        assert tall.convert("RGB").getpixel((0, 0)) == (255, 255, 255), "beyond the picture"


def test_an_animation_is_cut_to_one_box(cutout, dance, tmp_path):
    assert cutout(dance, "-o", tmp_path / "crop.webp", "--crop", "2").code == 0
    pictures = list(read_frames(tmp_path / "crop.webp"))
    assert len({picture.size_hw for picture in pictures}) == 1
    assert pictures[0].size_hw[1] < 84
    lefts = [box(picture.alpha[0, 0].numpy() * 255)[0] for picture in pictures]
    assert np.allclose(np.diff(lefts), (20, 4, 16), atol=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--crop", "wide"], "--crop must be pixels or percent"),
        (["--aspect", "1:1"], "--aspect must come with --crop"),
        (["--crop", "1", "--aspect", "round"], "like 3:4"),
    ],
)
def test_wrong_crops_are_said(cutout, disc, tmp_path, options, words):
    shell = cutout(disc, "-o", tmp_path / "a.png", *options)
    assert shell.code == 2
    assert words in shell.stderr
