"""The published Ken Burns geometry, against what the reference program recorded."""

from __future__ import annotations

import pytest
import torch

from tests.goldens import Tensors, local, shared
from toonout_core.errors import BadInput
from toonout_core.instances import Instances
from toonout_core.motion.autozoom import Cloud, View, find_target, first_view, zoom_frames
from toonout_core.motion.bokeh import lens_blur
from toonout_core.motion.disparity import continuous, depth_of, level_instances, scaled
from toonout_core.motion.holes import fill_holes
from toonout_core.motion.ken_burns import ken_burns
from toonout_core.motion.options import KenBurnsOptions
from toonout_core.motion.points import point_cloud, render_points
from toonout_core.ops.morphology import dilate, erode

SIZE = (96, 128)


@pytest.fixture(scope="module")
def golden() -> Tensors:
    return local("kenburns.safetensors")


@pytest.fixture(scope="module")
def everything() -> Tensors:
    return shared("kenburns_geometry.safetensors")


def planes(levels: torch.Tensor) -> torch.Tensor:
    return levels.permute(2, 0, 1)[None].to(torch.float32) / 255


def cloud_of(golden: Tensors) -> Cloud:
    """From the raw disparity to points, by our own code only."""
    disparity = scaled(level_instances(golden["disp_raw"], golden["masks"].bool()))
    depth = depth_of(disparity)
    points = point_cloud(depth, continuous(disparity)).view(1, 3, -1)
    data = torch.cat((planes(golden["img_bgr_u8"]), depth), 1).view(1, 4, -1)
    return Cloud(points, data, float(depth.min()), SIZE)


def test_characters_stand_where_their_feet_do(golden):
    levelled = level_instances(golden["disp_raw"], golden["masks"].bool())
    assert torch.equal(levelled, golden["disp_adjusted_bottom"])


def test_a_moved_camera_sees_what_the_reference_saw(golden):
    cloud = cloud_of(golden)
    drawn, covered = render_points(cloud.points + golden["shift_vec"], cloud.data, SIZE)
    assert (covered - golden["exist_shifted"]).abs().max() < 2e-6
    assert (drawn - golden["render_shifted"])[:, :3].abs().max() < 2e-6
    assert (drawn / golden["render_shifted"].clamp_min(1) - 1)[:, 3:].abs().min() < 2e-6
    assert bool((fill_holes(drawn, covered)[:, 3] > 0).all())


def test_another_camera(golden):
    drawn, covered = render_points(golden["tiny.points"], golden["tiny.data"], (7, 9), 100, 10)
    assert torch.equal(covered, golden["tiny.exist"])
    assert torch.equal(drawn, golden["tiny.render"])


def test_first_and_last_frame_are_the_published_ones(golden):
    end = View((61.6, 50.4), (99.0, 74.0))
    frames = zoom_frames(cloud_of(golden), first_view(SIZE), end, [0.0, 1.0])
    for name, frame in zip(("frame0", "frame4"), frames, strict=True):
        assert (frame - planes(golden[name])).abs().max() <= 1.01 / 255


def test_all_recorded_steps(everything):
    masks = everything["masks"]
    for name, levelling in (("bottom", "feet"), ("median", "median")):
        levelled = level_instances(everything["disp_raw"], masks, levelling)
        assert torch.equal(levelled, everything[f"disp_adjusted_{name}"])
    small = level_instances(everything["disp_raw_small"], masks)
    assert torch.equal(small, everything["disp_adjusted_bottom_small"])
    assert torch.equal(scaled(everything["disp_adjusted_bottom"]), everything["disp_scaled"])
    assert torch.equal(depth_of(everything["disp_scaled"]), everything["depth"])
    valid = continuous(everything["disp_scaled"])
    assert torch.equal(valid.float(), everything["valid"])
    assert torch.equal(point_cloud(everything["depth"], valid), everything["points"])
    points = everything["points"].view(1, 3, -1)
    colours = planes(everything["img_bgr_u8"]).view(1, 3, -1)
    drawn, covered = render_points(points, colours, SIZE)
    assert (drawn - everything["render_identity"]).abs().max() < 2e-6
    assert (covered - everything["exist_identity"]).abs().max() < 2e-6
    filled = fill_holes(everything["render_shifted"], everything["exist_shifted"])
    assert torch.equal(filled, everything["filled_shifted"])
    end = View((61.6, 50.4), (99.0, 74.0))
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    for index, frame in enumerate(zoom_frames(cloud_of(everything), first_view(SIZE), end, shares)):
        assert (frame - planes(everything[f"frame{index}"])).abs().max() <= 1.01 / 255


def test_the_recorded_target_is_found(everything):
    target = find_target(cloud_of(everything), shift_px=12.0)
    assert target.centre_xy == pytest.approx((61.6, 50.4))
    assert target.crop_wh == (99.0, 74.0)


def test_holes_take_the_background():
    picture = torch.zeros(1, 4, 9, 9)
    picture[0, 0, :, :3], picture[0, 3, :, :3] = 0.2, 100.0  # near, on the left
    picture[0, 0, :, 6:], picture[0, 3, :, 6:] = 0.9, 900.0  # far, on the right
    covered = (picture[:, 3:] > 0).float()
    filled = fill_holes(picture, covered)
    assert bool((filled[0, 0, 1:-1, 3:6] == 0.9).all())
    nothing = fill_holes(picture, covered * 0)
    assert torch.equal(nothing, picture)


def test_a_lens_blurs_as_published(golden):
    """The recorded picture, to one level of 255: the reference cuts levels down."""
    given = planes(golden["bokeh.in"])
    shown = lens_blur(given, golden["bokeh.depth_u8"][None, None].float(), 200.0)
    error = (shown * 255).floor() - golden["bokeh.out"].permute(2, 0, 1)[None]
    assert error.abs().max() <= 1
    assert (shown - given).abs().max() > 0.05
    assert torch.equal(lens_blur(given, torch.ones(1, 1, *SIZE), 0.5), given)


def test_the_published_zoom_ends_larger_and_keeps_the_character_whole():
    """A card of red before green: after the zoom there is no third colour and no hole in it."""
    image = torch.zeros(1, 3, 96, 128)
    image[:, 1] = 0.6
    alpha = torch.zeros(1, 96, 128)
    alpha[:, 30:96, 50:80] = 1
    red = torch.tensor([0.8, 0.0, 0.0]).view(1, 3, 1, 1)
    image = torch.where(alpha[None] > 0.5, red, image)
    mattes = Instances(alpha, torch.tensor([[50.0, 30, 80, 96]]), torch.ones(1))
    depth = torch.full((1, 1, 96, 128), 0.2)
    depth[0, :, 60:] = 0.3
    depth[0][alpha > 0.5] = 0.9
    options = KenBurnsOptions("points", frames=3, loop="once")
    plate = torch.zeros_like(image)
    plate[:, 1] = 0.6
    frames = list(ken_burns(image, mattes, image, options, depth=depth, plate=plate))
    assert [tuple(frame.image.shape) for frame in frames] == [(1, 3, 96, 128)] * 3
    areas = [float((frame.mask > 0.5).sum()) for frame in frames]
    assert areas[0] < areas[1] < areas[2]
    assert areas[2] / areas[0] > 1.4
    last = frames[-1]
    inside = erode(last.mask, 3) > 0.9
    assert (last.image - red).abs().amax(1, keepdim=True)[inside].max() < 0.02
    outside = dilate(last.mask, 3) < 0.1
    assert (last.image - plate).abs().amax(1, keepdim=True)[outside].max() < 0.02


def test_points_without_depth_are_refused_at_once():
    image = torch.rand(1, 3, 32, 32)
    none = Instances(torch.zeros(0, 32, 32), torch.zeros(0, 4), torch.zeros(0))
    with pytest.raises(BadInput, match="must have a depth picture"):
        ken_burns(image, none, image, KenBurnsOptions("points", frames=2))
