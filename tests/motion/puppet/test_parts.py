"""Limbs that are taken off a body, and joints that are guessed."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from tests.motion.puppet.test_puppet import POINTS, SIZE, figure, keypoints
from toonout_core.motion.options import PuppetOptions
from toonout_core.motion.puppet.parts import BODY, freedom, split
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
    shown = pixels(figure()[1])
    laid = stacked(split(shown, RIG))
    solid = shown[..., 3] > 0.99
    assert np.abs(laid - shown)[solid].max() < 1e-3
    assert np.abs(laid - shown).max() < 0.5, "soft edges may become fuller where limbs hang"


def test_an_arm_that_stands_apart_is_taken_whole():
    """With a wide sleeve that hangs on it alone."""
    _, alpha = figure()
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
    alpha = torch.maximum(alpha, figure()[1])
    layers = split(pixels(alpha), rig)
    assert layers[NAMES.index("right arm")][86, 86, 3] > 0.99
    under = layers[BODY][86, 86]
    assert under[3] > 0.9, "no hole is left when the arm moves"
    assert abs(under[0] / under[3] - 0.5) < 0.05, "in the body's colour, not in black"


def test_guessed_arms_that_lie_on_the_body_rest():
    free = freedom(pixels(figure()[1]), RIG)
    assert min(free[name] for name in NAMES if name.endswith("arm")) > 0.7
    wide = torch.zeros(1, 1, *SIZE)
    wide[..., 20:190, 10:150] = 1
    assert max(freedom(pixels(wide), RIG).values()) < 0.3


def test_legs_that_share_a_skirt_do_not_tear_it():
    assert freedom(pixels(figure()[1]), RIG)["left leg"] > 0.9
    skirted = figure()[1].clone()
    skirted[..., int(POINTS["left hip"][1]) : 185, 50:110] = 1
    free = freedom(pixels(skirted), RIG)
    assert max(free["left leg"], free["right leg"]) < 0.1


def test_a_skirt_stays_in_one_piece_when_its_legs_walk():
    alpha = figure()[1].clone()
    alpha[..., int(POINTS["left hip"][1]) : 185, 50:110] = 1
    image = torch.full((1, 3, *SIZE), 0.5)
    whole = float(alpha.sum())
    for frame in puppet_film([Puppet(image, alpha, PuppetOptions("walk"), None)], 8):
        solid = (frame.mask[0, 0, 100:] > 0.5).numpy().astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(solid)
        pieces = [area for area in stats[1:count, cv2.CC_STAT_AREA] if area > 20]
        assert len(pieces) == 1
        assert abs(float(frame.mask.sum()) / whole - 1) < 0.05


def half_figure():
    alpha = figure()[1].clone()
    return torch.nn.functional.interpolate(alpha[..., :100, :], SIZE, mode="bilinear")


def test_half_a_figure_has_no_legs_and_stays_at_the_border():
    alpha = half_figure()
    assert is_cut(alpha)
    assert not is_cut(figure()[1])
    rig = rig_from_matte(alpha)
    assert "left knee" not in rig.points
    assert rig.points["hip"][1] > rig.points["neck"][1]
    image = torch.full((1, 3, *SIZE), 0.5)
    for motion in ("float", "bounce", "dance"):
        for frame in puppet_film([Puppet(image, alpha, PuppetOptions(motion), None)], 5):
            last, before = frame.mask[0, 0, -1], alpha[0, 0, -1]
            assert (last - before).abs().mean() < 0.05, motion


def test_the_neck_is_where_the_figure_is_narrow():
    rig = rig_from_matte(figure()[1])
    assert abs(rig.points["neck"][1] - 52) < 8
    assert abs(rig.points["neck"][0] - 80) < 4
