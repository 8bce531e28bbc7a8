"""Widgets of the nodes for characters reach what they promise to change."""

from __future__ import annotations

import pytest
import torch

from tests.comfy.characters import (
    LEFT,
    RIGHT,
    SIZE_HW,
    drawn,
    instances_of,
    masks_of,
    pack,
    rectangle,
)


class Listening:
    """A segmenter that finds nobody and keeps what it was asked."""

    name = "listening"

    def segment(self, image, options):
        self.options = options
        return [pack("toonout_core").Instances.none(SIZE_HW)] * len(image)

    def segment_masks(self, image, masks, options):
        self.options = options
        return pack("toonout_core").Instances.from_masks(masks)


@pytest.fixture
def listening():
    return Listening()


@pytest.fixture
def segmenter(listening):
    own = pack("comfy_nodes.host").ComfyHost()
    return pack("comfy_nodes.models").LoadedSegmenter(listening, own)


def test_what_the_segmenter_is_asked(run, segmenter, listening):
    run("SegmentInstances", segmenter=segmenter, image=drawn())
    usual = listening.options
    assert (usual.min_score, usual.soft, usual.area, usual.side_px) == (0.3, True, "picture", None)
    changes = {"min_score": 0.7, "soft": False, "refine_area": "box", "resolution": 960}
    run("SegmentInstances", segmenter=segmenter, image=drawn(), min_area_percent=2.0, **changes)
    asked = listening.options
    assert (asked.min_score, asked.soft, asked.area, asked.side_px) == (0.7, False, "box", 960)
    assert asked.min_area == pytest.approx(0.02)


def test_what_the_segmenter_is_shown(run, segmenter, listening):
    given = {"segmenter": segmenter, "image": drawn(), "masks": masks_of(LEFT)}
    run("InstancesFromPrompts", **given, soft=False, refine_area="box")
    assert (listening.options.soft, listening.options.area) == (False, "box")


def test_masks_may_be_trusted_more_than_the_matte(run):
    given = {"image": drawn(LEFT, RIGHT), "mask": masks_of(RIGHT)}  # the left one is lost
    given["instances"] = instances_of(run, LEFT)
    assert run("InstanceMattes", **given)["masks"][0, 50, 20] == 0
    assert run("InstanceMattes", **given, trust_masks=True)["masks"][0, 50, 20] == 1


def test_matte_out_of_reach_is_nobodys(run):
    given = {"image": drawn(LEFT, RIGHT), "mask": masks_of(LEFT, RIGHT).amax(0)[None]}
    given["instances"] = instances_of(run, LEFT)
    x, y = (RIGHT[0] + RIGHT[2]) // 2, (RIGHT[1] + RIGHT[3]) // 2
    assert run("InstanceMattes", **given)["masks"][0, y, x] == 1
    near = run("InstanceMattes", **given, reach_px=10)
    assert near["masks"][0, y, x] == 0
    assert torch.equal(near["masks"][0], rectangle(LEFT))


def test_surroundings_in_pixels_and_percent(run):
    given = {"image": drawn(LEFT), "instances": instances_of(run, LEFT), "multiple_of": "8"}
    tight, pixels, percent = (
        run("CropInstances", **given, grow_px=0.0, **padding)["crops"][0].shape[2]
        for padding in (
            {"padding_px": 0},
            {"padding_px": 24},
            {"padding_px": 0, "padding_percent": 40},  # of 60 pixels
        )
    )
    assert tight < pixels == percent
