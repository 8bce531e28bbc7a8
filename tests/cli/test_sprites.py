"""`toonout sprites`, called as a user would."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.light import write_light_model
from toonout_core.imaging import read_frames
from toonout_core.layers import sprites as core
from toonout_core.options.layers import PIVOT

SIZE = (48, 32)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return write_light_model(tmp_path_factory.mktemp("light") / "light.safetensors")


@pytest.fixture
def sprites(toonout, model):
    def call(*arguments):
        return toonout("sprites", *arguments, "--model", model, "--device", "cpu")

    return call


def cutouts(count):
    """A square of 6×8 that moves 4 pixels a frame; hidden colours around it."""
    frames = []
    for index in range(count):
        picture = Image.new("RGBA", SIZE, (9, 99, 9, 0))
        picture.paste((200, 40 * index, 30, 255), (4 * index, 10, 4 * index + 6, 18))
        frames.append(picture)
    return frames


def animation(path, durations=(100, 40, 200)):
    first, *others = cutouts(len(durations))
    first.save(path, save_all=True, append_images=others, duration=list(durations), lossless=True)
    return path


def listed(path):
    return json.loads(path.read_text("utf-8"))


def test_an_animation_becomes_a_sheet_with_its_timing(sprites, tmp_path):
    shell = sprites(animation(tmp_path / "walk.webp"), "-o", tmp_path / "walk.png")
    assert shell.code == 0, shell.stderr
    assert "3 frames, 14×24 pixels" in shell.stderr
    document = listed(tmp_path / "walk.json")
    assert [frame["duration"] for frame in document["frames"]] == [100, 40, 200]
    assert document["meta"]["image"] == "walk.png"
    with Image.open(tmp_path / "walk.png") as sheet:
        array = np.asarray(sheet)
    for index, frame in enumerate(document["frames"]):
        box = frame["frame"]
        cell = array[box["y"] : box["y"] + box["h"], box["x"] : box["x"] + box["w"]]
        assert cell.shape[:2] == (8, 14)
        assert tuple(cell[3, 4 * index + 3]) == (200, 40 * index, 30, 255)
        assert not cell[cell[..., 3] == 0].any(), "nothing is hidden"


def test_nothing_is_overwritten_and_the_list_tells_the_name(sprites, tmp_path):
    clip = animation(tmp_path / "walk.webp")
    (tmp_path / "walk.json").write_text("mine")
    assert sprites(clip, "-o", tmp_path / "walk.png").code == 0
    assert (tmp_path / "walk.json").read_text() == "mine"
    assert not (tmp_path / "walk.png").exists()
    assert listed(tmp_path / "walk_2.json")["meta"]["image"] == "walk_2.png"
    assert (tmp_path / "walk_2.png").exists()
    assert not list(tmp_path.glob(".*"))


def test_pictures_by_their_names_at_a_rate_of_ones_own(sprites, tmp_path):
    for index, picture in enumerate(cutouts(4)):
        picture.save(tmp_path / f"walk_{index}.png")
    out = tmp_path / "sheet.png"
    options = ["--fps", 25, "--columns", 4, "--padding", 1, "--pivot", "centre", "--no-trim"]
    shell = sprites(tmp_path / "walk_*.png", "-o", out, "--power-of-two", *options)
    assert shell.code == 0, shell.stderr
    document = listed(tmp_path / "sheet.json")
    assert document["meta"]["size"] == {"w": 256, "h": 64}
    assert {frame["duration"] for frame in document["frames"]} == {40}
    assert document["frames"][3]["frame"] == {"x": 151, "y": 1, "w": 48, "h": 32}


def test_opaque_frames_are_cut_out(sprites, tmp_path):
    path = tmp_path / "walk.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 12.5, (96, 64))
    for index in range(4):
        frame = np.full((64, 96, 3), 20, np.uint8)
        frame[20:44, 10 + 8 * index : 40 + 8 * index] = 240
        writer.write(frame)
    writer.release()
    shell = sprites(path, "-o", tmp_path / "a.png", "--every", 2, "--columns", 2)
    assert shell.code == 0, shell.stderr
    document = listed(tmp_path / "a.json")
    assert [frame["duration"] for frame in document["frames"]] == [160, 160]
    assert document["frames"][0]["frame"]["w"] < 70
    whole = sprites(path, "-o", tmp_path / "b.png", "--cut", "never")
    assert whole.code == 0
    with Image.open(tmp_path / "b.png") as sheet:
        assert sheet.getchannel("A").getextrema() == (255, 255)


@pytest.mark.parametrize("ending", ["webp", "png", "gif"])
def test_the_animation_beside_it(sprites, tmp_path, ending):
    clip = animation(tmp_path / "walk.webp")
    moving = tmp_path / f"moving.{ending}"
    shell = sprites(clip, "-o", tmp_path / "walk.png", "--animation", moving)
    assert shell.code == 0, shell.stderr
    assert str(moving) in shell.stderr
    assert [round(1000 * picture.seconds) for picture in read_frames(moving)] == [100, 40, 200]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "a.jpg"], "must be a .png"),
        (["-o", "a.png", "--animation", "a.mp4"], "must be a .webp, .png or .gif"),
        (["-o", "a.png", "--every", "0"], "--every must be"),
        (["-o", "a.png", "--fps", "0"], "--fps must be"),
        (["-o", "a.png", "--columns", "-1"], "--columns must be 0 … 1000"),
    ],
)
def test_what_cannot_be_is_said_first(sprites, tmp_path, options, words):
    shell = sprites(tmp_path / "none.webp", *options)
    assert shell.code == 2
    assert words in shell.stderr


def test_frames_of_several_sizes_and_no_frames(sprites, tmp_path):
    for number, size in enumerate([(4, 4), (5, 4)]):
        Image.new("RGBA", size, (0, 0, 0, 9)).save(tmp_path / f"{number}.png")
    shell = sprites(tmp_path, "-o", tmp_path / "out" / "a.png")
    assert shell.code == 2
    assert "one size" in shell.stderr
    assert "4×4, 5×4" in shell.stderr
    gone = sprites(tmp_path / "gone.png", "-o", tmp_path / "a.png")
    assert gone.code == 2


def test_the_pivots_are_those_of_the_core():
    assert tuple(core.PIVOTS) == PIVOT.choices
