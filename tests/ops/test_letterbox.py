"""Pictures on a detector's canvas, and what it says of them back on the picture."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from tests.goldens import from_uint8, local
from tests.published import map_to_picture_as_published
from toonout_core.errors import BadInput
from toonout_core.imaging import from_levels, to_levels
from toonout_core.ops.eight_bit import resize_eight_bit
from toonout_core.ops.letterbox import (
    boxes_to_picture,
    letterbox,
    map_to_picture,
)

sides = st.integers(1, 90)


def test_levels_and_back_are_exact():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(to_levels(from_levels(levels)), levels)
    assert to_levels(torch.tensor([-1.0, 0.4999 / 255, 0.5001 / 255, 2.0])).tolist() == [
        0,
        0,
        1,
        255,
    ]


@pytest.mark.parametrize("case", [2, 4, 5, 6, 7, 8])
def test_resizing_equals_opencv_to_the_last_bit(case):
    golden = local("eight_bit.safetensors")
    given_levels, expected = golden[f"u8.{case}.in"], golden[f"u8.{case}.out"]
    if given_levels.ndim == 2:
        given_levels, expected = given_levels[..., None], expected[..., None]
    resized = resize_eight_bit(from_uint8(given_levels), tuple(expected.shape[:2]))
    assert torch.equal(to_levels(resized), to_levels(from_uint8(expected)))


@given(sides, sides, sides, sides)
def test_resizing_keeps_even_pictures_even(height, width, down, across):
    levels = torch.full((1, 1, height, width), 200 / 255)
    resized = resize_eight_bit(levels, (down, across))
    # the last of the rounding steps may lose one of 255 levels
    assert float((resized * 255 - 200).abs().max()) < 1.01


def test_canvas_as_recorded():
    golden = local("rtmdet_ins.safetensors")
    canvas, fitted = letterbox(from_uint8(golden["land.img_bgr_u8"]), 160)
    assert torch.equal(to_levels(canvas)[0], golden["land.input_u8"])
    assert (fitted.source_hw, fitted.content_hw) == ((150, 220), (109, 160))


@given(sides, sides)
def test_the_longer_side_fills_the_canvas(height, width):
    canvas, fitted = letterbox(torch.zeros(2, 3, height, width), 64)
    assert canvas.shape == (2, 3, 64, 64)
    assert max(fitted.content_hw) == 64
    down, across = fitted.content_hw
    assert float(canvas[..., :down, :across].max()) == 0
    beside = canvas.clone()
    beside[..., :down, :across] = 114 / 255
    assert bool((beside == 114 / 255).all())


def test_pictures_without_pixels_are_refused():
    with pytest.raises(BadInput, match="must have pixels"):
        letterbox(torch.zeros(1, 3, 0, 5), 64)


@given(sides, sides, st.booleans())
def test_maps_come_back_in_place(height, width, centre):
    """A ramp over the canvas tells of each pixel of the picture where it lay."""
    _, fitted = letterbox(torch.zeros(1, 3, height, width), 64, centre=centre)
    top, left = fitted.offset_yx
    ramp = torch.arange(64.0)
    back = map_to_picture(torch.stack((ramp.expand(64, 64), ramp[:, None].expand(64, 64))), fitted)
    assert back.shape == (2, height, width)
    down, across = fitted.content_hw
    x = left + ((torch.arange(width) + 0.5) * across / width - 0.5).clamp(0, 63 - left)
    y = top + ((torch.arange(height) + 0.5) * down / height - 0.5).clamp(0, 63 - top)
    assert torch.allclose(back[0], x.expand(height, width), atol=1e-4)
    assert torch.allclose(back[1], y[:, None].expand(height, width), atol=1e-4)


@given(sides, sides, st.booleans())
def test_boxes_come_back_in_place(height, width, centre):
    _, fitted = letterbox(torch.zeros(1, 3, height, width), 64, centre=centre)
    (down, across), (top, left) = fitted.content_hw, fitted.offset_yx
    content = torch.tensor([[left, top, left + across, top + down]], dtype=torch.float32)
    boxes = boxes_to_picture(content, fitted)
    assert torch.allclose(boxes, torch.tensor([[0.0, 0.0, width, height]]), atol=1e-3)


def test_the_published_way_back_is_a_column_short():
    _, fitted = letterbox(torch.zeros(1, 3, 201, 333), 160)
    logits = torch.zeros(3, 160, 160)
    assert map_to_picture_as_published(logits, fitted).shape == (3, 201, 332)
    assert map_to_picture(logits, fitted).shape == (3, 201, 333)


def test_the_published_way_back_as_recorded():
    """150×190 on a canvas of 160×192 with scales 1.0105 and 1.0133."""
    golden = local("rtmdet_ins.safetensors")
    across, down = (float(scale) for scale in golden["masks.wscale_hscale"])
    from toonout_core.ops.resizing import Fitted

    fitted = Fitted((150, 190), (round(150 * down), round(190 * across)), (0, 0), (160, 192))
    enlarged = functional.interpolate(
        golden["masks.logits"][None, :1], scale_factor=8, mode="bilinear", align_corners=False
    )[0]
    assert torch.equal(enlarged, golden["masks.up8_first"])
    back = map_to_picture_as_published(enlarged, fitted)
    assert torch.allclose(back, golden["masks.rescaled_first"], atol=1e-5)
