"""Characters from a matte alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.fake_host import FakeHost, StopFromHost
from toonout_core import (
    Matting,
    RegionSegmenter,
    Segmenter,
    SegmentOptions,
    load_segmenter,
)
from toonout_core.errors import BadInput
from toonout_core.imaging import to_pil
from toonout_core.loading import LoadedNetwork
from toonout_core.models import isnet, unet
from toonout_core.segmentation.asking import boxes_at_points, seen
from toonout_core.segmentation.refining import Refiner
from toonout_core.words import NetworkInput

ASSETS = Path(__file__).parents[2] / "toonout_core" / "assets"
SIZE = (60, 100)
SOFT = SegmentOptions(soft=True)
REFINER = replace(isnet.ARCHITECTURE_REFINER, input=NetworkInput((64, 64)))


class RedIsOpaque(nn.Module):
    """Alpha is the red channel."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__()
        self.host, self.calls = host, 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        assert self.host.active
        self.calls += 1
        return image[:, :1].clamp(1e-6, 1 - 1e-6).logit()


@pytest.fixture
def host():
    return FakeHost()


@pytest.fixture
def network(host):
    return RedIsOpaque(host)


@pytest.fixture
def segmenter(network, host):
    architecture = replace(
        unet.ARCHITECTURE, input=NetworkInput(SIZE, (0.0,) * 3, (1.0,) * 3), multiple_of=1
    )
    loaded = LoadedNetwork(network, architecture, None, Path("red"), torch.float32)
    return RegionSegmenter(Matting(loaded, host))


@pytest.fixture
def picture():
    """A large character with a hole and a soft strand, a small character, and a speck."""
    red = torch.zeros(SIZE)
    red[10:50, 40:90] = 0.98
    red[20:30, 50:60] = 0
    red[12:14, 30:40] = 0.3
    red[30:50, 5:20] = 0.9
    red[2:4, 2:4] = 1
    image = torch.zeros(1, 3, *SIZE)
    image[0, 0] = red
    return image


def test_regions_largest_first_without_specks(segmenter, picture):
    found = segmenter.segment(picture)[0]
    assert found.origin == "connected regions of the matte"
    assert found.boxes_xyxy.tolist() == [[40, 10, 90, 50], [5, 30, 20, 50]]
    assert found.masks.dtype == torch.bool
    assert found.areas_px.tolist() == [40 * 50 - 100, 300]
    assert found.scores.tolist() == pytest.approx([0.98, 0.9], abs=0.01)
    assert not found.masks[0, 20:30, 50:60].any()
    assert found[1].origin == found.sorted_by("left-right").origin == found.origin


def test_soft_regions_are_their_parts_of_the_matte(segmenter, picture):
    soft = segmenter.segment(picture, SOFT)[0]
    assert float(soft.masks[0, 13, 35]) == pytest.approx(0.3, abs=0.01)
    assert not soft.masks[:, 2:4, 2:4].any()
    whole = segmenter.matting.predict(picture)[0, 0]
    whole[:6, :6] = 0
    assert torch.allclose(soft.masks.sum(0), whole, atol=0.02)


def test_options_choose(segmenter, picture):
    every = segmenter.segment(picture, SegmentOptions(min_area=0))[0]
    assert every.areas_px.tolist() == [1900, 300, 4]
    assert len(segmenter.segment(picture, SegmentOptions(min_area=0.1))[0]) == 1
    assert len(segmenter.segment(picture, SegmentOptions(limit=1))[0]) == 1
    assert len(segmenter.segment(picture, SegmentOptions(min_score=0.95))[0]) == 1
    with pytest.raises(BadInput, match="min_area"):
        segmenter.segment(picture, SegmentOptions(min_area=2))


@pytest.mark.parametrize("soft", [False, True])
def test_an_empty_picture_has_nobody(segmenter, soft):
    nothing = torch.zeros(1, 3, *SIZE)
    options = SegmentOptions(soft=soft)
    assert len(segmenter.segment(nothing, options)[0]) == 0
    for found in (
        segmenter.segment_points(nothing, torch.tensor([[9, 9]]), options),
        segmenter.segment_boxes(nothing, torch.tensor([[1.0, 1, 9, 9]]), options),
    ):
        assert len(found) == 1
        assert float(found.masks.max()) < 1e-3


def test_what_a_refiner_leaves_nothing_of_is_left_out(segmenter, picture, network, host):
    class Blind(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.full_like(image[:, :1], -9.0)

    refiner = replace(segmenter.matting.loaded, network=Blind(), architecture=REFINER)
    blind = RegionSegmenter(segmenter.matting, Refiner(refiner, host))
    assert len(blind.segment(picture)[0]) == len(blind.segment(picture, SOFT)[0]) == 0
    assert len(blind.segment_points(picture, torch.tensor([[60, 40]]))) == 1


@pytest.mark.parametrize("soft", [False, True])
def test_no_prompt_no_character(segmenter, picture, soft):
    options = SegmentOptions(soft=soft)
    assert len(segmenter.segment_boxes(picture, torch.zeros(0, 4), options)) == 0
    assert len(segmenter.segment_points(picture, torch.zeros(0, 2), options)) == 0
    assert len(segmenter.segment_masks(picture, torch.zeros(0, *SIZE), options)) == 0


def test_boxes(segmenter, picture):
    boxes = torch.tensor([[4.0, 28, 22, 52], [41, 10, 60, 20], [60, 0, 80, 8]])
    found = segmenter.segment_boxes(picture, boxes)
    assert found.boxes_xyxy.tolist() == [[5, 30, 20, 50], [41, 10, 60, 20], [0, 0, 0, 0]]
    assert found.scores.tolist() == pytest.approx([0.9, 0, 0], abs=0.01)
    assert found.origin == "box"


def test_points(segmenter, picture):
    points = torch.tensor([[10.0, 40.0], [89, 49], [70, 5]])
    found = segmenter.segment_points(picture, points)
    assert found.areas_px.tolist() == [300, 1900, 0]
    assert found.origin == "point"
    with pytest.raises(BadInput, match="points must lie in the picture of 100×60, but got x 100"):
        segmenter.segment_points(picture, torch.tensor([[100.0, 5.0]]))
    with pytest.raises(BadInput, match="N×2"):
        segmenter.segment_points(picture, torch.zeros(2))


def test_pictures_are_paths_and_prompts_are_lists(segmenter, picture, tmp_path):
    to_pil(picture).save(tmp_path / "party.png")
    for source in (tmp_path / "party.png", str(tmp_path / "party.png"), picture):
        pointed = segmenter.segment_points(source, [[10, 40], [89.5, 49]])
        assert pointed.areas_px.tolist() == [300, 1900]
        boxed = segmenter.segment_boxes(source, [[4, 28, 22, 52]])
        assert boxed.boxes_xyxy.tolist() == [[5, 30, 20, 50]]
        mask = np.zeros((1, *SIZE), np.float32)
        mask[0, 28:52, 3:22] = 1
        assert segmenter.segment_masks(source, mask).areas_px.tolist() == [300]
        assert (
            [len(found) for found in segmenter.segment(source)] == [len(segmenter(source))] == [2]
        )
    assert (
        len(segmenter.segment_boxes(picture, [])) == len(segmenter.segment_points(picture, [])) == 0
    )
    with pytest.raises(BadInput, match="points must be numbers in rows of one length"):
        segmenter.segment_points(picture, [[1, 2], [3]])
    with pytest.raises(BadInput, match="boxes must be N×4"):
        segmenter.segment_boxes(picture, [4, 28, 22, 52])


def test_boxes_at_points_stay_in_the_picture():
    boxes = boxes_at_points(torch.tensor([[0.0, 0.0], [99.9, 59.9], [50.5, 30.5]]), SIZE)
    assert boxes.tolist() == [[0, 0, 2, 2], [98, 58, 100, 60], [49, 29, 52, 32]]


def test_masks_are_cut_to_the_matte(segmenter, picture):
    masks = torch.zeros(3, *SIZE)
    masks[0, 5:60, 2:30] = 1
    masks[1, 0:9, 60:80] = 1  # where the matte sees nothing
    found = segmenter.segment_masks(picture, masks)
    assert found.areas_px.tolist() == [28 * 55, 180, 0]  # less than 30 % of either is opaque
    close = torch.zeros(1, *SIZE)
    close[0, 28:52, 3:22] = 0.8
    found = segmenter.segment_masks(picture, close)
    assert found.areas_px.tolist() == [300]
    soft = segmenter.segment_masks(picture, close, SOFT)
    assert float(soft.masks.max()) == pytest.approx(0.8)
    missed = segmenter.segment_masks(picture, masks, SOFT)
    assert missed.areas_px.tolist() == [28 * 55, 180, 0]
    assert found.origin == soft.origin == "mask"
    with pytest.raises(BadInput, match="masks must have the picture's size 100×60, but got 50×30"):
        segmenter.segment_masks(picture, torch.zeros(1, 30, 50))


def test_stopping_leaves_nothing_behind(segmenter, picture, network, host):
    frames = picture.repeat(3, 1, 1, 1)
    frames[:, 2, 0, 0] = torch.tensor([0.0, 0.1, 0.2])  # no two alike: those are run once
    assert len(segmenter.segment(frames)) == network.calls == 3
    assert host.totals[0] == 3
    frames[:, 2, 0, 1] = 0.5
    host.cancel_at = len(host.steps) + 3
    with pytest.raises(StopFromHost):
        segmenter.segment(frames)
    assert not host.active
    assert network.calls < 6
    host.cancel_at = None
    assert len(segmenter.segment(picture)[0]) == 2


def test_loading_by_the_name_of_a_matting_model():
    host = FakeHost()
    segmenter = load_segmenter("toonout-mini", host=host, download=False)
    assert isinstance(segmenter, RegionSegmenter)
    assert segmenter.name == "toonout-mini"
    assert segmenter.refiner is None
    assert segmenter.host is host
    again = load_segmenter("toonout-mini", "toonout-mini", host=host, download=False)
    assert isinstance(again.refiner, Matting)
    assert not isinstance(again, Segmenter)


@pytest.mark.parametrize("detector", ["toonout-mini", "toonout-mini-regions"])
def test_the_embedded_model_finds_two_characters(detector):
    """The same girl twice, side by side and apart."""
    girl = seen(ASSETS / "example.webp")
    width = int(girl.shape[-1])
    found = load_segmenter(detector, host=FakeHost()).segment(torch.cat((girl, girl), -1))[0]
    assert len(found) == 2
    left, right = found.sorted_by("left-right").boxes_xyxy.tolist()
    assert left[2] <= width + 2 and right[0] >= width - 2
