"""`toonout kenburns` and `toonout puppet`, called as a user would."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from toonout_core.cli import clip_run
from toonout_core.errors import Cancelled
from toonout_core.output.clips import frames_of, timing

SIZE = (96, 64)


@pytest.fixture
def girl(tmp_path):
    """A light character: head, body, arms that hang, before a dark pattern."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    light = (rows - 16) ** 2 + (columns - 48) ** 2 < 9**2
    light |= (abs(columns - 48) < 7) & (rows > 20) & (rows < 60)
    light |= (abs(columns - 48) < 22) & (abs(rows - 32) < 3)
    ground = np.stack([10 + rows % 30, 20 + columns % 40, 30 + 0 * rows], -1)
    path = tmp_path / "girl.png"
    Image.fromarray(np.where(light[..., None], (240, 230, 250), ground).astype("u1")).save(path)
    return path


@pytest.fixture
def clip(toonout, light, girl):
    def call(verb, *arguments, picture=girl):
        finding = ("--detector", light, "--device", "cpu")
        return toonout(verb, picture, *arguments, *finding, "--frames", 4)

    return call


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("verb", ["kenburns", "puppet"])
@pytest.mark.parametrize("ending", ["mp4", "webm", "webp"])
def test_a_clip_is_read_again(clip, tmp_path, verb, ending):
    if ending == "webm":
        pytest.importorskip("av")
    out = tmp_path / f"clip.{ending}"
    shell = clip(verb, "-o", out, "--fps", 20)
    assert shell.code == 0, shell.stderr
    assert f"4 frames. Result: {out}" in shell.stderr
    frames = list(frames_of(out))
    assert len(frames) == 4
    assert tuple(frames[0].shape) == (1, 3, 64, 96)
    assert timing(out)[0] == pytest.approx(20)
    assert (frames[0] - frames[2]).abs().max() > 0.2, "nothing moves"


def test_once_begins_with_the_picture_itself(clip, girl, tmp_path):
    out = tmp_path / "frames"
    asked = ("--loop", "once", "--motion", "zoom in")
    assert clip("kenburns", "-o", f"{out}/", *asked).code == 0
    names = [path.name for path in sorted(out.iterdir())]
    assert names == [f"frames_{number:05d}.png" for number in (1, 2, 3, 4)]
    assert np.array_equal(pixels(out / names[0]), pixels(girl))
    assert not np.array_equal(pixels(out / names[3]), pixels(girl))


def test_depth_and_background_are_used(clip, girl, tmp_path):
    depth, plate = tmp_path / "depth.png", tmp_path / "plate.png"
    ramp = np.linspace(0, 255, SIZE[1], dtype="u1")[:, None].repeat(SIZE[0], 1)
    Image.fromarray(ramp).save(depth)
    Image.new("RGB", SIZE, (0, 200, 0)).save(plate)
    given = ("--depth", depth, "--plate", plate, "--motion", "horizontal", "--edges", "mirror")
    assert clip("kenburns", "-o", tmp_path / "f", *given).code == 0
    first, second = (pixels(tmp_path / "f" / f"f_0000{number}.png") for number in (1, 2))
    assert np.array_equal(first, pixels(girl))
    assert (second[..., :3] == (0, 200, 0)).all(-1).any(), "the background came into view"
    Image.new("RGB", (9, 9)).save(plate)
    shell = clip("kenburns", "-o", tmp_path / "g", *given)
    assert shell.code == 2
    assert "--plate must have the picture's size 96×64" in shell.stderr


def test_a_transparent_puppet(clip, tmp_path):
    out = tmp_path / "frames"
    assert clip("puppet", "-o", out, "--transparent", "--motion", "sway").code == 0
    frames = [pixels(path) for path in sorted(out.iterdir())]
    assert frames[0].shape == (64, 96, 4)
    assert frames[0][0, 0, 3] == 0
    assert frames[0][40, 48, 3] == 255
    assert not np.array_equal(frames[0], frames[1])


def test_a_pose_places_joints_and_a_sequence_drives(clip, tmp_path):
    def frame(wrist_y):
        points = [(48, 16), (48, 24), (42, 26), (34, 30), (27, wrist_y), (54, 26), (62, 30),
                  (69, 32), (44, 44), (44, 50), (44, 58), (52, 44), (52, 50), (52, 58)]  # fmt: skip
        values = [v for x, y in points for v in (x, y, 0.9)]
        return {
            "people": [{"pose_keypoints_2d": values}],
            "canvas_width": 96,
            "canvas_height": 64,
        }

    still, moving = tmp_path / "pose.json", tmp_path / "poses.json"
    still.write_text(json.dumps(frame(32)))
    moving.write_text(json.dumps([frame(y) for y in (32, 24, 16, 12, 10)]))
    asked = ("--motion", "wave", "--transparent")
    shell = clip("puppet", "-o", tmp_path / "a", "--pose", still, *asked)
    assert shell.code == 0
    assert "guessed" not in shell.stderr
    shell = clip("puppet", "-o", tmp_path / "b", "--pose", moving, "--transparent")
    assert "5 frames" in shell.stderr, "as many as there are poses"
    first, last = (pixels(tmp_path / "b" / f"b_0000{number}.png") for number in (1, 5))
    assert first[32, 28, 3] > 200 > 50 > last[32, 28, 3], "the hand left its place"
    still.write_text("[1, 2]")
    shell = clip("puppet", "-o", tmp_path / "c", "--pose", still)
    assert shell.code == 2
    assert "OpenPose" in shell.stderr


def test_guessed_joints_are_told(clip, tmp_path):
    shell = clip("puppet", "-o", tmp_path / "a", "--motion", "wave")
    assert "The joints of character 0 are guessed" in shell.stderr


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        ("kenburns", ("-o", "clip.avi"), "a clip's name must end in"),
        ("kenburns", ("-o", "clip.mp4", "--edges", "transparent"), "mp4 must be opaque"),
        ("puppet", ("-o", "clip.mp4", "--transparent"), "mp4 must be opaque"),
        ("puppet", ("-o", "x", "--pose", "a", "--bvh", "b"), "one of --pose and --bvh"),
        ("kenburns", ("-o", "x", "--amount", "9"), "--amount must be 0 … 2"),
        ("kenburns", ("-o", "x", "--character", "4"), "character must be -1 or 0 to 0"),
        ("puppet", ("-o", "x", "--characters", "7"), "7"),
    ],
)
def test_what_cannot_be_is_said(clip, tmp_path, monkeypatch, verb, arguments, words):
    monkeypatch.chdir(tmp_path)
    shell = clip(verb, *arguments)
    assert shell.code == 2
    assert words in shell.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["girl.png"]


@pytest.mark.parametrize("out", ["clip.mp4", "clip.webp", "frames/"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, Cancelled])
def test_stopped_in_the_middle_nothing_is_left(clip, tmp_path, monkeypatch, out, stop):
    class Bar(clip_run.ProgressBar):
        def advance(self, count: float = 1, text: str = "") -> None:
            self.seen = getattr(self, "seen", 0) + 1
            if self.seen == 3:
                raise stop("stopped")

    monkeypatch.setattr(clip_run, "ProgressBar", Bar)
    assert clip("kenburns", "-o", f"{tmp_path}/{out}").code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["girl.png"]


def test_names_that_are_taken_get_a_number(clip, tmp_path):
    out = tmp_path / "clip.webp"
    for _ in range(2):
        clip("kenburns", "-o", out)
    before = out.read_bytes()
    clip("kenburns", "-o", out, "--motion", "circle", "--overwrite")
    assert sorted(path.name for path in tmp_path.glob("*.webp")) == ["clip.webp", "clip_2.webp"]
    assert out.read_bytes() != before
