"""Pictures in, characters out: as published, and as it should be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from tests.fake_host import FakeHost, StopFromHost
from tests.goldens import (
    Tensors,
    boxes_from_xywh,
    from_uint8,
    local,
    shared,
    shared_file,
    unpack,
)
from tests.published import PublishedSegmenter
from toonout_core import Segmenter, SegmentOptions, load_segmenter
from toonout_core.errors import BadInput, OutOfMemory, UnknownModel
from toonout_core.loading import LoadedNetwork
from toonout_core.models import isnet, recognise, rtmdet_ins, unet, yolov8_seg
from toonout_core.models.rtmdet_ins.head import RawDetections
from toonout_core.segmentation import refining
from toonout_core.segmentation.refining import Refiner
from toonout_core.words import NetworkInput

TINY = {"widths": (8, 8, 16, 16, 32), "depths": (1, 1, 1, 1), "neck_channels": 8, "neck_blocks": 1}
TINY |= {"channels": 8, "mask_channels": 8}
OURS = SegmentOptions(side_px=160)
SIZE = (150, 220)


def loaded(network: nn.Module, architecture, **changes) -> LoadedNetwork:
    changed = replace(architecture, **changes)
    return LoadedNetwork(network.train(False), changed, None, Path("x"), torch.float32)


@pytest.fixture(scope="module")
def golden() -> Tensors:
    return local("rtmdet_ins.safetensors")


@pytest.fixture
def picture(golden):
    return from_uint8(golden["land.img_bgr_u8"], bgr=True)


@pytest.fixture
def host():
    return FakeHost()


class Recorded(rtmdet_ins.RTMDetIns):
    """Answers what the recorded network answered to the recorded picture."""

    def __init__(self, golden: Tensors, host: FakeHost) -> None:
        super().__init__(**TINY)
        self.golden, self.host, self.seen = golden, host, []
        self.change = lambda raw: raw

    def forward(self, image: torch.Tensor) -> RawDetections:
        assert self.host.active
        assert torch.is_inference_mode_enabled()
        self.seen.append(image)
        parts = [
            tuple(self.golden[f"land.{kind}{level}"] for level in range(3))
            for kind in ("cls", "dist", "kernel")
        ]
        return self.change(RawDetections(*parts, self.golden["land.mask_feat"]))


@pytest.fixture
def detector(golden, host):
    return Recorded(golden, host)


@pytest.fixture
def segmenter(detector, host):
    return Segmenter(loaded(detector, rtmdet_ins.ARCHITECTURE), host)


# ---------------------------------------------------------------- coarse


def published(segmenter: Segmenter) -> PublishedSegmenter:
    return PublishedSegmenter(segmenter.loaded, segmenter.host)


def test_as_published(segmenter, golden, picture):
    found = published(segmenter)._find(picture, OURS)
    expected = unpack(golden["land.coarse.masks_bits"], SIZE)
    assert torch.equal(found.boxes_xyxy, boxes_from_xywh(golden["land.coarse.bboxes_xywh"]))
    assert torch.allclose(found.scores, golden["land.coarse.scores"], atol=1e-6)
    assert found.masks.shape == expected.shape
    assert int((found.masks != expected).sum()) <= 3  # of 990 000


def test_the_network_sees_what_it_was_trained_on(segmenter, detector, golden, picture):
    segmenter.segment(picture, OURS)
    levels = golden["land.input_u8"].float().flip(0)
    mean = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
    std = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
    assert torch.allclose(detector.seen[0][0], (levels - mean) / std, atol=1e-6)


def test_ours_lie_within_the_picture_and_hold_something(segmenter, picture):
    found = segmenter.segment(picture, OURS)[0]
    assert 0 < len(found) <= len(published(segmenter)._find(picture, OURS))
    assert found.size_hw == SIZE
    assert bool((found.areas_px > 0).all())
    assert bool((found.scores[:-1] >= found.scores[1:]).all())
    left, top, right, bottom = found.boxes_xyxy.unbind(1)
    assert bool(((left >= 0) & (top >= 0) & (right <= 220) & (bottom <= 150)).all())
    for mask, box in zip(found.masks, found.boxes_xyxy.tolist(), strict=True):
        inside = mask[box[1] : box[3], box[0] : box[2]]
        assert int(inside.sum()) == int(mask.sum())
        assert all(
            bool(edge.any()) for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1])
        )


def test_options_choose(segmenter, picture):
    everyone = segmenter.segment(picture, OURS)[0]
    middle = float(everyone.scores.median())
    best = segmenter.segment(picture, replace(OURS, min_score=middle))[0]
    assert torch.equal(best.scores, everyone.scores[everyone.scores > middle])
    few = segmenter.segment(picture, replace(OURS, limit=3))[0]
    assert len(few) <= 3
    fewer = segmenter.segment(picture, replace(OURS, max_iou=0.1))[0]
    assert len(fewer) < len(everyone)
    assert len(segmenter.segment(picture, replace(OURS, min_score=0.9999999))[0]) == 0


def test_soft_masks_end_where_hard_ones_do(segmenter, picture):
    soft = segmenter.segment(picture, replace(OURS, soft=True))[0]
    hard = segmenter.segment(picture, OURS)[0]
    assert soft.masks.dtype == torch.float32
    assert 0 <= float(soft.masks.min()) < float(soft.masks.max()) <= 1
    assert torch.equal(soft.masks > 0.5, hard.masks)
    assert torch.equal(soft.boxes_xyxy, hard.boxes_xyxy)


def test_nobody(segmenter, detector, picture):
    detector.change = lambda raw: raw._replace(logits=tuple(x - 999 for x in raw.logits))
    found = segmenter.segment(picture, OURS)[0]
    assert len(found) == 0
    assert found.size_hw == SIZE


def test_an_overflow_costs_one_instance(segmenter, detector, picture, caplog):
    whole = segmenter.segment(picture, OURS)[0]

    def break_best(raw: RawDetections) -> RawDetections:
        level = max(range(3), key=lambda i: float(raw.logits[i].max()))
        best = int(raw.logits[level].argmax())
        kernels = [kernel.clone() for kernel in raw.kernels]
        kernels[level].flatten(2)[..., best] = float("nan")
        return raw._replace(kernels=tuple(kernels))

    detector.change = break_best
    found = segmenter.segment(picture, OURS)[0]
    assert len(found) == len(whole) - 1
    assert "not finite" in caplog.text


def test_frames_are_steps_and_can_be_stopped(segmenter, detector, picture, host):
    results = segmenter.segment(picture.repeat(3, 1, 1, 1), OURS)
    assert len(results) == len(detector.seen) == 3
    assert (host.totals, host.steps) == ([3], [1, 1, 1])
    host.cancel_at = 4
    with pytest.raises(StopFromHost):
        segmenter.segment(picture.repeat(3, 1, 1, 1), OURS)
    assert len(detector.seen) == 4


def test_what_is_no_picture_is_refused(segmenter):
    with pytest.raises(BadInput, match="B×3×H×W"):
        segmenter.segment(torch.zeros(1, 4, 8, 8))


def test_files_and_transparency(segmenter, detector, tmp_path):
    Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    segmenter(tmp_path / "clear.png", OURS)
    top_left = detector.seen[0][0, :, 0, 0] * torch.tensor(rtmdet_ins.ARCHITECTURE.input.std)
    white = top_left + torch.tensor(rtmdet_ins.ARCHITECTURE.input.mean)
    assert torch.allclose(white, torch.ones(3), atol=1e-5)


# ---------------------------------------------------------------- prompts


def test_prompts_as_published(segmenter, golden, picture):
    found = published(segmenter)._at_boxes(picture, golden["prompt.boxes_xyxy"], OURS, 0.5)
    assert torch.equal(found.boxes_xyxy, boxes_from_xywh(golden["prompt.out.bboxes_xywh"]))
    assert torch.allclose(found.scores, golden["prompt.out.scores"], atol=1e-6)


def test_prompts_keep_their_order_and_fall_back_to_the_box(segmenter, golden, picture):
    known = golden["prompt.cand.bboxes"][golden["prompt.cand.scores"].argmax()]
    boxes = torch.stack((torch.tensor([3.4, 4.4, 9.2, 8.0]), known))
    found = segmenter.segment_boxes(picture, boxes, OURS)
    assert float(found.scores[0]) == 0
    assert found.boxes_xyxy[0].tolist() == [3, 4, 9, 8]
    assert int(found.areas_px[0]) == 24
    assert float(found.scores[1]) == pytest.approx(float(golden["prompt.cand.scores"].max()))
    with pytest.raises(BadInput, match="boxes must be N×4"):
        segmenter.segment_boxes(picture, torch.zeros(4))


def test_prompts_where_nothing_is_seen(segmenter, detector, picture):
    detector.change = lambda raw: raw._replace(logits=tuple(x - 999 for x in raw.logits))
    found = segmenter.segment_boxes(picture, torch.tensor([[1, 2, 5, 9]]), OURS)
    assert found.boxes_xyxy.tolist() == [[1, 2, 5, 9]]


def best_point(segmenter, picture):
    """A pixel of the best character's mask, x y, and that character."""
    best = segmenter.segment(picture, OURS)[0][0]
    rows, columns = best.masks[0].nonzero(as_tuple=True)
    middle = len(rows) // 2
    return [float(columns[middle]), float(rows[middle])], best


def test_points_take_the_best_mask_that_holds_them(segmenter, picture):
    xy, best = best_point(segmenter, picture)
    found = segmenter.segment_points(picture, torch.tensor([xy, xy]), OURS)
    assert len(found) == 2
    assert torch.equal(found.masks[0], best.masks[0])
    assert torch.equal(found.scores, best.scores.repeat(2))
    assert found.origin == "point"
    with pytest.raises(BadInput, match="points must lie in the picture of 220×150, but got x -1"):
        segmenter.segment_points(picture, torch.tensor([[-1.0, 3.0]]))


def test_points_where_nothing_is_seen_are_small_boxes(segmenter, detector, picture):
    detector.change = lambda raw: raw._replace(logits=tuple(x - 999 for x in raw.logits))
    found = segmenter.segment_points(picture, torch.tensor([[100.5, 50.5], [0, 149]]), OURS)
    assert found.boxes_xyxy.tolist() == [[98, 48, 103, 53], [0, 147, 3, 150]]
    assert found.scores.tolist() == [0, 0]


def some_masks() -> torch.Tensor:
    masks = torch.zeros(3, *SIZE)
    masks[0, 20:60, 30:90] = 0.8
    masks[2, 100:140, 100:200] = 1
    return masks


def test_masks_without_a_refiner_stay_as_they_are(segmenter, detector, picture):
    masks = some_masks()
    found = segmenter.segment_masks(picture, masks, OURS)
    assert torch.equal(found.masks, masks > 0.5)
    assert found.boxes_xyxy.tolist() == [[30, 20, 90, 60], [0, 0, 0, 0], [100, 100, 200, 140]]
    assert (found.origin, detector.seen) == ("mask", [])
    soft = segmenter.segment_masks(picture, masks, replace(OURS, soft=True))
    assert torch.equal(soft.masks, masks)
    assert len(segmenter.segment_masks(picture, masks[:0], OURS)) == 0
    assert len(segmenter.segment_points(picture, torch.zeros(0, 2), OURS)) == 0
    assert len(segmenter.segment_boxes(picture, torch.zeros(0, 4), OURS)) == 0


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (torch.zeros(2, 75, 110), "masks must have the picture's size 220×150, but got 110×75"),
        (torch.zeros(150, 220), "masks must be N×H×W"),
        (torch.zeros(1, 150, 220, dtype=torch.uint8), "bool or float"),
    ],
)
def test_masks_that_do_not_fit_are_refused(segmenter, picture, masks, message):
    with pytest.raises(BadInput, match=message):
        segmenter.segment_masks(picture, masks)


# ---------------------------------------------------------------- refinement


class Thoughtless(nn.Module):
    """Gives the mask back that it is shown, and keeps what it has seen."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__()
        self.host, self.seen = host, []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        assert self.host.active
        self.seen.append(image)
        return (image[:, 3:] - 0.5) * 40


@pytest.fixture
def thoughtless(host):
    return Thoughtless(host)


def with_refiner(segmenter: Segmenter, network: nn.Module, side: int) -> Segmenter:
    refiner = loaded(network, isnet.ARCHITECTURE_REFINER, input=NetworkInput((side, side)))
    return Segmenter(segmenter.loaded, segmenter.host, Refiner(refiner, segmenter.host))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_refiner_that_agrees_changes_nothing(
    segmenter, thoughtless, picture, host, monkeypatch, device
):
    """In batches too, as a GPU gets them; a CPU takes one at a time, which needs least memory."""
    at_a_time = refining.per_step(torch.device(device))
    assert at_a_time == (1 if device == "cpu" else 4)
    monkeypatch.setattr(refining, "per_step", lambda _: at_a_time)
    coarse = segmenter.segment(picture, OURS)[0]
    host.steps.clear()
    refined = with_refiner(segmenter, thoughtless, 256).segment(picture, OURS)[0]
    assert torch.equal(refined.masks, coarse.masks)
    assert torch.equal(refined.scores, coarse.scores)
    assert {len(batch) for batch in thoughtless.seen[:-1]} == {at_a_time}
    assert sum(host.steps[1:-1]) == len(coarse)  # between the picture's two stages
    assert host.totals[-2:] == [2, len(coarse)]


def test_a_refiner_without_enough_memory_gets_half_as_many(
    segmenter, thoughtless, picture, monkeypatch
):
    """As a GPU has them, four at a time, until somebody has no room for more than two."""
    monkeypatch.setattr(refining, "per_step", lambda _: 4)
    answer, tried = thoughtless.forward, []

    def forward(image):
        tried.append(len(image))
        if len(image) > 2:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
        return answer(image)

    thoughtless.forward = forward
    coarse = segmenter.segment(picture, OURS)[0]
    refined = with_refiner(segmenter, thoughtless, 256)
    for expected in ([4, 2], [2, 2]):
        tried.clear()
        assert torch.equal(refined.segment(picture, OURS)[0].masks, coarse.masks)
        assert tried[:2] == expected
        assert max(tried[1:]) == 2


def test_a_detector_without_enough_memory_is_asked_once_more(segmenter, picture):
    network, times = segmenter.loaded.network, []

    def change(raw):
        times.append(1)
        if len(times) <= fails:
            raise RuntimeError("MPS backend out of memory")
        return raw

    network.change, fails = change, 1
    assert len(segmenter.segment(picture, OURS)[0]) == 24
    times.clear()
    fails = 2
    with pytest.raises(OutOfMemory, match="Make the picture smaller"):
        segmenter.segment(picture, OURS)


def test_a_detector_without_numbers_in_half_precision_goes_on_in_fp32(segmenter, picture, caplog):
    network = segmenter.loaded.network
    network.change = lambda raw: raw if is_wide() else raw._replace(prototypes=raw.prototypes / 0)

    def is_wide():
        return next(network.parameters()).dtype == torch.float32

    expected = segmenter.segment(picture, OURS)[0]
    half = replace(segmenter.loaded, network=network.half(), dtype=torch.float16)
    tool = Segmenter(half, segmenter.host)
    for _ in range(2):
        assert torch.equal(tool.segment(picture, OURS)[0].masks, expected.masks)
    assert tool.loaded.dtype == torch.float32
    assert caplog.text.count("gave no numbers") == 1


@pytest.mark.parametrize("soft", [False, True])
def test_masks_are_the_fourth_channel_of_the_refiner(segmenter, thoughtless, picture, soft):
    """Order and number stay, and an empty one stays empty whatever the network says to it."""
    refined = with_refiner(segmenter, thoughtless, 256)
    found = refined.segment_masks(picture, some_masks(), replace(OURS, soft=soft))
    masks = torch.cat(thoughtless.seen)[:, 3, :150, :220]
    assert torch.equal(masks, (some_masks() > 0.5).float())
    assert torch.equal(found.masks > 0.5, some_masks() > 0.5)
    thoughtless.forward = lambda image: torch.full_like(image[:, :1], 9.0)
    everywhere = refined.segment_masks(picture, some_masks(), replace(OURS, soft=soft))
    assert [bool(mask.any()) for mask in everywhere.masks] == [True, False, True]


def test_stopping_between_refinements_leaves_nothing_behind(segmenter, thoughtless, picture, host):
    refined = with_refiner(segmenter, thoughtless, 256)
    host.cancel_at = 2
    with pytest.raises(StopFromHost):
        refined.segment_masks(picture, torch.ones(9, *SIZE), OURS)
    assert len(thoughtless.seen) == 2
    assert not host.active
    host.cancel_at = None
    assert len(refined.segment_masks(picture, torch.ones(9, *SIZE), OURS)) == 9


def test_the_refiner_sees_blue_green_red_and_the_mask(segmenter, thoughtless, picture):
    coarse = segmenter.segment(picture, OURS)[0]
    with_refiner(segmenter, thoughtless, 256).segment(picture, OURS)
    seen = thoughtless.seen[0][0]
    assert seen.shape == (4, 256, 256)
    assert torch.equal(seen[:3, :150, :220], picture[0].flip(0))
    assert torch.equal(seen[3, :150, :220], coarse.masks[0].float())
    assert not seen[:, 150:].any()
    assert not seen[:, :, 220:].any()


@pytest.mark.parametrize("area", ["picture", "box"])
def test_large_pictures_are_reduced_for_the_refiner(segmenter, thoughtless, picture, area):
    options = replace(OURS, area=area)
    coarse = segmenter.segment(picture, options)[0]
    refined = with_refiner(segmenter, thoughtless, 64).segment(picture, options)[0]
    assert thoughtless.seen[0].shape[1:] == (4, 64, 64)
    assert len(refined) <= len(coarse)
    best = refined.masks[0], coarse.masks[0]
    iou = int((best[0] & best[1]).sum()) / int((best[0] | best[1]).sum())
    assert iou > 0.6  # the recorded masks are ragged


def test_a_small_character_is_seen_larger_by_its_box(segmenter, thoughtless, picture):
    refiner = with_refiner(segmenter, thoughtless, 64).refiner
    masks = torch.zeros(1, *SIZE, dtype=torch.bool)
    masks[0, 40:60, 100:120] = True
    boxes = torch.tensor([[100, 40, 120, 60]])
    for area in ("picture", "box"):
        refiner.refine(picture, masks, boxes, area=area)
    whole, close = (float(seen[0, 3].mean()) for seen in thoughtless.seen)
    assert close > 5 * whole
    with pytest.raises(BadInput, match="picture"):
        refiner.refine(picture, masks, boxes, area="mask")


def test_no_soft_masks_are_made_only_to_be_shown_to_the_refiner(segmenter, thoughtless, picture):
    """Of a large picture they would take more memory than the result."""
    soft = replace(OURS, soft=True)
    assert segmenter._find(picture, soft).masks.dtype == torch.float32
    refined = with_refiner(segmenter, thoughtless, 256)
    assert refined._find(picture, soft).masks.dtype == torch.bool
    assert torch.equal(
        refined.segment(picture, soft)[0].masks > 0.5, refined.segment(picture, OURS)[0].masks
    )


def test_soft_refinement(segmenter, thoughtless, picture):
    refined = with_refiner(segmenter, thoughtless, 64).segment(picture, replace(OURS, soft=True))[0]
    assert refined.masks.dtype == torch.float32
    assert 0 < float(((refined.masks > 0.01) & (refined.masks < 0.99)).float().mean()) < 0.5


# ---------------------------------------------------------------- files


def written(network: nn.Module, path: Path) -> Path:
    save_file({key: value.clone() for key, value in network.state_dict().items()}, path)
    return path


@pytest.fixture
def detector_file(tmp_path):
    return written(rtmdet_ins.RTMDetIns(**TINY), tmp_path / "detector.safetensors")


@pytest.mark.parametrize("refiner", [None, "none"])
def test_loading_without_a_refiner(detector_file, host, refiner):
    segmenter = load_segmenter(detector_file, refiner, host=host)
    assert segmenter.name == "detector"
    assert segmenter.refiner is None
    found = segmenter.segment(torch.rand(2, 3, 40, 60), SegmentOptions(side_px=64))
    assert [one.size_hw for one in found] == [(40, 60)] * 2


def test_loading_with_either_kind_of_refiner(detector_file, host, tmp_path):
    refiner = written(isnet.ISNet(channels_in=4, width=8), tmp_path / "refiner.safetensors")
    assert isinstance(load_segmenter(detector_file, refiner, host=host).refiner, Refiner)
    matting = written(unet.UNet(widths=(4, 8)), tmp_path / "matting.safetensors")
    segmenter = load_segmenter(detector_file, matting, host=host)
    options = SegmentOptions(side_px=64, min_score=0.0, limit=4)
    for soft in (False, True):
        found = segmenter.segment(torch.rand(1, 3, 40, 60), replace(options, soft=soft))[0]
        assert len(found) > 0


def test_a_detector_must_be_one(host, tmp_path, detector_file):
    refiner = written(isnet.ISNet(channels_in=4, width=8), tmp_path / "refiner.safetensors")
    for name in (refiner, "anime-refiner"):
        with pytest.raises(UnknownModel, match="instances"):
            load_segmenter(name, None, host=host)
    with pytest.raises(
        UnknownModel, match=r"refiner\.safetensors \(isnet_refiner\) is for another"
    ):
        load_segmenter(refiner, None, host=host)
    with pytest.raises(BadInput, match=r"detector\.safetensors, which is rtmdet_ins\."):
        load_segmenter(detector_file, detector_file, host=host)


@pytest.mark.parametrize("soft", [False, True])
def test_another_family_of_detectors(host, soft):
    network = yolov8_seg.YoloV8Seg()
    for name, value in network.named_parameters():
        if name.startswith("model.22.cv4") or name == "model.22.proto.cv3.bn.bias":
            nn.init.constant_(value, 1.0)  # masks that fill their boxes
        if name == "model.22.dfl.conv.weight":
            value.data = torch.arange(16.0).view_as(value)
    segmenter = Segmenter(loaded(network, yolov8_seg.ARCHITECTURE), host)
    options = SegmentOptions(side_px=64, min_score=0.0, limit=5, soft=soft)
    picture = torch.rand(1, 3, 50, 80)
    found = segmenter.segment(picture, options)[0]
    assert 0 < len(found) <= 5
    assert found.size_hw == (50, 80)
    prompted = segmenter.segment_boxes(picture, torch.tensor([[0, 0, 80, 50]]), options, min_iou=0)
    assert len(prompted) == 1


# ---------------------------------------------------------------- all of it, as recorded


def recorded_detector(host: FakeHost) -> tuple[Segmenter, Tensors]:
    golden = shared("rtmdet_ins_tiny.safetensors")
    return Segmenter(of_golden(golden), host), golden


def of_golden(golden: Tensors) -> LoadedNetwork:
    state = {key[2:]: value for key, value in golden.items() if key.startswith("w.")}
    architecture = recognise(state)
    return loaded(architecture.load(state), architecture)


@pytest.mark.parametrize("name", ["land", "port", "small", "square", "odd"])
def test_all_sizes_as_recorded(host, name):
    segmenter, golden = recorded_detector(host)
    shape = json.loads(shared_file("rtmdet_ins_tiny_meta.json").read_text())[name]
    image = from_uint8(golden[f"{name}.img_bgr_u8"], bgr=True)
    found = published(segmenter)._find(image, OURS)
    expected = unpack(golden[f"{name}.coarse.masks_bits"], tuple(shape["coarse_masks_shape"][1:]))
    assert found.masks.shape == expected.shape
    assert torch.equal(found.boxes_xyxy, boxes_from_xywh(golden[f"{name}.coarse.bboxes_xywh"]))
    # in float64, with which rounding plays no part, scores are up to 6.5e-5 from the recorded ones
    assert torch.allclose(found.scores, golden[f"{name}.coarse.scores"], atol=2e-4)
    assert int((found.masks != expected).sum()) <= 1e-4 * expected.numel()
    assert segmenter.segment(image, OURS)[0].size_hw == tuple(shape["ori_shape"])


@pytest.mark.parametrize("name", ["land", "odd"])
def test_refined_as_recorded(host, name):
    _, golden = recorded_detector(host)
    shape = json.loads(shared_file("rtmdet_ins_tiny_meta.json").read_text())[name]
    image = from_uint8(golden[f"{name}.img_bgr_u8"], bgr=True)
    coarse = unpack(golden[f"{name}.coarse.masks_bits"], tuple(shape["coarse_masks_shape"][1:]))
    refiner = Refiner(of_golden(shared("isnet_refine_reduced.safetensors")), host)
    refined = refiner.refine(image, coarse[:3], torch.zeros(3, 4), threshold=0.3)
    expected = unpack(golden[f"{name}.final.masks_bits"], tuple(shape["final_masks_shape"][1:]))[:3]
    assert int((refined != expected).sum()) <= 1e-4 * expected.numel()


def test_prompts_as_recorded(host):
    segmenter, golden = recorded_detector(host)
    refiner = Refiner(of_golden(shared("isnet_refine_reduced.safetensors")), host)
    image = from_uint8(golden["land.img_bgr_u8"], bgr=True)
    coarse = published(segmenter)._at_boxes(image, golden["prompt.boxes_xyxy"], OURS, 0.5)
    # not through `segment_boxes`, which keeps empty masks empty
    refined = refiner.refine(image, coarse.masks, coarse.boxes_xyxy, threshold=0.3)
    expected = unpack(golden["prompt.out.masks_bits"], SIZE)
    assert int((refined != expected).sum()) <= 1e-4 * expected.numel()
