"""Crops: sizes that samplers accept, and a way back that changes nothing that is not meant."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toonout_core import BadInput, Instances
from toonout_core.characters.crops import (
    CropOptions,
    crop_box,
    crop_frames,
)
from toonout_core.characters.pasting import fade_in, paste_crops, paste_runs

SCALES = ["none", "longer side", "area"]


def disks(size_hw, *circles, soft=False):
    """Circles x, y, radius as instances; soft ones fade over 3 pixels."""
    rows = torch.arange(size_hw[0])[:, None] + 0.5
    columns = torch.arange(size_hw[1])[None] + 0.5
    masks = []
    for x, y, radius in circles:
        inside = radius - ((rows - y) ** 2 + (columns - x) ** 2).sqrt()
        masks.append((inside / 3 + 0.5).clamp(0, 1) if soft else inside > 0)
    none = torch.zeros((0, *size_hw), dtype=torch.float32 if soft else torch.bool)
    return Instances.from_masks(torch.stack(masks) if masks else none)


def noise(size_hw, frames=1):
    return torch.rand(frames, 3, *size_hw)


@st.composite
def scenes(draw):
    size_hw = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    count = draw(st.integers(0, 3))
    circles = [
        (
            draw(st.integers(0, size_hw[1])),
            draw(st.integers(0, size_hw[0])),
            draw(st.integers(1, 30)),
        )
        for _ in range(count)
    ]
    return disks(size_hw, *circles, soft=draw(st.booleans()))


@st.composite
def options(draw, scales=("none",)):
    return CropOptions(
        padding_px=draw(st.integers(0, 20)),
        padding=draw(st.sampled_from([0.0, 0.3])),
        multiple_of=draw(st.sampled_from([1, 8, 16, 64])),
        scale=draw(st.sampled_from(list(scales))),
        resolution_px=draw(st.integers(8, 96)),
        grow_px=draw(st.sampled_from([0.0, 2.5])),
        background=draw(st.booleans()),
    )


# ---------------------------------------------------------------- boxes


@given(scenes(), options(SCALES))
@settings(max_examples=60, deadline=None)
def test_crops_have_accepted_sides_and_hold_their_mask(instances, chosen):
    image = noise(instances.size_hw)
    for crop in crop_frames(image, [instances], chosen):
        region = crop.region
        left, top, right, bottom = region.box_xyxy
        assert crop.picture.shape == (1, 3, *region.size_hw)
        assert crop.mask.shape == (1, 1, *region.size_hw)
        assert all(side % chosen.multiple_of == 0 for side in region.size_hw)
        assert crop.picture.min() >= 0 and crop.picture.max() <= 1
        assert left >= 0 and top >= 0
        # beyond the picture only where the picture is too small
        assert left == 0 or right <= instances.size_hw[1]
        assert top == 0 or bottom <= instances.size_hw[0]
        assert region.mask.shape == (bottom - top, right - left)


@given(scenes(), options())
@settings(max_examples=40, deadline=None)
def test_without_growth_a_crop_holds_all_of_its_mask(instances, chosen):
    chosen = CropOptions(padding_px=chosen.padding_px, multiple_of=chosen.multiple_of)
    for crop, mask in zip(
        crop_frames(noise(instances.size_hw), [instances], chosen), instances.masks, strict=False
    ):
        rows, columns = crop.region.inside
        kept = torch.zeros_like(mask, dtype=torch.float32)
        kept[rows, columns] = crop.region.mask[
            : rows.stop - rows.start, : columns.stop - columns.start
        ]
        assert (kept - mask.to(torch.float32)).abs().max() <= 0.1  # no more than haze is lost


@pytest.mark.parametrize(
    ("box", "expected", "size_hw"),
    [
        ((100, 100, 150, 140), (93, 88, 157, 152), (64, 64)),  # around its middle
        ((0, 5, 30, 40), (0, 0, 64, 64), (64, 64)),  # moved in, at the upper left
        ((470, 470, 500, 500), (436, 436, 500, 500), (64, 64)),  # and at the lower right
        ((0, 0, 500, 500), (0, 0, 512, 512), (512, 512)),  # too small a picture
        ((10, 10, 74, 138), (10, 10, 74, 138), (128, 64)),  # accepted already
    ],
)
def test_a_box_is_widened_and_moved_in(box, expected, size_hw):
    assert crop_box(box, (500, 500), CropOptions()) == (expected, size_hw)


@pytest.mark.parametrize(
    ("scale", "resolution", "size_hw"),
    [
        ("longer side", 1024, (1024, 512)),
        ("area", 1024, (1472, 768)),
        ("longer side", 64, (64, 64)),
    ],
)
def test_crops_are_scaled_without_distortion(scale, resolution, size_hw):
    chosen = CropOptions(scale=scale, resolution_px=resolution)
    (left, top, right, bottom), size = crop_box((300, 200, 400, 400), (900, 900), chosen)
    assert size == size_hw
    stretch = (size[0] / (bottom - top)) / (size[1] / (right - left))
    assert stretch == pytest.approx(1, abs=0.02)


def test_a_picture_that_is_too_small_is_mirrored():
    image = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 3, 5, 5) / 4
    (crop,) = crop_frames(image, [disks((5, 5), (2, 2, 2))], CropOptions(multiple_of=8))
    assert crop.region.box_xyxy == (0, 0, 8, 8)
    assert torch.equal(crop.picture[0, 0, 0] * 4, torch.tensor([0.0, 1, 2, 3, 4, 3, 2, 1]))


def test_surroundings_are_given_up_before_a_picture_is_mirrored():
    instances = disks((70, 300), (150, 35, 20))
    (crop,) = crop_frames(noise((70, 300)), [instances])
    left, top, right, bottom = crop.region.box_xyxy
    assert (bottom - top, right - left) == (64, 128)
    assert 0 <= top <= 15 and bottom >= 55
    (tall,) = crop_frames(noise((70, 300)), [disks((70, 300), (150, 35, 34))])
    assert tall.region.box_xyxy[1::2] == (0, 128)


def test_haze_makes_a_crop_no_larger_and_does_not_grow():
    hazy = torch.zeros(1, 100, 200)
    hazy[0, 40:60, 20:40] = 1
    hazy[0, 50, 190], hazy[0, 50, 45] = 0.08, 0.08
    chosen = CropOptions(padding_px=8, multiple_of=4, grow_px=4)
    (crop,) = crop_frames(noise((100, 200)), [Instances.from_masks(hazy)], chosen)
    assert crop.region.box_xyxy == (8, 28, 52, 72)
    assert crop.region.mask[22, 37] == pytest.approx(0.08)
    assert crop.region.mask[22, 38:].max() == 0
    assert crop.region.mask[22, 8:36].min() == 1


def test_padding_counts_in_pixels_and_percent():
    chosen = CropOptions(padding_px=5, padding=0.5, multiple_of=1)
    (crop,) = crop_frames(noise((200, 200)), [disks((200, 200), (100, 100, 20))], chosen)
    assert crop.region.box_xyxy == (55, 55, 145, 145)


def test_lists_line_up_and_the_background_is_last():
    image = noise((60, 80), frames=3)
    frames = [
        disks((60, 80), (20, 30, 9), (60, 30, 9)),
        disks((60, 80)),
        disks((60, 80), (9, 9, 5)),
    ]
    crops = crop_frames(image, frames, CropOptions(background=True, multiple_of=8))
    assert [crop.region.frame for crop in crops] == [0, 0, 0, 1, 2, 2]
    assert [crop.region.is_background for crop in crops] == [0, 0, 1, 1, 0, 1]
    assert [crop.region.index for crop in crops] == list(range(6))
    assert {crop.region.count for crop in crops} == {6}
    assert torch.equal(crops[3].mask[..., :60, :80], torch.ones(1, 1, 60, 80))


def test_without_any_character_there_is_one_crop_that_changes_nothing():
    image = noise((60, 80))
    (crop,) = crop_frames(image, [disks((60, 80))])
    assert crop.picture.shape == (1, 3, 64, 128)
    assert crop.mask.max() == 0
    result, changed = paste_crops(image, [torch.full((1, 3, 64, 128), torch.nan)], [crop.region])
    assert torch.equal(result, image)
    assert changed.max() == 0


def test_masks_of_another_picture_are_a_sentence():
    with pytest.raises(BadInput, match="picture of 80×60, but got masks of 81×60"):
        crop_frames(noise((60, 80)), [disks((60, 81), (9, 9, 5))])


def test_soft_masks_that_share_a_pixel_leave_no_seam():
    halves = torch.zeros(2, 4, 9)
    halves[0, :, :4], halves[1, :, 5:], halves[:, :, 4] = 1, 1, 0.5
    assert torch.equal(Instances.from_masks(halves).union(), torch.ones(1, 1, 4, 9))


# ---------------------------------------------------------------- back


@given(scenes(), options(), st.sampled_from([0.0, 1.0, 6.5]))
@settings(max_examples=50, deadline=None)
def test_an_unchanged_crop_gives_the_picture_itself(instances, chosen, feather_px):
    image = noise(instances.size_hw)
    crops = crop_frames(image, [instances], chosen)
    pieces, regions = [c.picture for c in crops], [c.region for c in crops]
    result, _ = paste_crops(image, pieces, regions, feather_px=feather_px)
    assert torch.equal(result, image)


@given(scenes(), options(SCALES), st.sampled_from([0.0, 1.0, 6.5]))
@settings(max_examples=50, deadline=None)
def test_outside_of_the_masks_nothing_changes(instances, chosen, feather_px):
    image = noise(instances.size_hw)
    crops = crop_frames(image, [instances], chosen)
    pieces = [torch.rand_like(crop.picture) for crop in crops]
    regions = [crop.region for crop in crops]
    result, changed = paste_crops(image, pieces, regions, feather_px=feather_px)
    allowed = torch.zeros(instances.size_hw)
    for region in regions:
        rows, columns = region.inside
        part = region.mask[: rows.stop - rows.start, : columns.stop - columns.start]
        allowed[rows, columns] = torch.maximum(allowed[rows, columns], part)
    untouched = (allowed == 0).expand_as(result)
    assert torch.equal(result[untouched], image[untouched])
    assert result.min() >= 0 and result.max() <= 1
    assert changed.min() >= 0 and changed.max() <= 1


def test_a_hard_mask_brings_exactly_the_piece():
    image, instances = noise((70, 90)), disks((70, 90), (40, 30, 15))
    (crop,) = crop_frames(image, [instances], CropOptions(multiple_of=8))
    piece = torch.rand_like(crop.picture)
    result, changed = paste_crops(image, [piece], [crop.region])
    rows, columns = crop.region.inside
    mask = instances.masks[0]
    assert torch.equal(result[0, :, mask], piece[0, :, mask[rows, columns]])
    assert torch.equal(changed[0, 0], mask.to(torch.float32))


def overlapping(soft=False):
    image = torch.zeros(1, 3, 64, 96)
    instances = disks((64, 96), (36, 32, 20), (58, 32, 20), soft=soft)
    crops = crop_frames(image, [instances], CropOptions(multiple_of=8, padding_px=4))
    pieces = [
        torch.full_like(crop.picture, value) for crop, value in zip(crops, (0.25, 1.0), strict=True)
    ]
    return image, instances, pieces, [crop.region for crop in crops]


def test_later_ones_lie_on_top():
    image, instances, pieces, regions = overlapping()
    both = instances.masks.all(0)
    assert paste_crops(image, pieces, regions)[0][0, 0][both].unique().tolist() == [1.0]
    turned = paste_crops(image, pieces[::-1], regions[::-1])[0]
    assert turned[0, 0][both].unique().tolist() == [0.25]


def test_mattes_that_sum_to_one_leave_nothing_of_the_old_picture():
    image = torch.zeros(1, 3, 16, 64)  # black: whatever shines through makes it darker
    ramp = torch.linspace(0, 1, 64).expand(16, 64)
    masks = Instances.from_masks(torch.stack((ramp, 1 - ramp)))
    crops = crop_frames(image, [masks], CropOptions(multiple_of=16, padding_px=0))
    regions = [crop.region for crop in crops]
    white = [torch.ones_like(crop.picture) for crop in crops]
    result, changed = paste_crops(image, white, regions)
    assert (1 - result).abs().max() < 1e-5
    assert (1 - changed).abs().max() < 1e-5
    two = [torch.full_like(white[0], value) for value in (0.2, 0.6)]
    mixed, _ = paste_crops(image, two, regions)
    assert (mixed[0, 0] - (0.2 * ramp + 0.6 * (1 - ramp))).abs().max() < 1e-5


def test_the_background_lies_below_wherever_it_stands_in_the_list():
    image = torch.zeros(1, 3, 64, 96)
    instances = disks((64, 96), (48, 32, 20))
    chosen = CropOptions(multiple_of=8, grow_px=6, background=True)
    crops = crop_frames(image, [instances], chosen)
    pieces = [torch.full_like(c.picture, 0.25 if c.region.is_background else 1.0) for c in crops]
    regions = [crop.region for crop in crops]
    for order in (slice(None), slice(None, None, -1)):
        result, changed = paste_crops(image, pieces[order], regions[order])
        assert set(result[0, 0][instances.masks[0]].tolist()) == {1.0}
        assert result[0, 0, 0, 0] == 0.25
        assert changed.min() == 1


def test_scaled_crops_come_back_to_their_place():
    image, instances = torch.zeros(1, 3, 100, 100), disks((100, 100), (30, 60, 12))
    chosen = CropOptions(scale="longer side", resolution_px=256, padding_px=8)
    (crop,) = crop_frames(image, [instances], chosen)
    assert crop.picture.shape[-2:] == (256, 256)
    result, _ = paste_crops(image, [torch.ones_like(crop.picture)], [crop.region])
    assert (result[0, 0] - instances.masks[0].to(torch.float32)).abs().max() < 1e-5


def test_pieces_of_another_size_are_brought_to_the_crop_and_bent_ones_refused():
    image, instances = noise((64, 96)), disks((64, 96), (48, 32, 20))
    (crop,) = crop_frames(image, [instances], CropOptions(multiple_of=8))
    height, width = crop.region.size_hw
    twice = torch.ones(1, 3, 2 * height, 2 * width)
    assert paste_crops(image, [twice], [crop.region])[0][0, 0, 32, 48] == 1
    with pytest.raises(BadInput, match="crop 0 must have the shape of its region"):
        paste_crops(image, [torch.ones(1, 3, 8, 64)], [crop.region])


def test_versions_of_each_crop_make_versions_of_the_picture():
    image, instances = noise((64, 96)), disks((64, 96), (30, 32, 20), (70, 30, 10))
    crops = crop_frames(image, [instances], CropOptions(multiple_of=8))
    versions = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1)
    pieces = [versions.expand(3, 3, *crop.region.size_hw) for crop in crops]
    pieces[1] = torch.ones(1, 3, *crops[1].region.size_hw)  # one for all
    result, changed = paste_crops(image, pieces, [crop.region for crop in crops])
    assert result[:, 0, 32, 30].tolist() == [0.0, 0.5, 1.0]
    assert result[:, 0, 30, 70].tolist() == [1.0, 1.0, 1.0]
    assert changed.shape == (3, 1, 64, 96)
    with pytest.raises(BadInput, match="equally many versions"):
        paste_crops(image, [pieces[0], pieces[0][:2]], [crop.region for crop in crops])


def test_frames_get_their_own_crops():
    image = noise((40, 40), frames=2)
    frames = [disks((40, 40), (10, 10, 5)), disks((40, 40), (30, 30, 5))]
    crops = crop_frames(image, frames, CropOptions(multiple_of=8, padding_px=2))
    pieces = [torch.ones_like(crop.picture) for crop in crops]
    result, _ = paste_crops(image, pieces, [crop.region for crop in crops])
    for frame, found in enumerate(frames):
        mask = found.masks[0]
        assert result[frame][:, mask].min() == 1
        assert torch.equal(result[frame][:, ~mask], image[frame][:, ~mask])


def test_lists_that_do_not_line_up_are_a_sentence():
    image, instances = noise((40, 40)), disks((40, 40), (10, 10, 5), (30, 30, 5))
    crops = crop_frames(image, [instances], CropOptions(multiple_of=8))
    regions = [crop.region for crop in crops]
    with pytest.raises(BadInput, match="2 regions and 1 crops"):
        paste_crops(image, [crops[0].picture], regions)
    with pytest.raises(BadInput, match="image of 41×40"):
        paste_crops(noise((40, 41)), [crop.picture for crop in crops], regions)


def test_crops_of_several_images_go_back_to_their_own():
    images = [noise((40, 40)), noise((40, 60))]
    found = [disks((40, 40), (10, 10, 5)), disks((40, 60), (30, 30, 5), (45, 10, 5))]
    options = CropOptions(multiple_of=8, padding_px=2)
    crops = [c for image, one in zip(images, found, strict=True)
             for c in crop_frames(image, [one], options)]  # fmt: skip
    pieces, regions = [torch.ones_like(c.picture) for c in crops], [c.region for c in crops]
    alpha = torch.full((1, 1, 40, 40), 0.5)
    pasted = paste_runs([(images[0], alpha), (images[1], None)], pieces, regions)
    assert [tuple(picture.shape) for picture, _ in pasted] == [(1, 4, 40, 40), (1, 3, 40, 60)]
    assert torch.equal(pasted[0][0][:, 3:], alpha)
    for (picture, changed), image, one in zip(pasted, images, found, strict=True):
        mask = one.union()[0, 0] > 0
        assert picture[0, :3][:, mask].min() == 1 and changed[0, 0][mask].min() == 1
        assert torch.equal(picture[0, :3][:, ~mask], image[0][:, ~mask])
    with pytest.raises(BadInput, match="1 images and 2 runs"):
        paste_runs([(images[0], None)], pieces, regions)


@pytest.mark.parametrize(("on_top", "colour"), [("last", 1.0), ("first", 0.0)])
def test_who_is_in_front(on_top, colour):
    image = torch.full((1, 3, 40, 40), 0.5)
    both = disks((40, 40), (20, 20, 8), (20, 20, 8))
    crops = crop_frames(image, [both], CropOptions(multiple_of=8))
    pieces = [torch.full_like(crop.picture, float(i)) for i, crop in enumerate(crops)]
    regions = [crop.region for crop in crops]
    ((picture, _),) = paste_runs([(image, None)], pieces, regions, on_top=on_top)
    assert picture[0, :, 20, 20].tolist() == [colour] * 3


def test_masks_given_take_the_place_of_the_regions():
    image, instances = torch.zeros(1, 3, 64, 64), disks((64, 64), (32, 32, 20))
    (crop,) = crop_frames(image, [instances], CropOptions(multiple_of=64))
    left_half = torch.zeros(1, 1, 64, 64)
    left_half[..., :32] = 1
    result, changed = paste_crops(
        image, [torch.ones_like(crop.picture)], [crop.region], [left_half]
    )
    assert torch.equal(changed, left_half)
    assert torch.equal(result, left_half.expand(1, 3, 64, 64))


# ---------------------------------------------------------------- fading


@given(st.integers(1, 24), st.booleans())
@settings(max_examples=20, deadline=None)
def test_fading_stays_within_the_mask_and_reaches_it(width_px, soft):
    mask = disks((80, 80), (40, 40, 30), soft=soft).masks[None].to(torch.float32)
    faded = fade_in(mask, float(width_px))
    assert (faded <= mask).all()
    assert faded[0, 0, 40, 40] == 1
    profile = faded[0, 0, 40, :40]
    assert (profile.diff() >= -1e-6).all()
    assert profile[int(10 + width_px / 2)] == pytest.approx(0.5, abs=0.5 if soft else 0.3)


def test_thin_parts_do_not_vanish_and_the_border_is_no_edge():
    mask = torch.zeros(1, 1, 40, 60)
    mask[..., 10:14] = 1  # 4 pixels, from border to border
    mask[..., 40:] = 1
    faded = fade_in(mask, 8.0)
    assert faded[0, 0, :, 11:13].min() > 0.18
    assert faded[0, 0, :, 48:].min() == 1
    assert torch.equal(fade_in(torch.ones(1, 1, 5, 5), 8.0), torch.ones(1, 1, 5, 5))
    assert fade_in(torch.zeros(1, 1, 5, 5), 8.0).max() == 0
