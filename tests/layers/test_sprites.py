from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toonout_core.errors import BadInput
from toonout_core.layers.sprites import SheetOptions, aseprite_json, sprite_sheet


def walking(count: int, size_hw: tuple[int, int] = (20, 30)) -> tuple[torch.Tensor, torch.Tensor]:
    """A box of 4×6 that moves one pixel to the right in each frame, over a hidden background."""
    image = torch.rand(count, 3, *size_hw, generator=torch.Generator().manual_seed(3))
    alpha = torch.zeros(count, 1, *size_hw)
    for index in range(count):
        alpha[index, :, 9:15, 5 + index : 9 + index] = 1
    return image, alpha


def cell(sheet, entry) -> torch.Tensor:
    box = entry["frame"]
    rows, columns = slice(box["y"], box["y"] + box["h"]), slice(box["x"], box["x"] + box["w"])
    return torch.cat((sheet.image, sheet.alpha), 1)[0, :, rows, columns]


def test_frames_are_cut_to_one_box_and_stand_where_the_list_says():
    image, alpha = walking(5)
    sheet = sprite_sheet(image, alpha, SheetOptions(columns=3, padding_px=2))
    assert sheet.box_xyxy == (5, 9, 13, 15)
    assert tuple(sheet.image.shape) == (1, 3, 2 * (6 + 4), 3 * (8 + 4))
    document = aseprite_json(sheet, "walk.png", [100, 100, 80, 80, 33.4])
    json.dumps(document)
    for index, entry in enumerate(document["frames"]):
        expected = torch.cat((image * alpha, alpha), 1)[index, :, 9:15, 5:13]
        assert torch.equal(cell(sheet, entry), expected)
        assert entry["spriteSourceSize"] == {"x": 5, "y": 9, "w": 8, "h": 6}
        assert entry["sourceSize"] == {"w": 30, "h": 20}
        assert entry["trimmed"]
    assert [entry["duration"] for entry in document["frames"]] == [100, 100, 80, 80, 33]
    assert document["meta"]["size"] == {"w": 36, "h": 20}
    assert document["meta"]["slices"][0]["keys"][0]["pivot"] == {"x": 4, "y": 6}


def test_without_trimming_frames_stay_whole():
    image, alpha = walking(2)
    sheet = sprite_sheet(image, alpha, SheetOptions(trim=False, pivot="centre"))
    document = aseprite_json(sheet, "walk.png", [100, 100])
    assert not document["frames"][0]["trimmed"]
    assert document["frames"][1]["frame"]["w"] == 30


def test_sides_are_powers_of_two_when_asked():
    sheet = sprite_sheet(*walking(5), SheetOptions(power_of_two=True))
    for side in sheet.image.shape[-2:]:
        assert side & (side - 1) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 15), st.integers(0, 3), st.booleans())
def test_no_frame_covers_another(count, columns, padding, trim):
    options = SheetOptions(columns=columns, padding_px=padding, trim=trim)
    image, alpha = walking(count)
    sheet = sprite_sheet(image, alpha, options)
    assert float(sheet.alpha.sum()) == float(alpha.sum())
    assert len(set(sheet.frames_xy)) == count


def test_an_empty_clip_and_absurd_sheets_are_refused():
    image, alpha = walking(1)
    empty = sprite_sheet(image, alpha * 0)
    assert tuple(empty.image.shape[-2:]) == (20, 30)
    with pytest.raises(BadInput, match="must have frames"):
        sprite_sheet(image[:0], alpha[:0])
    with pytest.raises(BadInput, match="at most 32768"):
        sprite_sheet(*walking(2), SheetOptions(padding_px=20_000))
    with pytest.raises(BadInput, match="pivot"):
        SheetOptions(pivot="nose")
    with pytest.raises(BadInput, match="as many durations"):
        aseprite_json(empty, "x.png", [])
