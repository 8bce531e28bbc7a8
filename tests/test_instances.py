"""The record of characters: chosen, ordered, joined, resized."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.goldens import boxes_from_xywh, local, unpack
from tests.published import resized_boxes_as_published
from toonout_core.errors import BadInput
from toonout_core.instances import Instances
from toonout_core.ops.adjust import AdjustOptions, adjust

SIZE = (24, 30)


def square(x: int, y: int, side: int) -> torch.Tensor:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[y : y + side, x : x + side] = True
    return mask


@pytest.fixture
def three():
    """Left and small; right, low and large; in the middle, best."""
    masks = torch.stack((square(1, 4, 3), square(20, 12, 9), square(13, 9, 6)))
    return Instances.from_masks(masks, torch.tensor([0.5, 0.7, 0.9]), ("a", "b", "c"))


def names(instances: Instances) -> str:
    return "".join(instances.tags or ())


def test_boxes_are_close_and_end_after_the_last_pixel(three):
    assert three.boxes_xyxy.tolist() == [[1, 4, 4, 7], [20, 12, 29, 21], [13, 9, 19, 15]]
    assert three.areas_px.tolist() == [9, 81, 36]
    soft = three.with_masks(three.masks * 0.9 + torch.roll(three.masks, 1, 2) * 0.1)
    assert torch.equal(soft.boxes_xyxy, three.boxes_xyxy)
    assert names(soft) == "abc"


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, "a"),
        (-1, "c"),
        (slice(1, None), "bc"),
        (slice(None, None, -1), "cba"),
        ([2, 0], "ca"),
        ([], ""),
        ([True, False, True], "ac"),
        (torch.tensor([False, True, False]), "b"),
        (torch.tensor([2, 2]), "cc"),
        (torch.tensor(1), "b"),
    ],
)
def test_choosing(three, index, expected):
    chosen = three[index]
    assert names(chosen) == expected
    assert len(chosen) == len(expected) == len(chosen.masks) == len(chosen.boxes_xyxy)
    for one in chosen:
        place = "abc".index(names(one))
        assert torch.equal(one.masks[0], three.masks[place])
        assert float(one.scores[0]) == float(three.scores[place])


def test_by_score(three):
    assert names(three[three.scores > 0.6]) == "bc"


def test_all_of_them_in_their_order_are_not_copied(three):
    assert three[:] is three
    assert three[[2, 1, 0]].masks.data_ptr() != three.masks.data_ptr()
    assert three.sorted_by("score", reverse=True)[::-1] is not three


def test_what_is_not_there_is_an_error(three):
    with pytest.raises(IndexError, match="there are 3 characters, but number 3"):
        three[3]
    with pytest.raises(BadInput, match="a choice among 3 must have 3 values, but got 2"):
        three[[True, False]]


@pytest.mark.parametrize(
    ("order", "expected", "reverse"),
    [
        ("left-right", "acb", "bca"),
        ("top-bottom", "acb", "bca"),
        ("area", "bca", "acb"),
        ("score", "cba", "abc"),
        ("centre", "cba", "abc"),
    ],
)
def test_orders(three, order, expected, reverse):
    assert names(three.sorted_by(order)) == expected
    assert names(three.sorted_by(order, reverse=True)) == reverse


def test_unknown_order(three):
    with pytest.raises(BadInput, match="left-right, top-bottom, area, score, centre"):
        three.sorted_by("size")


@given(st.lists(st.integers(0, 2), max_size=8), st.booleans())
def test_sorting_is_stable(places, reverse):
    masks = torch.stack([square(8 * place, 3, 5) for place in places]) if places else None
    if masks is None:
        assert len(Instances.none(SIZE).sorted_by("left-right")) == 0
        return
    tags = [f"{place}{index}" for index, place in enumerate(places)]
    ordered = Instances.from_masks(masks, None, tags).sorted_by("left-right", reverse=reverse)
    expected = sorted(tags, key=lambda tag: -int(tag[0]) if reverse else int(tag[0]))
    assert list(ordered.tags) == expected


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_union_and_background_share_the_picture(three, dtype):
    instances = three.with_masks(three.masks.to(dtype))
    union, background = instances.union(), instances.background()
    assert union.dtype == background.dtype == dtype
    assert union.shape == (1, 1, *SIZE)
    assert torch.equal(union[0, 0].bool(), three.masks.any(0))
    assert bool((union.float() + background.float() == 1).all())


def test_nobody_is_a_result_as_well():
    nobody = Instances.none(SIZE)
    assert len(nobody) == len(list(nobody)) == 0
    assert nobody.size_hw == SIZE
    assert not nobody.union().any()
    assert nobody.background().all()
    assert nobody.areas_px.shape == (0,)
    assert len(nobody.sorted_by("area")) == len(nobody.without_duplicates()) == 0
    assert nobody.resize((5, 7)).size_hw == (5, 7)


@pytest.mark.parametrize(
    ("masks", "boxes", "scores", "tags", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(2), None, "N×H×W"),
        (torch.zeros(2, 3, 3, dtype=torch.int64), torch.zeros(2, 4), torch.zeros(2), None, "int64"),
        (torch.zeros(2, 3, 3), torch.zeros(1, 4), torch.zeros(2), None, "2×4 boxes"),
        (torch.zeros(2, 3, 3), torch.zeros(2, 4), torch.zeros(3), None, "2 scores"),
        (torch.zeros(2, 3, 3), torch.zeros(2, 4), torch.zeros(2), ("a",), "2 tags"),
    ],
)
def test_parts_that_do_not_fit_are_refused(masks, boxes, scores, tags, message):
    with pytest.raises(BadInput, match=message):
        Instances(masks, boxes, scores, tags)


# ---------------------------------------------------------------- operations


def test_the_origin_survives(three):
    assert three.origin == "mask"
    named = Instances.from_masks(three.masks, origin="detector")
    for kept in (
        named[0],
        named[[True, False, True]],
        named.sorted_by("area"),
        named.with_masks(named.masks.float()),
        named.with_tags("xyz"),
        named.without_duplicates(),
        named.without_small(0.0),
        named.exclusive(),
        named.adjust(AdjustOptions(grow_px=1)),
        named.resize((12, 15)),
    ):
        assert kept.origin == "detector"


def test_small_ones_are_left_out(three):
    assert names(three.without_small(30 / (24 * 30))) == "bc"
    assert len(three.without_small(1.0)) == 0
    with pytest.raises(BadInput, match="share"):
        three.without_small(30)


def test_overlaps_are_the_iou_of_every_two():
    masks = torch.stack((square(2, 2, 4), square(4, 2, 4), square(20, 12, 5), square(0, 0, 0)))
    table = Instances.from_masks(masks).overlaps()
    expected = torch.eye(4)
    expected[0, 1] = expected[1, 0] = 8 / 24
    expected[3, 3] = 0
    assert torch.allclose(table, expected)
    assert Instances.none(SIZE).overlaps().shape == (0, 0)


@given(st.integers(0, 10**6), st.integers(0, 5), st.booleans())
def test_exclusive_gives_each_pixel_to_the_first(seed, count, soft):
    rng = torch.Generator().manual_seed(seed)
    masks = torch.rand(count, 7, 9, generator=rng)
    instances = Instances.from_masks(masks if soft else masks > 0.5).exclusive()
    assert instances.masks.dtype == (torch.float32 if soft else torch.bool)
    assert float(instances.masks.float().sum(0).max()) <= 1 + 1e-6
    if count:
        first = masks[0] if soft else masks[0] > 0.5
        assert torch.equal(instances.masks[0], first)
        covered = Instances.from_masks(masks > 0.5).union()
        assert soft or torch.equal(instances.union(), covered)


@pytest.mark.parametrize("soft", [False, True])
def test_adjusting_works_on_each_alone(three, soft):
    masks = three.masks.clone()
    masks[1, 15:17, 23:25] = False
    masks[2, 0, 0] = True
    instances = three.with_masks(masks.float() if soft else masks)
    options = AdjustOptions(drop_specks_px=2, fill_holes_px=9)
    assert torch.equal(instances.adjust(options).masks > 0.5, three.masks)
    grown = instances.adjust(AdjustOptions(grow_px=1))
    assert grown.boxes_xyxy[0].tolist() == [0, 3, 5, 8]
    assert grown.masks.dtype == instances.masks.dtype
    assert names(grown) == "abc"


@given(st.integers(0, 10**6))
def test_adjusting_in_boxes_is_adjusting_the_whole(seed):
    rng = torch.Generator().manual_seed(seed)
    masks = torch.rand(3, 5, 6, generator=rng).repeat_interleave(3, 1).repeat_interleave(3, 2)
    masks = torch.nn.functional.pad((masks - 0.6).clamp(min=0) * 2.5, (9, 9, 9, 9))
    options = AdjustOptions(drop_specks_px=10, fill_holes_px=20, grow_px=1.5, feather_px=2)
    expected = adjust(masks[:, None], options)[:, 0]
    assert torch.allclose(Instances.from_masks(masks).adjust(options).masks, expected, atol=1e-6)


def test_feathered_masks_are_soft(three):
    soft = three.adjust(AdjustOptions(feather_px=2))
    assert soft.masks.dtype == torch.float32
    assert 0 < float(soft.masks[1, 11, 24]) < 1


# ---------------------------------------------------------------- against recorded results


@pytest.fixture(scope="module")
def golden():
    return local("instances.safetensors")


@pytest.fixture
def recorded(golden):
    boxes = boxes_from_xywh(golden["dup.bboxes"])
    return Instances(unpack(golden["dup.masks"], (180, 240)), boxes, golden["dup.scores"])


def test_duplicates_as_recorded(golden, recorded):
    kept = recorded.without_duplicates()
    assert len(kept) == len(golden["dup.out.scores"]) < len(recorded)
    assert torch.equal(kept.scores, golden["dup.out.scores"].sort(descending=True).values)
    by_area = kept.sorted_by("area")  # the reference reorders
    assert torch.equal(by_area.masks, unpack(golden["dup.out.masks"], (180, 240)))
    assert torch.equal(by_area.boxes_xyxy, boxes_from_xywh(golden["dup.out.bboxes"]))


def test_duplicates_take_their_tags_along(recorded):
    tagged = recorded.with_tags([f"{float(score):.1f}" for score in recorded.scores])
    kept = tagged.without_duplicates()
    assert kept.tags == tuple(f"{float(score):.1f}" for score in kept.scores)


def test_union_as_recorded(golden, recorded):
    assert torch.equal(recorded.union()[0], unpack(golden["compose"], (180, 240)))


def test_resized_as_recorded(golden, recorded):
    size = (90, 100)
    masks = unpack(golden["resize90x100.masks"], size)
    assert torch.equal(recorded.resize(size).masks, masks)
    quirky = resized_boxes_as_published(recorded, size)
    assert torch.equal(quirky, boxes_from_xywh(golden["resize90x100.bboxes"]))
    right = recorded.resize(size).boxes_xyxy
    assert torch.equal(right, Instances.from_masks(masks).boxes_xyxy)
    assert not torch.equal(right, quirky)


def test_soft_masks_stay_soft_when_resized(recorded):
    soft = recorded.with_masks(recorded.masks.float()).resize((90, 100)).masks
    assert int(((soft > 0) & (soft < 1)).sum()) > 0
    assert torch.allclose(soft.mean((1, 2)), recorded.masks.float().mean((1, 2)), atol=1e-3)


def test_they_are_shown_in_one_line(three):
    shown = "Instances(3 of 30×24, scores [0.50, 0.70, 0.90], from mask)"
    assert repr(three) == shown
    assert repr(Instances.none(SIZE)) == "Instances(0 of 30×24, scores [], from mask)"
