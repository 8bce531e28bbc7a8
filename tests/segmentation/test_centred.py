"""The segmenter that knows centres, asked as users ask it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.fake_host import FakeHost
from tests.models.test_characters import with_head
from tests.models.test_lite_unet import small
from toonout_core import CentreSegmenter, Matting, RegionSegmenter, SegmentOptions, load_segmenter
from toonout_core.errors import UnknownModel
from toonout_core.imaging import read
from toonout_core.loading import LoadedNetwork
from toonout_core.models.lite_unet import ARCHITECTURE
from toonout_core.models.lite_unet.characters import Centres
from toonout_core.training.checkpoints import save_weights

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZE = (60, 100)
SOFT = SegmentOptions(soft=True)


@pytest.fixture
def picture():
    """Red is opaque; two characters that touch at column 50."""
    image = torch.zeros(1, 3, *SIZE)
    image[0, 0, 10:50, 20:80] = 0.98
    image[0, 1, 10:50, 50:80] = 1
    image[0, 0, 12:14, 10:20] = 0.3
    return image


@pytest.fixture
def segmenter(monkeypatch):
    network = with_head()
    loaded = LoadedNetwork(network, ARCHITECTURE, None, Path("drawn"), torch.float32)

    def look(seen, characters=False):
        assert host.active
        red = (seen[:, :1] + 1) / 2  # the network's mean and deviation are one half
        height, width = (side // 4 for side in seen.shape[-2:])
        x = torch.arange(width).expand(height, width).float()
        y = torch.arange(height)[:, None].expand(height, width).float()
        right = (x >= width / 2).float()
        middle_x, middle_y = width * (0.35 + 0.3 * right), height / 2
        logits = torch.full((1, 1, height, width), -9.0)
        for share in (0.35, 0.65):
            logits[0, 0, height // 2, int(width * share)] = 2.0
        ways = torch.stack((middle_x - x, middle_y - y))[None]
        alpha = red.clamp(1e-6, 1 - 1e-6).logit()
        centres = Centres(logits, ways, torch.full_like(logits, 9))
        return (alpha, centres) if characters else alpha

    monkeypatch.setattr(network, "forward", look)
    host = FakeHost()
    return CentreSegmenter(Matting(loaded, host))


def test_characters_that_touch_are_two(segmenter, picture):
    found = segmenter.segment(picture)[0].sorted_by("left-right")
    assert found.origin == "centres in the matte"
    assert len(found) == 2
    left, right = found.boxes_xyxy.tolist()
    assert abs(left[2] - 50) <= 1 and abs(right[0] - 50) <= 1
    assert not (found.masks[0] & found.masks[1]).any()
    assert float(found.scores.min()) > 0.5


@pytest.mark.parametrize("soft", [False, True])
def test_the_best_comes_first_also_if_it_is_small(segmenter, picture, monkeypatch, soft):
    """The left one is larger; the network is surer of the right one."""
    picture[0, 0, 10:50, 65:80] = 0
    answer = segmenter.matting.loaded.network.forward

    def look(seen, characters=False):
        alpha, centres = answer(seen, characters=True)
        peaks = centres.logits[0, 0, centres.logits.shape[-2] // 2]
        peaks[peaks.shape[-1] // 2 :] += 1.0
        return (alpha, centres) if characters else alpha

    monkeypatch.setattr(segmenter.matting.loaded.network, "forward", look)
    found = segmenter.segment(picture, SegmentOptions(soft=soft))[0]
    assert len(found) == 2
    assert found.scores[0] > found.scores[1]
    assert found.areas_px[0] < found.areas_px[1]


def test_soft_characters_share_the_matte(segmenter, picture):
    soft = segmenter.segment(picture, SOFT)[0]
    assert soft.masks.dtype == torch.float32
    alpha, _ = segmenter.look(picture)
    assert 0.2 < float(alpha[0, 0, 13, 15]) < 0.4
    torch.testing.assert_close(soft.masks.sum(0), alpha[0, 0])


def test_prompts_choose_among_them(segmenter, picture):
    boxes = torch.tensor([[50.0, 10, 80, 50], [0.0, 55, 4, 59]])
    chosen = segmenter.segment_boxes(picture, boxes)
    assert chosen.scores[0] > 0.5 and chosen.scores[1] == 0
    assert abs(chosen.boxes_xyxy.tolist()[0][0] - 50) <= 1
    pointed = segmenter.segment_points(picture, torch.tensor([[30, 30]]))
    assert abs(pointed.boxes_xyxy.tolist()[0][2] - 50) <= 1


def test_options_choose(segmenter, picture):
    assert len(segmenter.segment(picture, SegmentOptions(limit=1))[0]) == 1
    assert len(segmenter.segment(picture, SegmentOptions(min_score=0.99))[0]) == 0


@pytest.mark.parametrize("soft", [False, True])
def test_an_empty_picture_has_nobody(segmenter, soft):
    nothing = torch.zeros(1, 3, *SIZE)
    assert len(segmenter.segment(nothing, SegmentOptions(soft=soft))[0]) == 0


def test_large_pictures_keep_the_mattes_own_outline(segmenter, picture):
    large = picture.repeat_interleave(20, 2).repeat_interleave(20, 3)
    found = segmenter.segment(large)[0]
    assert found.size_hw == (1200, 2000)
    assert len(found) == 2
    assert int(found.masks.sum()) == pytest.approx(40 * 60 * 400, rel=0.02)


def test_names_choose_between_centres_and_regions(tmp_path):
    host = FakeHost()
    save_weights(with_head(), tmp_path / "whole.safetensors", ARCHITECTURE.id)
    save_weights(small(), tmp_path / "alone.safetensors", ARCHITECTURE.id)
    assert type(load_segmenter(tmp_path / "whole.safetensors", host=host)) is CentreSegmenter
    assert type(load_segmenter(tmp_path / "alone.safetensors", host=host)) is RegionSegmenter
    assert type(load_segmenter("toonout-mini-regions", host=host)) is RegionSegmenter
    with pytest.raises(UnknownModel, match="no-such-model-regions"):
        load_segmenter("no-such-model-regions", host=host)
    with pytest.raises(UnknownModel, match="bare name"):
        load_segmenter("anime-instances-regions", host=host, download=False)


def test_the_shipped_example_has_exactly_its_two_characters():
    """What a new user sees first: the built-in model at its defaults, also mirrored."""
    image = read(EXAMPLES / "group.webp").image
    segmenter = load_segmenter("toonout-mini")
    for picture in (image, image.flip(-1)):
        (found,) = segmenter.segment(picture, SegmentOptions())
        assert len(found) == 2
        assert (found.scores > 0.5).all()
        left, right = found.sorted_by("left-right").boxes_xyxy
        assert left[2] < right[0], "they stand side by side"
