"""Limbs that are taken off a body, and joints that are guessed."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from tests.motion.puppet.test_puppet import POINTS, SIZE, character, keypoints
from toonout_core.motion.options import PuppetOptions
from toonout_core.motion.puppet.drawing import _fuller_last
from toonout_core.motion.puppet.mesh import mesh_over
from toonout_core.motion.puppet.motions import wave
from toonout_core.motion.puppet.parts import (
    BODY,
    _hangs_from_head,
    _has_hair_colour,
    freedom,
    split,
)
from toonout_core.motion.puppet.rig import PARTS, is_cut, rig_from_matte, rig_from_pose
from toonout_core.motion.puppet.show import Puppet, puppet_film

NAMES = tuple(PARTS)
RIG = rig_from_pose(keypoints(), SIZE)


def pixels(alpha, colour=0.5):
    image = torch.full((1, 3, *SIZE), colour)
    rgba = torch.cat((image * alpha, alpha), 1)[0].permute(1, 2, 0)
    return np.ascontiguousarray(rgba.numpy())


def stacked(layers):
    canvas = np.zeros_like(layers[0])
    for layer in layers:
        canvas = layer + canvas * (1 - layer[..., 3:])
    return canvas


def test_layers_show_the_character_at_rest():
    shown = pixels(character()[1])
    laid = stacked(split(shown, RIG))
    solid = shown[..., 3] > 0.99
    assert np.abs(laid - shown)[solid].max() < 1e-3
    assert np.abs(laid - shown).max() < 0.5, "soft edges may become fuller where limbs hang"


def test_an_arm_that_stands_apart_is_taken_whole():
    """With a wide sleeve that hangs on it alone."""
    _, alpha = character()
    canvas = (alpha[0, 0].numpy() * 255).astype(np.uint8)
    cv2.rectangle(canvas, (16, 86), (34, 124), 255, -1)
    sleeve = split(pixels(torch.from_numpy(canvas)[None, None].float() / 255), RIG)
    assert sleeve[NAMES.index("right arm")][115, 24, 3] > 0.99
    assert sleeve[BODY][115, 24, 3] == 0


def test_the_body_goes_on_under_an_arm_that_crosses_it():
    points = dict(POINTS, **{"right elbow": (70, 90), "right wrist": (92, 84)})
    rig = rig_from_pose(keypoints(points), SIZE)
    alpha = torch.zeros(1, 1, *SIZE)
    alpha[..., 60:120, 50:112] = 1
    alpha = torch.maximum(alpha, character()[1])
    layers = split(pixels(alpha), rig)
    assert layers[NAMES.index("right arm")][86, 86, 3] > 0.99
    under = layers[BODY][86, 86]
    assert under[3] > 0.9, "no hole is left when the arm moves"
    assert abs(under[0] / under[3] - 0.5) < 0.05, "in the body's colour, not in black"


def test_guessed_arms_that_lie_on_the_body_rest():
    free = freedom(pixels(character()[1]), RIG)
    assert min(free[name] for name in NAMES if name.endswith("arm")) > 0.6
    wide = torch.zeros(1, 1, *SIZE)
    wide[..., 20:190, 10:150] = 1
    assert max(freedom(pixels(wide), RIG).values()) < 0.3


def drawn(draw):
    """The matte of a character, with something that `draw` puts on it in 0 … 255."""
    canvas = (character()[1][0, 0].numpy() * 255).astype(np.uint8)
    draw(canvas)
    return torch.from_numpy(canvas)[None, None].float() / 255


def test_hair_beside_the_head_is_no_arm():
    """It hangs free, as an arm does, but from the head."""

    def hair(canvas):
        canvas[60:150, 10:58] = 0  # no arm on this side
        top = int(POINTS["nose"][1])
        cv2.rectangle(canvas, (30, top - 6), (80, top + 6), 255, -1)
        cv2.rectangle(canvas, (22, top - 6), (34, 110), 255, -1)

    alpha = drawn(hair)
    rig = rig_from_matte(alpha)
    assert rig.points["right wrist"][0] < 40, "the guess takes it for an arm"
    assert freedom(pixels(alpha), rig)["right arm"] == 0
    assert freedom(pixels(character()[1]), rig_from_matte(character()[1]))["right arm"] > 0.6


def test_hair_is_told_by_its_place_and_its_colour():
    shown = pixels(character()[1], 0.5)
    mine = np.zeros(SIZE, bool)
    mine[80:92, 16:40] = True
    assert not _hangs_from_head(shown[..., 3], RIG, "right")
    beside = shown[..., 3].copy()
    beside[24:90, 16:34] = 1  # up to the head
    assert _hangs_from_head(beside, RIG, "right")
    assert _has_hair_colour(shown, RIG, mine)
    shown[mine] *= (1.8, 0.6, 0.2, 1)
    assert not _has_hair_colour(shown, RIG, mine)


def test_an_empty_triangle_never_covers_a_full_one():
    layer = pixels(character()[1])
    mesh = mesh_over(character()[1])
    every = np.arange(len(mesh.triangles))
    ordered = _fuller_last(layer, mesh, every)
    assert sorted(ordered) == list(every)
    columns, rows = mesh.points[mesh.triangles[ordered]].mean(1).astype(int).T
    shown = layer[rows.clip(0, SIZE[0] - 1), columns.clip(0, SIZE[1] - 1), 3]
    assert (np.diff(shown) >= 0).all()
    assert shown[0] < shown[-1]


def test_an_arm_has_the_length_of_an_arm_and_what_it_holds_stays_straight():
    alpha = drawn(lambda canvas: cv2.line(canvas, (24, 86), (0, 96), 255, 3))
    rig = rig_from_matte(alpha)
    assert np.hypot(*np.subtract(rig.points["right shoulder"], rig.points["right wrist"])) <= (
        1.11 * np.hypot(*np.subtract(rig.points["neck"], rig.points["hip"]))
    )


def test_only_what_looks_like_an_arm_is_one():
    """A stick that stands beside the body, a stump, and a blob have none."""

    def stick(canvas):
        canvas[60:150, 10:58] = 0
        cv2.line(canvas, (14, 20), (14, 180), 255, 3)

    def stump(canvas):
        canvas[60:150, 10:58] = 0
        cv2.rectangle(canvas, (46, 62), (66, 76), 255, -1)

    for draw in (stick, stump):
        alpha = drawn(draw)
        assert freedom(pixels(alpha), rig_from_matte(alpha)).get("right arm", 0.0) == 0
    blob = torch.zeros(1, 1, *SIZE)
    blob[0, 0] = torch.from_numpy(cv2.circle(np.zeros(SIZE, np.float32), (80, 100), 60, 1, -1))
    image = torch.full((1, 3, *SIZE), 0.5)
    assert Puppet(image, blob, PuppetOptions("wave"), None).still_arms


def test_a_sword_stays_straight_while_its_arm_waves():
    alpha = drawn(lambda canvas: cv2.line(canvas, (24, 86), (0, 96), 255, 3))
    image = torch.full((1, 3, *SIZE), 0.5)
    puppet = Puppet(image, alpha, PuppetOptions("wave"), None)
    assert not puppet.still_arms
    rest = puppet.mesh.points
    held = rest[:, 0] < 16
    for moved in puppet.shapes(6):
        before, now = (points[held] - points[held].mean(0) for points in (rest, moved))
        turn = np.linalg.svd(before.T @ now)
        straight = before @ (turn[0] @ turn[2])
        assert np.abs(straight - now).max() < 0.5 * puppet.mesh.cell_px


def test_an_arm_that_is_up_rises_less():
    up = dict(POINTS, **{"right elbow": (30, 50), "right wrist": (20, 20)})
    hanging = wave(RIG, 1.0, 0)(np.pi)[0]["right elbow"]
    raised = wave(rig_from_pose(keypoints(up), SIZE), 1.0, 0)(np.pi)[0]["right elbow"]
    assert hanging > 0.5 > raised >= 0


def test_a_hand_that_crosses_the_body_leaves_no_hole_in_it():
    """The soft rim of a hand is no part of the body: it would lie over the body as nothing."""
    faint = cv2.dilate(character()[1][0, 0].numpy(), np.ones((11, 11))) * 0.01
    faint[:, 34:] = 0  # around a hand
    alpha = torch.maximum(character()[1], torch.from_numpy(faint))
    layers = split(pixels(alpha), RIG)
    shown = (layers[BODY][..., 3] > 0).astype(np.uint8)
    count, labels = cv2.connectedComponents(shown)
    assert [layers[BODY][labels == piece][:, 3].max() > 0.5 for piece in range(1, count)] == [True]


def test_the_wave_is_that_of_the_arm_that_is_free():
    alpha = drawn(lambda canvas: cv2.rectangle(canvas, (20, 60), (90, 150), 255, -1))
    image = torch.full((1, 3, *SIZE), 0.5)
    puppet = Puppet(image, alpha, PuppetOptions("wave"), None)
    assert puppet.freedom["left arm"] > 0.5 > puppet.freedom["right arm"]
    moved = np.abs(list(puppet.shapes(4))[2] - puppet.mesh.points).max(1)
    right = puppet.mesh.points[:, 0] > SIZE[1] / 2
    assert moved[right].max() > 5 * moved[~right].max()


def test_legs_that_share_a_skirt_do_not_tear_it():
    assert freedom(pixels(character()[1]), RIG)["left leg"] > 0.9
    skirted = character()[1].clone()
    skirted[..., int(POINTS["left hip"][1]) : 185, 50:110] = 1
    free = freedom(pixels(skirted), RIG)
    assert max(free["left leg"], free["right leg"]) < 0.1


def test_a_skirt_stays_in_one_piece_when_its_legs_walk():
    alpha = character()[1].clone()
    alpha[..., int(POINTS["left hip"][1]) : 185, 50:110] = 1
    image = torch.full((1, 3, *SIZE), 0.5)
    whole = float(alpha.sum())
    for frame in puppet_film([Puppet(image, alpha, PuppetOptions("walk"), None)], 8):
        solid = (frame.mask[0, 0, 100:] > 0.5).numpy().astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(solid)
        pieces = [area for area in stats[1:count, cv2.CC_STAT_AREA] if area > 20]
        assert len(pieces) == 1
        assert abs(float(frame.mask.sum()) / whole - 1) < 0.05


def half_character():
    alpha = character()[1].clone()
    return torch.nn.functional.interpolate(alpha[..., :100, :], SIZE, mode="bilinear")


def test_half_a_character_has_no_legs_and_stays_at_the_border():
    alpha = half_character()
    assert is_cut(alpha)
    assert not is_cut(character()[1])
    rig = rig_from_matte(alpha)
    assert "left knee" not in rig.points
    assert rig.points["hip"][1] > rig.points["neck"][1]
    image = torch.full((1, 3, *SIZE), 0.5)
    for motion in ("float", "bounce", "dance"):
        for frame in puppet_film([Puppet(image, alpha, PuppetOptions(motion), None)], 5):
            last, before = frame.mask[0, 0, -1], alpha[0, 0, -1]
            assert (last - before).abs().mean() < 0.05, motion


def test_the_neck_is_where_the_character_is_narrow():
    rig = rig_from_matte(character()[1])
    assert abs(rig.points["neck"][1] - 52) < 8
    assert abs(rig.points["neck"][0] - 80) < 4
