from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch

from tests.motion.scenes import SIZE_HW, disk, drawn, pattern, scene, slope
from toonout_core.errors import BadInput
from toonout_core.instances import Instances
from toonout_core.motion.camera import CameraOptions, Edges, Motion, Pose, poses
from toonout_core.motion.cards import film
from toonout_core.motion.scene import build_scene, normalised, out_of_focus
from toonout_core.ops.compositing import over

MOTIONS = get_args(Motion)


def one(scene, pose, **options):
    return next(iter(film(scene, [pose], **options)))


@pytest.mark.parametrize("edges", get_args(Edges))
def test_a_still_camera_shows_the_picture_bit_for_bit(edges):
    parts = scene(slope())
    frame = one(parts, Pose(), edges=edges)
    assert torch.equal(frame.image, parts.image)
    assert bool((frame.alpha == 1).all())
    assert torch.allclose(frame.mask[0, 0], drawn()[3].sum(0).clamp(0, 1), atol=1e-5)


def test_the_drawn_scene_is_the_picture_where_it_barely_moves():
    parts = scene(slope())
    frame = one(parts, Pose((1e-9, 0)), edges="mirror")
    assert (frame.image - parts.image).abs().max() < 1e-4


def test_whole_pixels_are_known():
    """A card of disparity 1 moves by 6 pixels, a background of 0 stays."""
    parts = scene(relief=0.0)
    near = replace(parts, cards=tuple(replace(card, disparity=1.0) for card in parts.cards))
    frame = one(near, Pose((6 / (SIZE_HW[1] / 2), 0.0)), edges="mirror")
    _, plate, colours, matte = drawn()
    moved = torch.cat((colours, matte.sum(0)[None, None].clamp(0, 1)), 1).roll(6, -1)
    expected = over(moved[:, :3], moved[:, 3:], plate)
    assert (frame.image - expected).abs().max() < 1e-4
    assert (frame.mask - moved[:, 3:]).abs().max() < 1e-4


def test_near_things_move_more_and_grow_more():
    parts = scene(slope(), relief=0.0)
    frame = one(parts, Pose((0.1, 0.0)), edges="mirror")

    def middle(mask: torch.Tensor) -> float:
        columns = torch.arange(SIZE_HW[1])
        return float((mask.sum(0) * columns).sum() / mask.sum())

    left, right = (disk(centre, 20) > 0 for centre in ((32, 40), (66, 30)))
    before = drawn()[3]
    near_shift = middle(frame.mask[0, 0] * left) - middle(before[0] * left)
    far_shift = middle(frame.mask[0, 0] * right) - middle(before[1] * right)
    assert near_shift > far_shift + 1
    assert far_shift > 2
    pushed = one(parts, Pose(push=0.3), edges="mirror")
    assert pushed.mask.sum() > 1.2 * frame.mask.sum()


def test_the_focus_stays_where_it_is():
    parts = scene(relief=0.0)
    near = replace(parts, cards=(replace(parts.cards[0], disparity=0.8),))
    frame = one(near, Pose((0.2, 0.1), push=0.4), focus=0.8, edges="mirror")
    assert (frame.mask - near.cards[0].alpha).abs().max() < 1e-5


@pytest.mark.parametrize("motion", MOTIONS)
def test_no_border_is_seen_when_edges_are_cropped(motion):
    """A white frame around the plate would show at once: it is moved out of sight."""
    parts = scene(slope())
    framed = parts.plate.clone()
    framed[..., [0, -1], :] = framed[..., [0, -1]] = 1.0
    options = CameraOptions(motion, amount=1.0, focus=0.3, aim_xy=(0.7, 0.4))
    empty = replace(parts, plate=framed, cards=())
    path = [pose for pose in poses(options, 8) if not pose.is_still]
    for frame in film(empty, path, focus=0.3):
        rim = frame.image.clone()
        rim[..., 1:-1, 1:-1] = 0
        assert float(rim.min(1).values.max()) <= 1.0
        assert float((rim == 1).all(1).sum()) == 0


@pytest.mark.parametrize("motion", MOTIONS)
def test_seamless_loops_close(motion):
    parts = scene(slope())
    options = CameraOptions(motion, amount=0.6, aim_xy=(0.3, 0.55))
    first = poses(options, 16)[0]
    again = poses(replace(options, phase=0.5), 16)[8]
    frames = list(film(parts, [first, again], edges="mirror"))
    assert (frames[0].image - frames[1].image).abs().max() <= 1 / 255


def test_transparent_edges_show_nothing_beyond_the_picture():
    parts = scene()
    frame = one(parts, Pose(zoom=0.5), edges="transparent")
    assert float(frame.alpha[..., :10, :].max()) == 0
    assert float(frame.alpha[..., 36, 48]) == pytest.approx(1)
    mirrored = one(parts, Pose(zoom=0.5), edges="mirror")
    assert bool((mirrored.alpha == 1).all())


def test_relief_bends_a_character_and_tears_nothing():
    depth = slope()
    depth[0, 0][drawn()[3][0] > 0.5] = torch.linspace(0.6, 1, int((drawn()[3][0] > 0.5).sum()))
    flat, bent = (scene(depth, relief=relief) for relief in (0.0, 1.0))
    pose = Pose((0.15, 0.0))
    frames = [one(parts, pose, edges="mirror") for parts in (flat, bent)]
    assert not torch.allclose(frames[0].image, frames[1].image)
    inside = frames[1].mask[0, 0] > 0.99
    assert int(inside.sum()) > 0.8 * int((frames[0].mask[0, 0] > 0.99).sum())


def test_depth_of_field_blurs_what_is_far_from_the_focus():
    noise = torch.rand(1, 3, *SIZE_HW, generator=torch.Generator().manual_seed(2))
    parts = replace(scene(slope(), relief=0.0), plate=noise)
    soft = out_of_focus(parts, focus=1.0, strength=1.0)

    def sharp(image: torch.Tensor) -> float:
        return float(image.diff(dim=-1).abs().mean())

    assert sharp(soft.plate) < 0.7 * sharp(parts.plate)
    assert out_of_focus(parts, 1.0, 0.0) is parts
    nearest = max(range(2), key=lambda i: parts.cards[i].disparity)
    assert torch.equal(soft.cards[nearest].alpha, parts.cards[nearest].alpha)
    assert not torch.equal(soft.cards[1 - nearest].alpha, parts.cards[1 - nearest].alpha)


def test_without_depth_characters_stand_in_order():
    picture, plate, colours, parts = drawn(centres=((30, 50), (62, 20)))
    built = build_scene(picture, Instances.from_masks(parts), colours, plate=plate)
    assert [card.disparity for card in built.cards] == [0.5, 1.0]
    assert torch.equal(built.cards[1].alpha[0, 0], parts[0])
    assert float(built.plate_disparity.max()) == 0


def test_the_ground_under_characters_is_filled_smoothly():
    ground = scene(slope()).plate_disparity[0, 0]
    assert float(ground.diff(dim=0).abs().max()) < 0.1
    assert float(ground.max()) < 0.85


@pytest.mark.parametrize(
    ("depth", "words"),
    [
        (torch.full((1, 1, 8, 8), 0.4), "differ"),
        (torch.linspace(1, 40, 64).view(1, 1, 8, 8), "v2_style"),
        (torch.full((1, 1, 8, 8), float("nan")), "number"),
    ],
)
def test_pictures_that_are_no_depth_are_refused(depth, words):
    with pytest.raises(BadInput, match=words):
        normalised(depth, SIZE_HW)


def test_depth_of_any_size_and_either_way():
    depth = torch.rand(2, 1, 9, 12, generator=torch.Generator().manual_seed(1)) * 0.3
    near = normalised(depth, SIZE_HW)
    assert tuple(near.shape) == (1, 1, *SIZE_HW)
    assert float(near.max()) > 0.95
    assert torch.allclose(normalised(depth, SIZE_HW, invert=True), 1 - near)


def test_wrong_sizes_are_refused():
    picture, plate, colours, parts = drawn()
    instances = Instances.from_masks(parts)
    with pytest.raises(BadInput, match="one size"):
        build_scene(picture, instances, colours[..., :-1])
    with pytest.raises(BadInput, match="background"):
        build_scene(picture, instances, colours, plate=plate[..., :-1])
    assert pattern().shape == picture.shape
