"""Ken Burns and Puppet on a fake host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.comfy.characters import (
    LEFT,
    RIGHT,
    SIZE_HW,
    drawn,
    error_class,
    instances_of,
    masks_of,
)
from tests.comfy.fake_comfy import Interrupted
from tests.motion.puppet.test_puppet import BVH
from toonout_core.output.clips import frames_of, timing

CLIPS = ("KenBurns", "Puppet")


def character():
    """A picture with a pattern, two characters, and its size in batches."""
    image = drawn(LEFT, RIGHT)
    image[..., 0] += torch.linspace(0, 0.1, SIZE_HW[1])
    return image


def poses(heights=(40,)):
    def frame(y):
        points = [(25, 24), (25, 32), (20, 34), (16, 38), (12, y), (30, 34), (34, 38), (38, 40),
                  (22, 55), (22, 66), (22, 78), (28, 55), (28, 66), (28, 78)]  # fmt: skip
        values = [v for point in points for v in (*point, 0.9)]
        skeletons = [{"pose_keypoints_2d": values}]
        return {"people": skeletons, "canvas_width": SIZE_HW[1], "canvas_height": SIZE_HW[0]}

    return [frame(y) for y in heights]


@pytest.mark.parametrize("name", CLIPS)
def test_frames_masks_and_a_video(run, host, name):
    image = character()
    how = {"edges": "mirror"} if name == "KenBurns" else {"motion": "sway"}
    made = run(name, image=image, instances=instances_of(run, LEFT, RIGHT), frames=6, **how)
    assert made["images"].shape == (6, *SIZE_HW, 3)
    assert made["masks"].shape == (6, *SIZE_HW)
    assert made["images"].dtype == torch.float32
    assert float(made["images"].min()) >= 0
    assert float(made["images"].max()) <= 1
    assert torch.allclose(made["masks"][0], masks_of(LEFT, RIGHT).sum(0), atol=1e-5)
    assert (made["images"][0] - made["images"][2]).abs().max() > 0.1, "nothing moves"
    video = made["video"].components
    assert video.images is made["images"], "the frames are not held twice"
    assert video.frame_rate == 30
    assert [step for step in host.progress if step[1] == 6][-1] == (6, 6)
    assert host.previews


def test_once_begins_with_the_picture_bit_for_bit(run):
    image = character()
    options = {"loop": "once", "motion": "zoom in", "frames": 4}
    made = run("KenBurns", image=image, instances=instances_of(run, LEFT), **options)
    assert torch.equal(made["images"][0], image[0])
    still = run("Puppet", image=image, instances=instances_of(run, LEFT), amount=0.0, frames=2)
    assert (still["images"] - image).abs().max() < 0.02


@pytest.mark.parametrize("name", CLIPS)
def test_a_long_clip_goes_to_a_file(run, host, name):
    pytest.importorskip("av")
    given = {"image": character(), "instances": instances_of(run, LEFT), "frames": 5, "fps": 12.0}
    made = run(name, **given, output="video only")
    assert len(made["images"]) == len(made["masks"]) == 1
    path = Path(made["video"].file)
    assert host.temp in path.parents
    assert len(list(frames_of(path))) == 5
    assert timing(path)[0] == pytest.approx(12)
    again = run(name, **given, output="video only")
    assert again["video"].file != made["video"].file, "the other clip may be in use"


@pytest.mark.parametrize("kind", ["image", "mask"])
def test_depth_of_any_pack(run, kind):
    ramp = torch.linspace(0, 1, 48)[:, None].expand(48, 80)
    depth = ramp[None, ..., None].expand(1, 48, 80, 3) if kind == "image" else ramp[None]
    options = {"motion": "horizontal", "frames": 4, "amount": 1.0, "focus": 0.0}
    flat = run("KenBurns", image=character(), **options)
    made = run("KenBurns", image=character(), depth=depth, **options)
    assert torch.equal(flat["images"][1], flat["images"][3]), "without depth or characters"
    assert (made["images"][1] - made["images"][3]).abs().max() > 0.02


def test_raw_depth_is_told_what_to_choose(run):
    depth = torch.rand(1, 48, 80, 3) * 30
    with pytest.raises(error_class(), match="v2_style"):
        run("KenBurns", image=character(), depth=depth)
    with pytest.raises(error_class(), match="v2_style"):
        run("KenBurns", image=character(), depth=depth[..., 0])


def test_transparent_edges_are_black_with_a_mask(run):
    options = {"motion": "zoom out", "edges": "transparent", "frames": 4, "amount": 1.0}
    made = run("KenBurns", image=character(), mask=masks_of(LEFT).amax(0)[None], **options)
    assert made["images"].shape[-1] == 3
    opaque = run("KenBurns", image=character(), frames=2)
    assert opaque["edges"].shape == opaque["masks"].shape
    assert bool((opaque["edges"] == 1).all())


def test_a_mask_alone_is_one_character_and_shared_with_instances(run):
    soft = masks_of(LEFT, RIGHT).amax(0)[None] * 0.9
    options = {"motion": "sway", "frames": 3, "show": "characters alone"}
    one = run("Puppet", image=character(), mask=soft, **options)
    joints = json.loads(one["report"])["joints"]
    assert list(joints) == ["0"]
    two = run("Puppet", image=character(), mask=soft, instances=instances_of(run, LEFT, RIGHT))
    assert list(json.loads(two["report"])["joints"]) == ["0", "1"]
    assert float(one["masks"][0].max()) == pytest.approx(0.9, abs=1e-5)
    assert float(one["images"][0][0, 0].max()) == 0, "black where nothing is"


def test_poses_place_and_drive(run):
    instances = instances_of(run, LEFT, RIGHT)
    made = run("Puppet", image=character(), instances=instances, pose=poses(), motion="wave")
    report = json.loads(made["report"])
    assert report["joints"]["0"]["right wrist"] == [12, 40]
    assert "character 1" in report["notes"][0]
    made = run("Puppet", image=character(), instances=instances, pose=poses((40, 34, 28, 24)))
    assert len(made["images"]) == 4
    assert (made["images"][3] - made["images"][0]).abs().max() > 0.2


def test_a_bvh_of_the_input_folder_drives(run, host):
    (host.input / "walk.bvh").write_text(BVH)
    made = run("Puppet", image=character(), instances=instances_of(run, LEFT), bvh="walk.bvh")
    assert len(made["images"]) == 2
    with pytest.raises(error_class(), match="input folder"):
        run("Puppet", image=character(), instances=instances_of(run, LEFT), bvh="../walk.bvh")


@pytest.mark.parametrize("name", CLIPS)
def test_the_hosts_stop_ends_it(run, host, name):
    instances = instances_of(run, LEFT)
    host.progress.clear()
    host.interrupt_after = 4
    with pytest.raises(Interrupted):
        run(name, image=character(), instances=instances, frames=50, output="video only")
    assert [path.name for path in host.temp.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("KenBurns", {"image": drawn(frames=2)}, "one picture"),
        ("KenBurns", {"background": drawn()[:, :50]}, "background must have the image's size"),
        ("KenBurns", {"mask": torch.zeros(1, 9, 9)}, "mask must have the image's size"),
        ("Puppet", {}, "a character to move"),
        ("Puppet", {"mask": torch.zeros(1, *SIZE_HW)}, "shows something"),
        ("Puppet", {"mask": torch.ones(1, *SIZE_HW), "pose": []}, "pose must have a frame"),
        ("Puppet", {"mask": torch.ones(1, *SIZE_HW), "pose": [{"a": 1}]}, "list named people"),
    ],
)
def test_what_cannot_be_is_said(run, name, given, words):
    with pytest.raises(error_class(), match=words):
        run(name, **({"image": character()} | given))


def test_a_host_without_video_gets_frames(nodes, run):
    moving = __import__("sys").modules[
        nodes["ToonOut_KenBurns"].__module__.replace("kenburns", "moving")
    ]
    del moving.io.Video
    made = run("KenBurns", image=character(), frames=2, output="video only")
    assert set(made) == {"images", "masks", "edges"}
    assert len(made["images"]) == 2
