"""A drawn character with arms and legs, bent."""

from __future__ import annotations

import math
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from toonout_core.errors import BadInput
from toonout_core.motion.options import PuppetMotion, PuppetOptions
from toonout_core.motion.puppet.arap import Deformer, areas
from toonout_core.motion.puppet.bvh import read_bvh
from toonout_core.motion.puppet.mesh import barycentric, mesh_over
from toonout_core.motion.puppet.motions import JOINTED, turned
from toonout_core.motion.puppet.rig import JOINTS, Rig, driven, rig_from_matte, rig_from_pose
from toonout_core.motion.puppet.show import Puppet, puppet_film

SIZE = (200, 160)
POINTS = {
    "nose": (80, 30), "neck": (80, 55),
    "right shoulder": (66, 58), "right elbow": (44, 72), "right wrist": (22, 86),
    "left shoulder": (94, 58), "left elbow": (116, 72), "left wrist": (138, 86),
    "right hip": (72, 110), "right knee": (68, 145), "right ankle": (64, 182),
    "left hip": (88, 110), "left knee": (92, 145), "left ankle": (96, 182),
}  # fmt: skip
LIMBS = [("right shoulder", "right wrist"), ("left shoulder", "left wrist"),
         ("right hip", "right ankle"), ("left hip", "left ankle"), ("neck", "nose")]  # fmt: skip


def character() -> tuple[Tensor, Tensor]:
    canvas = np.zeros(SIZE, np.uint8)
    for start, end in LIMBS:
        cv2.line(canvas, POINTS[start], POINTS[end], 255, 13, cv2.LINE_AA)
    cv2.ellipse(canvas, (80, 82), (20, 34), 0, 0, 360, 255, -1, cv2.LINE_AA)
    cv2.circle(canvas, POINTS["nose"], 20, 255, -1, cv2.LINE_AA)
    alpha = torch.from_numpy(canvas)[None, None].float() / 255
    image = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.avg_pool2d(image, 5, 1, 2), alpha


def keypoints(points=POINTS, score: float = 0.9, canvas=SIZE) -> dict:
    values = [
        v for name in JOINTS for v in (*points.get(name, (0, 0)), score if name in points else 0)
    ]
    return {
        "people": [{"pose_keypoints_2d": values}],
        "canvas_width": canvas[1],
        "canvas_height": canvas[0],
    }


@pytest.fixture(scope="module")
def rig() -> Rig:
    return rig_from_pose(keypoints(), SIZE)


def test_identity_is_the_picture_bit_for_bit(rig):
    image, alpha = character()
    puppet = Puppet(image, alpha, PuppetOptions("wave"), rig)
    frame = next(puppet_film([puppet], 10))
    assert torch.equal(frame.mask, alpha)
    assert (frame.image * frame.mask - image * alpha).abs().max() < 1e-6


def test_every_visible_pixel_is_inside_of_the_mesh():
    _, alpha = character()
    mesh = mesh_over(alpha)
    covered = np.zeros(SIZE, np.uint8)
    for triangle in mesh.points[mesh.triangles]:
        cv2.fillConvexPoly(covered, np.round(triangle * 16).astype(np.int32), 1, cv2.LINE_8, 4)
    assert bool((covered[alpha[0, 0].numpy() > 0.02] == 1).all())
    assert (np.abs(areas(mesh.points, mesh.triangles)) > 0).all()


def test_rigid_pins_move_all_rigidly(rig):
    puppet = Puppet(*character(), PuppetOptions(), rig)
    rest = puppet.mesh.points
    angle, shift = 2.1, np.array((13.0, -7.0))
    turn = np.array(((math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))))
    targets = rig.array() @ turn.T + shift
    points = Deformer(puppet.mesh, rig.array()).pose(targets, puppet.skin.placed(targets))
    assert np.abs(points - (rest @ turn.T + shift)).max() <= 1e-6


@pytest.mark.parametrize("degrees", [-120, -90, -45, 45, 90, 120])
@pytest.mark.parametrize("joint", ["right wrist", "left wrist", "right ankle", "left ankle"])
def test_no_triangle_turns_over_at_elbows_and_knees(rig, joint, degrees):
    image, alpha = character()
    puppet = Puppet(image, alpha, PuppetOptions("wave"), rig)
    targets = turned(rig, {joint: math.radians(degrees)}, (0, 0))
    points = puppet._bent(targets)
    before, after = (areas(p, puppet.mesh.triangles) for p in (puppet.mesh.points, points))
    assert (after * np.sign(before)).min() > 0


@pytest.mark.parametrize("motion", get_args(PuppetMotion))
def test_loops_close_and_move(rig, motion):
    puppet = Puppet(*character(), PuppetOptions(motion, seed=3), rig)
    shapes = list(puppet.shapes(12))
    again = list(Puppet(*character(), PuppetOptions(motion, seed=3), rig).shapes(12))
    assert all(np.array_equal(a, b) for a, b in zip(shapes, again, strict=True))
    steps = [np.abs(a - b).max() for a, b in zip(shapes, [*shapes[1:], shapes[0]], strict=True)]
    assert max(steps) > 0.2
    assert steps[-1] <= 1.6 * max(steps[:-1])


@pytest.mark.parametrize("motion", get_args(PuppetMotion))
def test_nothing_of_the_character_gets_lost(rig, motion):
    image, alpha = character()
    for frame in puppet_film([Puppet(image, alpha, PuppetOptions(motion), rig)], 6):
        assert 0.8 < float(frame.mask.sum() / alpha.sum()) < 1.2


def test_a_thin_strand_keeps_its_alpha():
    _, alpha = character()
    strand = np.zeros(SIZE, np.uint8)
    cv2.line(strand, (100, 20), (150, 60), 255, 4, cv2.LINE_AA)
    alone = torch.from_numpy(strand)[None, None].float() / 255
    both = torch.maximum(alpha, alone)
    only = alone * (alpha == 0)
    puppet = Puppet(only.expand(1, 3, -1, -1), both, PuppetOptions("hair"))
    for frame in puppet_film([puppet], 8):
        shown = float((frame.image[:, :1] * frame.mask).sum())
        assert shown == pytest.approx(float((only * both).sum()), rel=0.05)


def test_detached_parts_follow_the_nearest():
    _, alpha = character()
    alpha[..., 5:14, 120:130] = 1  # an ornament in the air
    mesh = mesh_over(alpha)
    far = np.array([[125.0, 9.0]])
    deformer = Deformer(mesh, np.array([POINTS["nose"], POINTS["neck"]], float))
    shift = np.array((10.0, 4.0))
    targets = np.array([POINTS["nose"], POINTS["neck"]], float) + shift
    moved = barycentric(mesh, far) @ deformer.pose(targets, mesh.points, steps=200)
    assert np.abs(moved - far - shift).max() < 1.0


def test_an_arm_crosses_the_body_without_a_halo(rig):
    """A white arm over a black body: the old background, green, shows nowhere between them."""
    _, alpha = character()
    image = torch.zeros(1, 3, *SIZE)
    image[:, 1] = 1.0
    image = image * (alpha == 0)
    image[:, :, :, :46] = torch.where(alpha[..., :46] > 0, 1.0, image[..., :46])
    puppet = Puppet(image, alpha, PuppetOptions("wave"), rig)
    targets = turned(rig, {"right elbow": math.radians(-70)}, (0, 0))
    canvas = np.zeros((*SIZE, 4), np.float32)
    puppet.painter.lay_over(canvas, puppet._bent(targets))
    inside = canvas[70:100, 70:90]
    assert (inside[..., -1] > 0.95).all()
    assert (np.abs(inside[..., 1] - inside[..., 0]) < 0.05).all()


def test_a_pose_is_read_on_any_canvas():
    scaled = {name: (x * 2, y * 2) for name, (x, y) in POINTS.items()}
    rig = rig_from_pose(keypoints(scaled, canvas=(400, 320)), SIZE)
    assert rig.points["nose"] == pytest.approx(POINTS["nose"])
    assert not rig.guessed
    del scaled["right elbow"]
    half = rig_from_pose(keypoints(scaled, canvas=(400, 320)), SIZE)
    assert half.parent("right wrist") == "right shoulder"


@pytest.mark.parametrize(
    "frame",
    [{}, {"people": []}, {"people": [{}]}, keypoints({"nose": (1, 1)}), keypoints(score=0.1)],
)
def test_poses_that_show_too_little_are_refused(frame):
    with pytest.raises(BadInput, match="pose must"):
        rig_from_pose(frame, SIZE)


def test_joints_are_guessed_from_the_shape():
    _, alpha = character()
    rig = rig_from_matte(alpha)
    assert rig.guessed
    for name, most in {"right wrist": 15, "left wrist": 15, "right ankle": 12, "left ankle": 12,
                       "neck": 20, "nose": 20}.items():  # fmt: skip
        assert math.dist(rig.points[name], POINTS[name]) < most, name
    with pytest.raises(BadInput, match="empty"):
        rig_from_matte(alpha * 0)


def test_a_sequence_drives_directions_and_keeps_lengths(rig):
    """Poses of a larger character somewhere else, whose right forearm turns by 60 degrees."""
    other = {name: (2 * x + 300, 2 * y + 50) for name, (x, y) in rig.points.items()}
    first = Rig(other)
    bent = turned(first, {"right wrist": math.radians(60)}, (0, 0))
    second = Rig(dict(zip(first.names, map(tuple, bent), strict=True)))
    start, end = driven(rig, [first, second])
    assert np.abs(start - rig.array()).max() < 1e-9
    expected = turned(rig, {"right wrist": math.radians(60)}, (0, 0))
    assert np.abs(end - expected).max() < 1e-6


BVH = """HIERARCHY
ROOT Hips {
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Neck { OFFSET 0 50 0 CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT LeftArm { OFFSET 15 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
      JOINT LeftForeArm { OFFSET 25 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
        End Site { OFFSET 20 0 0 } } } } }
MOTION
Frames: 2
Frame Time: 0.0333
0 90 0 0 0 0  0 0 0  0 0 0  0 0 0
10 90 0 0 0 0  0 0 0  90 0 0  0 0 0
"""


def test_bvh_turns_the_arm_upwards(tmp_path):
    path = tmp_path / "lift.bvh"
    path.write_text(BVH)
    rest, lifted = read_bvh(path)
    assert rest.points["hip"] == (0, -90)
    assert rest.points["left elbow"] == pytest.approx((40, -140))
    assert lifted.points["left elbow"] == pytest.approx((10 + 15, -140 - 25))
    side = read_bvh(path, "side")[0]
    assert side.points["left elbow"] == pytest.approx((0, -140))


@pytest.mark.parametrize(
    "text",
    ["", "HIERARCHY", BVH[:200], BVH.replace("Frames: 2", "Frames: 9"), BVH.replace("Neck", "Tail"),
     BVH.replace("90 0 0  0 0 0\n", "nan 0 0  0 0 0\n"), BVH.replace("Frames: 2", "Frames: 99999")],
)  # fmt: skip
def test_broken_bvh_is_a_sentence(tmp_path, text):
    path = tmp_path / "x.bvh"
    path.write_text(text)
    with pytest.raises(BadInput, match="must"):
        read_bvh(path)


def test_what_cannot_be_is_refused():
    _, alpha = character()
    with pytest.raises(BadInput, match="motion"):
        PuppetOptions("fly")
    with pytest.raises(BadInput, match="amount"):
        PuppetOptions(amount=9)
    with pytest.raises(BadInput, match="empty"):
        mesh_over(alpha * 0)
    with pytest.raises(BadInput, match="a character"):
        list(puppet_film([], 3))
    assert {"wave", "nod", "walk", "dance"} == set(JOINTED)
