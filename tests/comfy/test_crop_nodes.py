"""The nodes that cut characters out, name them and lay them back, on a fake host."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.comfy.characters import (
    LEFT,
    MIDDLE,
    RIGHT,
    SIZE_HW,
    drawn,
    error_class,
    instances_of,
    masks_of,
    rectangle,
)

# ---------------------------------------------------------------- Crop and Paste


def inverted(crops):
    return [1 - crop for crop in crops]


def test_crops_go_out_one_by_one_and_come_back_to_their_place(run):
    image = drawn(LEFT, MIDDLE, RIGHT)
    instances = instances_of(run, LEFT, MIDDLE, RIGHT)
    cut = run("CropInstances", image=image, instances=instances, multiple_of="8", grow_px=0.0)
    assert cut["count"] == 3
    for crop, mask in zip(cut["crops"], cut["masks"], strict=True):
        assert crop.shape[:3] == mask.shape
        assert all(side % 8 == 0 for side in mask.shape[1:])
    pasted = run(
        "PasteInstances",
        image=image,
        crops=inverted(cut["crops"]),
        regions=cut["regions"],
        feather_px=0.0,
    )
    inside = masks_of(LEFT, MIDDLE, RIGHT).amax(0)[None]
    (result,) = pasted["image"]
    expected = torch.where(inside[..., None] > 0, 1 - image, image)
    assert torch.equal(result, expected)
    assert torch.equal(pasted["changed"][0], inside)
    same = run("PasteInstances", image=image, crops=cut["crops"], regions=cut["regions"])
    assert torch.equal(same["image"][0], image)


def test_the_background_is_one_more_item(run):
    image, instances = drawn(LEFT), instances_of(run, LEFT)
    cut = run("CropInstances", image=image, instances=instances, background=True, grow_px=0.0)
    assert cut["count"] == 2
    assert cut["regions"][1].is_background
    assert cut["masks"][1][0, 50, 20] == 0
    new = [
        torch.zeros_like(crop) + value for crop, value in zip(cut["crops"], (1, 0.5), strict=True)
    ]
    pasted = run("PasteInstances", image=image, crops=new, regions=cut["regions"], feather_px=0.0)[
        "image"
    ][0]
    assert set(pasted.unique().tolist()) == {0.5, 1.0}


def test_without_characters_the_picture_stays(run, segmenter):
    image = drawn()
    nothing = run("SegmentInstances", segmenter=segmenter, image=image)["instances"]
    cut = run("CropInstances", image=image, instances=nothing)
    assert cut["count"] == 1
    back = run("PasteInstances", image=image, crops=inverted(cut["crops"]), regions=cut["regions"])
    assert torch.equal(back["image"][0], image)
    prompts = run("JoinPrompts", style="3d", regions=cut["regions"])
    assert prompts["prompts"] == ["3d"]
    assert run("JoinPrompts", style="3d", instances=[nothing])["prompts"] == ["3d"]


def test_pictures_of_a_list_get_their_own_crops(run):
    """As ComfyUI does it: the crop node runs once for each picture, its lists are joined."""
    pictures = [drawn(LEFT, RIGHT), drawn(MIDDLE)]
    found = [instances_of(run, LEFT, RIGHT), instances_of(run, MIDDLE)]
    cuts = [
        run("CropInstances", image=image, instances=instances, grow_px=0.0)
        for image, instances in zip(pictures, found, strict=True)
    ]
    crops = [crop for cut in cuts for crop in cut["crops"]]
    regions = [region for cut in cuts for region in cut["regions"]]
    back = run(
        "PasteInstances", image=pictures, crops=inverted(crops), regions=regions, feather_px=0.0
    )
    for image, result, boxes in zip(
        pictures, back["image"], [(LEFT, RIGHT), (MIDDLE,)], strict=True
    ):
        inside = masks_of(*boxes).amax(0)[None, ..., None]
        assert torch.equal(result, torch.where(inside > 0, 1 - image, image))
    with pytest.raises(error_class(), match="1 images and 2 runs"):
        run("PasteInstances", image=pictures[0], crops=crops, regions=regions)


def test_clips_get_crops_frame_by_frame(run, segmenter):
    image = torch.cat((drawn(LEFT, RIGHT), drawn(), drawn(MIDDLE)))
    found = run("SegmentInstances", segmenter=segmenter, image=image)["instances"]
    cut = run("CropInstances", image=image, instances=found)
    assert [region.frame for region in cut["regions"]] == [0, 0, 2]
    back = run("PasteInstances", image=image, crops=inverted(cut["crops"]), regions=cut["regions"])
    (result,) = back["image"]
    assert result.shape == image.shape
    assert torch.equal(result[1], image[1])
    assert (result[2] != image[2]).any()


def test_alpha_of_the_picture_is_kept(run):
    image = torch.cat((drawn(LEFT), torch.rand(1, *SIZE_HW, 1)), -1)
    cut = run("CropInstances", image=image, instances=instances_of(run, LEFT))
    assert cut["crops"][0].shape[-1] == 3
    back = run("PasteInstances", image=image, crops=cut["crops"], regions=cut["regions"])
    assert torch.equal(back["image"][0], image)


def test_the_first_can_be_on_top(run):
    image = drawn()
    instances = instances_of(run, (20, 20, 80, 80), (50, 20, 120, 80))
    cut = run("CropInstances", image=image, instances=instances, grow_px=0.0)
    flat = [
        torch.full_like(crop, value) for crop, value in zip(cut["crops"], (0.25, 0.75), strict=True)
    ]
    for on_top, value in (("last", 0.75), ("first", 0.25)):
        back = run(
            "PasteInstances",
            image=image,
            crops=flat,
            regions=cut["regions"],
            feather_px=0.0,
            on_top=on_top,
        )
        assert back["image"][0][0, 50, 65].unique().tolist() == [value]


def test_a_joined_list_is_a_sentence(run):
    image = drawn(LEFT, RIGHT)
    cut = run("CropInstances", image=image, instances=instances_of(run, LEFT, RIGHT))
    joined = cut["crops"][0].repeat(2, 1, 1, 1)
    with pytest.raises(error_class(), match="2 regions and 1 crops"):
        run("PasteInstances", image=image, crops=joined, regions=cut["regions"])


@pytest.mark.parametrize(("scale", "resolution"), [("longer side", 256), ("area", 128)])
def test_crops_are_scaled_for_the_model(run, scale, resolution):
    cut = run(
        "CropInstances",
        image=drawn(LEFT),
        instances=instances_of(run, LEFT),
        scale=scale,
        resolution=resolution,
    )
    height, width = cut["masks"][0].shape[1:]
    assert height % 64 == width % 64 == 0
    assert max(height, width) == 256 if scale == "longer side" else height * width >= resolution**2


# ---------------------------------------------------------------- Join Prompts


def test_lists_line_up_with_the_crops(run):
    image = drawn(LEFT, RIGHT)
    cut = run(
        "CropInstances", image=image, instances=instances_of(run, LEFT, RIGHT), background=True
    )
    out = run(
        "JoinPrompts",
        style="3d style",
        lines="red\nblue",
        background="a street",
        tags=["1girl, long_hair", "1boy", "no_humans"],
        regions=cut["regions"],
    )
    assert out["prompts"] == [
        "3d style, red, 1girl, long hair",
        "3d style, blue, 1boy",
        "3d style, a street",
    ]
    assert out["text"].splitlines()[1] == "1: 3d style, blue, 1boy"
    assert out["count"] == 3


def test_a_missing_line_is_a_sentence_instead_of_a_silent_repetition(run):
    instances = instances_of(run, LEFT, MIDDLE, RIGHT)
    with pytest.raises(error_class(), match="3 prompts, one for each character, but got 2 lines"):
        run("JoinPrompts", style="3d", lines="red\nblue", instances=[instances])
    with pytest.raises(error_class(), match="but got 1 tags"):
        run("JoinPrompts", style="3d", tags=["1girl"], instances=[instances])


def test_one_text_is_split_for_several_and_left_whole_for_one(run):
    one, two = instances_of(run, LEFT), instances_of(run, LEFT, RIGHT)
    text = ["red [SEP] blue"]
    assert run("JoinPrompts", tags=text, instances=[two])["prompts"] == ["red", "blue"]
    assert run("JoinPrompts", tags=["red,\nhat"], instances=[one])["prompts"] == ["red, hat"]
    with pytest.raises(error_class(), match="got 2 lines"):
        run("JoinPrompts", lines="red [SEP] blue", instances=[one])
    assert run("JoinPrompts", lines="a\nb", style="s")["prompts"] == ["s, a", "s, b"]
    assert run("JoinPrompts", style="s")["prompts"] == ["s"]


# ---------------------------------------------------------------- SEGS


def test_segs_have_the_layout_that_the_impact_pack_reads(run):
    image, instances = drawn(LEFT, RIGHT), instances_of(run, LEFT, RIGHT)
    ((size_hw, items),) = run("InstancesToSEGS", instances=instances, image=image)["segs"]
    assert size_hw == SIZE_HW
    first = items[0]
    assert first.bbox == LEFT
    x0, y0, x1, y1 = first.crop_region
    assert x0 <= 10 and y0 <= 20 and x1 >= 40 and y1 >= 80
    assert (x1 - x0, y1 - y0) == (45, 90)
    assert first.cropped_mask.dtype == np.float32
    assert first.cropped_mask.shape == (y1 - y0, x1 - x0)
    assert np.array_equal(first.cropped_mask, rectangle(LEFT)[y0:y1, x0:x1].numpy())
    assert torch.equal(first.cropped_image, image[:, y0:y1, x0:x1])
    assert (first.label, first.confidence, first.control_net_wrapper) == ("character", 1.0, None)
    assert first._replace(label="x").label == "x"
    assert items[1].bbox == RIGHT


def test_segs_without_a_picture_or_characters(run, segmenter):
    ((_, items),) = run("InstancesToSEGS", instances=instances_of(run, LEFT))["segs"]
    assert items[0].cropped_image is None
    nothing = run("SegmentInstances", segmenter=segmenter, image=drawn())["instances"]
    assert run("InstancesToSEGS", instances=nothing)["segs"] == [(SIZE_HW, [])]
