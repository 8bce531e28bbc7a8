"""Characters of a detector, drawn anew by segments: as published, and as it should be."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor

from tests.art import draw_figure
from tests.goldens import local, shared, shared_file, unpack
from tests.published import fuse_as_published
from toonout_core import FusionOptions, Instances, fuse
from toonout_core.errors import BadInput
from toonout_core.ops.morphology import erode
from toonout_core.ops.resizing import resize

AS_THEY_ARE = FusionOptions(erosions=0, dilations=0)
SIZE = (16, 20)

# ---------------------------------------------------------------- as published


@pytest.mark.parametrize("case", ["two_inst_overlap", "overlap_count2"])
def test_as_published(case):
    golden = local("fusion.safetensors")
    low, high = unpack(golden[f"{case}.out_bits"], (180, 240)).to(torch.uint8)
    detected = unpack(golden[f"{case}.detected_bits"], (96, 128))
    segments = unpack(golden["segments_bits"], (180, 240))
    assert torch.equal(fuse_as_published(detected, segments), low + 2 * high)


@pytest.mark.parametrize("case", ["two_inst_overlap", "single", "thr0.8", "overlap_count2"])
def test_all_that_was_recorded(case):
    golden = shared("yolo_sam_fusion.safetensors")
    with safe_open(shared_file("yolo_sam_fusion.safetensors"), "pt") as file:
        threshold = json.loads(file.metadata()["meta"])[case]["threshold"]
    fused = fuse_as_published(golden[f"{case}.yolo_sum"][None], golden["sam_masks"], threshold)
    assert torch.equal(fused, golden[f"{case}.out"])


@pytest.mark.parametrize("per_instance", [True, False])
def test_no_value_leaks_where_detections_overlap(per_instance):
    golden = local("fusion.safetensors")
    twice = unpack(golden["overlap_count2.detected_bits"], (96, 128)).to(torch.float32)
    assert float(twice.sum(0).max()) == 2
    segments = unpack(golden["segments_bits"], (180, 240))
    fused = fuse(twice, segments, FusionOptions(radius_px=1, per_instance=per_instance))
    assert set(fused.masks.unique().tolist()) == {0, 1}


# ---------------------------------------------------------------- rules


def box(left: int, top: int, right: int, bottom: int, size: tuple[int, int] = SIZE) -> Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def stack(*masks: Tensor) -> Tensor:
    return torch.stack(masks)


def test_a_segment_goes_whole_to_the_one_that_it_supports_most():
    left, right = box(0, 0, 10, 10), box(8, 0, 18, 10)
    shared_more_by_the_right, nobody = box(7, 2, 15, 9), box(0, 12, 20, 16)
    fused = fuse(stack(left, right), stack(shared_more_by_the_right, nobody), AS_THEY_ARE)
    assert torch.equal(fused.masks[1], right | shared_more_by_the_right)
    assert torch.equal(fused.masks[0], left & ~shared_more_by_the_right)
    assert fused.boxes_xyxy.tolist() == [[0, 0, 10, 10], [7, 0, 18, 10]]
    assert fused.origin == "detector and segments"


def test_the_detector_is_asked_where_no_segment_is():
    mask = box(2, 2, 12, 12)
    assert torch.equal(fuse(mask[None], box(0, 14, 20, 16)[None], AS_THEY_ARE).masks[0], mask)
    assert torch.equal(fuse(mask[None], torch.zeros(0, *SIZE), AS_THEY_ARE).masks[0], mask)


def test_coverage_takes_parts_and_iou_only_the_whole():
    body, eye = box(2, 2, 14, 14), box(5, 5, 7, 7)
    by_coverage = fuse(body[None], eye[None], AS_THEY_ARE)
    assert torch.equal(by_coverage.masks[0], body)
    by_iou = fuse(body[None], eye[None], FusionOptions(vote="iou", erosions=0, dilations=0))
    assert torch.equal(by_iou.masks[0], body & ~eye)
    outline = box(1, 1, 15, 15)  # 144 of 196 pixels
    for min_vote, expected in ((0.7, outline), (0.74, body & ~outline)):
        options = FusionOptions(vote="iou", min_vote=min_vote, erosions=0, dilations=0)
        masks = fuse(body[None], outline[None], options).masks
        assert torch.equal(masks.any(0), expected)


def test_a_radius_is_in_pixels_of_the_picture():
    mask = box(10, 10, 40, 40, (64, 64))
    options = FusionOptions(radius_px=2, erosions=3, dilations=2)
    firm = fuse(mask[None], torch.zeros(0, 64, 64), options)
    assert firm.boxes_xyxy.tolist() == [[12, 12, 38, 38]]
    thin = box(10, 10, 40, 21, (64, 64))  # 11 px: three times a radius of 2 leaves nothing
    assert len(fuse(thin[None], torch.zeros(0, 64, 64), options)) == 0


def test_soft_masks_stay_soft_where_no_segment_is():
    mask = torch.zeros(SIZE)
    mask[2:8, 2:8], mask[8:12, 2:8] = 1.0, 0.7
    fused = fuse(mask[None], box(0, 0, 8, 6)[None], AS_THEY_ARE)
    assert fused.masks.dtype == torch.float32
    assert float(fused.masks[0, 10, 4]) == pytest.approx(0.7)
    assert float(fused.masks[0, 0, 0]) == 1
    assert set(fused.masks.unique().tolist()) == set(torch.tensor([0, 0.7, 1]).tolist())


def test_scores_and_tags_stay_with_their_characters():
    masks = stack(box(0, 0, 3, 3), box(4, 4, 9, 9))
    known = Instances.from_masks(masks, torch.tensor([0.9, 0.8]), ["gone", "here"])
    fused = fuse(known, box(0, 0, 20, 3)[None], AS_THEY_ARE)
    assert fused.tags == ("here",)
    assert fused.scores.tolist() == [pytest.approx(0.8)]
    nobody = fuse(Instances.none(SIZE), masks, FusionOptions(per_instance=False))
    assert len(nobody) == 0
    assert nobody.size_hw == SIZE


@pytest.mark.parametrize("scale", [0.5, 1.5, 3])
def test_segments_of_another_size_mean_the_same_places(scale):
    size = (int(60 * scale), int(90 * scale))
    masks = stack(box(5, 5, 40, 50, (60, 90)), box(40, 5, 80, 50, (60, 90)))
    halves = stack(box(0, 0, 40, 60, (60, 90)), box(40, 0, 90, 60, (60, 90)))
    other = torch.nn.functional.interpolate(halves[None].float(), size)[0]
    fused = fuse(masks, other, AS_THEY_ARE)
    wrong = (fused.masks != halves).float().mean()
    assert float(wrong) < 0.02
    assert not bool((fused.masks[0] & fused.masks[1]).any())


def test_what_cannot_be_of_one_picture_is_refused():
    mask = torch.zeros(1, 64, 96)
    with pytest.raises(BadInput, match="96×64, but got 96×96"):
        fuse(mask, torch.zeros(2, 96, 96))
    with pytest.raises(BadInput, match="M×H×W"):
        fuse(mask, torch.zeros(64, 96))
    with pytest.raises(BadInput, match="coverage, iou"):
        fuse(mask, mask, FusionOptions(vote="majority"))  # pyright: ignore


# ---------------------------------------------------------------- laws

corners = st.tuples(*(st.integers(0, side) for side in (SIZE[1], SIZE[0]) * 2))
boxes = st.lists(corners, min_size=1, max_size=5)
votes = st.sampled_from(["coverage", "iou"])


def filled(corners: list[tuple[int, int, int, int]]) -> Tensor:
    """Boxes with their corners in either order; some are empty."""
    return stack(*(box(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners))


def apart(masks: Tensor) -> Tensor:
    """Each without those before it."""
    before = torch.cumsum(masks, 0) - masks.to(torch.int64)
    return masks & (before == 0)


def by_index(detected: Tensor, segments: Tensor, options: FusionOptions) -> dict[str, Tensor]:
    named = Instances.from_masks(detected, tags=[str(i) for i in range(len(detected))])
    fused = fuse(named, segments, options)
    assert fused.tags is not None
    return dict(zip(fused.tags, fused.masks, strict=True))


@given(boxes, boxes, votes, st.floats(0, 1))
def test_nothing_appears_that_neither_has_seen(detections, segments, vote, min_vote):
    detected, parts = filled(detections), filled(segments)
    options = FusionOptions(vote, min_vote, radius_px=1)
    for mask in fuse(detected, parts, options).masks:
        assert not bool((mask & ~(detected.any(0) | parts.any(0))).any())


@given(boxes, boxes, votes, st.floats(0, 1))
def test_characters_apart_stay_apart(detections, segments, vote, min_vote):
    detected, parts = apart(filled(detections)), apart(filled(segments))
    masks = fuse(detected, parts, FusionOptions(vote, min_vote, radius_px=1)).masks
    assert int(masks.sum(0).max() if len(masks) else 0) <= 1


@given(boxes, boxes, votes, st.floats(1, 2))
def test_a_vote_of_more_than_all_takes_nothing(detections, segments, vote, min_vote):
    detected, parts = filled(detections), filled(segments)
    options = FusionOptions(vote, min_vote, erosions=0, dilations=0)
    for mask in fuse(detected, parts, options).masks:
        assert not bool((mask & parts.any(0)).any())


@given(boxes, boxes, votes, st.floats(0, 1), st.floats(0, 1))
def test_a_stricter_vote_takes_no_more(detections, segments, vote, one, other):
    detected, parts = filled(detections), filled(segments)
    few = by_index(detected, parts, FusionOptions(vote, max(one, other), radius_px=1))
    many = by_index(detected, parts, FusionOptions(vote, min(one, other), radius_px=1))
    for tag, mask in few.items():
        assert not bool((mask & ~many[tag]).any())


@given(boxes, corners, st.floats(0, 0.99))
def test_a_segment_within_a_character_is_taken(detections, corner, min_vote):
    detected = filled(detections)
    inside = filled([corner]) & detected[:1]
    options = FusionOptions(min_vote=min_vote, erosions=0, dilations=0)
    masks = fuse(detected, inside, options).masks
    assert bool((inside[0] <= (masks.any(0) if len(masks) else False)).all())


@given(boxes, boxes, st.permutations(range(5)))
def test_the_order_of_segments_does_not_matter(detections, segments, order):
    detected, parts = filled(detections), filled(segments)
    shuffled = parts[[index for index in order if index < len(parts)]]
    first, second = (by_index(detected, some, AS_THEY_ARE) for some in (parts, shuffled))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[tag], second[tag]) for tag in first)


# ---------------------------------------------------------------- what it is for


def scene(seed: int, size: tuple[int, int] = (240, 320)) -> tuple[Tensor, Tensor]:
    """Three drawn characters that hide parts of each other: who is seen where; and good segments:
    cells of every character and of the background, with seams between them."""
    rng = np.random.default_rng(seed)
    owner = np.full(size, -1)
    for index in range(3):
        alpha = np.asarray(draw_figure(10 * seed + index, (120, 180)))[..., 3]
        x, y = 5 + 95 * index + rng.integers(-5, 5), rng.integers(0, 60)
        owner[y : y + 180, x : x + 120][alpha > 127] = index
    centres = np.stack([rng.integers(0, side, 60) for side in size])
    cells = ((np.indices(size)[..., None] - centres[:, None, None]) ** 2).sum(0).argmin(-1)
    labels = (owner + 1) * 60 + cells
    parts = np.stack([labels == label for label in np.unique(labels)])
    segments = erode(torch.from_numpy(parts)[:, None], 1)[:, 0]
    return torch.from_numpy(np.stack([owner == index for index in range(3)])), segments


def detect(truth: Tensor, seed: int) -> Tensor:
    """As coarse, ragged and shifted as what a detector draws of small characters."""
    rng = np.random.default_rng(seed)
    coarse = resize(truth[:, None], (truth.shape[1] // 12, truth.shape[2] // 12))
    coarse += torch.from_numpy(rng.normal(0, 0.2, coarse.shape)).float()
    masks = torch.nn.functional.interpolate(coarse, tuple(truth.shape[1:]), mode="bilinear")[:, 0]
    down, across = rng.integers(-3, 4, 2).tolist()
    return masks.roll((down, across), (1, 2)) > 0.5


def iou(masks: Tensor, truth: Tensor) -> Tensor:
    return (masks & truth).sum((1, 2)) / (masks | truth).sum((1, 2))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_good_segments_mend_what_a_coarse_detector_draws(seed):
    truth, segments = scene(seed)
    detected = detect(truth, seed)
    fused = fuse(detected, segments, FusionOptions(radius_px=1))
    before, after = iou(detected, truth), iou(fused.masks, truth)
    assert float(after.mean()) > float(before.mean()) + 0.03
    assert bool((after > before - 0.01).all())
