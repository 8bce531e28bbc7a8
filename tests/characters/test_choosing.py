"""Which instances users mean, as they write it, point at it or describe it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toonout_core import BadInput, Instances
from toonout_core.characters.choosing import (
    Choice,
    Places,
    TidyOptions,
    choose,
    choose_of_frames,
    separate,
    tidy,
)
from toonout_core.characters.written import boxes_of_frame, parse_boxes, parse_numbers, parse_points
from toonout_core.ops.adjust import AdjustOptions

SIZE_HW = (40, 100)


def boxes(*corners, scores=None):
    """Rectangles x0, y0, x1, y1 as instances."""
    masks = torch.zeros((len(corners), *SIZE_HW), dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(masks, corners, strict=True):
        mask[y0:y1, x0:x1] = True
    return Instances.from_masks(masks, None if scores is None else torch.tensor(scores))


# left, middle, right, and a small one within the middle
FOUR = boxes(
    (0, 0, 20, 40),
    (40, 0, 60, 40),
    (80, 10, 100, 40),
    (48, 10, 52, 14),
    scores=[0.9, 0.5, 0.7, 0.3],
)


def lefts(instances):
    return instances.boxes_xyxy[:, 0].tolist()


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("all", [0, 1, 2, 3, 4]),
        ("2", [2]),
        ("0,2-4", [0, 2, 3, 4]),
        ("4, 0 1", [4, 0, 1]),
        ("-1", [4]),
        ("-2--1", [3, 4]),
        ("0 - 2", [0, 1, 2]),
        ("3-1", [3, 2, 1]),
        ("1;1;1-2", [1, 2]),
        ("3-9", [3, 4]),
        ("7-9", []),
        ("0--1", [0, 1, 2, 3, 4]),
    ],
)
def test_numbers_as_users_write_them(text, numbers):
    assert parse_numbers(text, 5) == numbers


def test_a_number_that_is_not_there_is_a_sentence():
    with pytest.raises(BadInput, match="one of the 5 characters, 0 … 4, but got 5"):
        parse_numbers("5", 5)
    with pytest.raises(BadInput, match="-6"):
        parse_numbers("-6", 5)
    with pytest.raises(BadInput, match="must be written like"):
        parse_numbers("first", 5)
    assert parse_numbers("0, 3-4, -1", 0) == []


@given(st.lists(st.integers(0, 8), unique=True, min_size=1))
@settings(max_examples=30, deadline=None)
def test_numbers_come_back_in_their_order(numbers):
    assert parse_numbers(", ".join(map(str, numbers)), 9) == numbers


# ---------------------------------------------------------------- points and boxes


@pytest.mark.parametrize(
    "text",
    [
        "50, 20\n10 30",
        "50,20; 10,30",
        "50%, 50%; 10%, 75%",
        '[{"x": 50, "y": 20}, {"x": 10, "y": 30}]',
    ],
)
def test_points_as_users_and_editors_write_them(text):
    assert parse_points(text, SIZE_HW).tolist() == [[50, 20], [10, 30]]


@pytest.mark.parametrize(
    "text", ["10, 20, 30, 40", "10% 50% 30% 100%", '{"x": 10, "y": 20, "width": 20, "height": 20}']
)
def test_boxes_as_users_and_editors_write_them(text):
    assert parse_boxes(text, SIZE_HW).tolist() == [[10, 20, 30, 40]]


def test_nothing_written_is_no_point():
    assert parse_points(" \n", SIZE_HW).shape == (0, 2)
    assert parse_boxes("", SIZE_HW).shape == (0, 4)


@pytest.mark.parametrize(
    "text", ["1, 2, 3", "a, b", "[1, 2]", '[{"x": 1}]', "[", "30", "nan, 1", '{"x": NaN, "y": 1}']
)
def test_other_text_is_a_sentence(text):
    with pytest.raises(BadInput, match="must be written like"):
        parse_points(text, SIZE_HW)


def test_a_box_without_area_is_a_sentence():
    with pytest.raises(BadInput, match="x0 < x1"):
        parse_boxes("30, 40, 10, 20", SIZE_HW)
    with pytest.raises(BadInput, match="must be written like"):
        parse_boxes("0, 0, inf, 20", SIZE_HW)
    with pytest.raises(BadInput, match="x0 < x1"):
        boxes_of_frame({"x": 0, "y": 0, "width": float("inf"), "height": 1}, 0)


def test_boxes_of_comfyui_come_in_three_forms():
    one = {"x": 1, "y": 2, "width": 3, "height": 4, "score": 0.5}
    other = {"x": 5, "y": 5, "width": 1, "height": 1}
    assert boxes_of_frame(one, 0).tolist() == [[1, 2, 4, 6]]
    assert boxes_of_frame([one, other], 3).tolist() == [[1, 2, 4, 6], [5, 5, 6, 6]]
    frames = [[one], [], [other]]
    assert [len(boxes_of_frame(frames, number)) for number in range(4)] == [1, 0, 1, 1]
    assert boxes_of_frame([], 0).shape == (0, 4)
    with pytest.raises(BadInput, match="x, y, width and height"):
        boxes_of_frame([{"x": 1}], 0)


# ---------------------------------------------------------------- choosing


def test_nothing_said_chooses_everything():
    chosen, rest = choose(FOUR, Choice())
    assert lefts(chosen) == lefts(FOUR)
    assert len(rest) == 0


def test_written_order_is_kept_and_the_rest_stays_in_its_own():
    chosen, rest = choose(FOUR, Choice(numbers="2, 0"))
    assert lefts(chosen) == [80, 0]
    assert lefts(rest) == [40, 48]


def test_a_point_means_the_smallest_mask_under_it():
    inner = Choice(points_xy=torch.tensor([[50.0, 12.0]]))
    outer = Choice(points_xy=torch.tensor([[50.0, 30.0], [3.0, 3.0]]))
    assert lefts(choose(FOUR, inner)[0]) == [48]
    assert lefts(choose(FOUR, outer)[0]) == [0, 40]
    nowhere = Choice(points_xy=torch.tensor([[30.0, 30.0], [999.0, -3.0]]))
    assert len(choose(FOUR, nowhere)[0]) == 0


def test_a_point_beside_every_mask_means_the_box_around_it():
    ring = torch.zeros((1, *SIZE_HW), dtype=torch.bool)
    ring[0, 5:35, 5:35] = True
    ring[0, 10:30, 10:30] = False
    found = Instances.from_masks(ring)
    assert len(choose(found, Choice(points_xy=torch.tensor([[20.0, 20.0]])))[0]) == 1


def test_a_box_means_the_one_that_overlaps_it_most():
    chosen, _ = choose(FOUR, Choice(boxes_xyxy=torch.tensor([[75.0, 0.0, 99.0, 39.0]])))
    assert lefts(chosen) == [80]
    assert len(choose(FOUR, Choice(boxes_xyxy=torch.zeros(0, 4)))[0]) == 0


def test_inside_means_at_least_by_half():
    inside = torch.zeros(SIZE_HW)
    inside[:, :50] = 1
    assert lefts(choose(FOUR, Choice(inside=inside))[0]) == [0, 40, 48]
    inside[:, 49:] = 0
    assert lefts(choose(FOUR, Choice(inside=inside))[0]) == [0]


def test_scores_and_areas():
    assert lefts(choose(FOUR, Choice(min_score=0.6))[0]) == [0, 80]
    assert lefts(choose(FOUR, Choice(min_area=0.16))[0]) == [0, 40]
    assert lefts(choose(FOUR, Choice(max_area=0.1))[0]) == [48]
    chosen, rest = choose(FOUR, Choice(numbers="1-3", min_score=0.4))
    assert (lefts(chosen), lefts(rest)) == ([40, 80], [0, 48])


def test_sorted_and_limited():
    assert lefts(choose(FOUR, Choice(order="score"))[0]) == [0, 80, 40, 48]
    assert lefts(choose(FOUR, Choice(order="left-right", reverse=True))[0]) == [80, 40, 48, 0]
    chosen, rest = choose(FOUR, Choice(order="score", limit=2))
    assert (lefts(chosen), lefts(rest)) == ([0, 80], [40, 48])


def test_tags_go_with_their_instances():
    tagged = FOUR.with_tags(["a", "b", "c", "d"])
    chosen, rest = choose(tagged, Choice(order="score", numbers="1-3"))
    assert (chosen.tags, rest.tags) == (("c", "b", "d"), ("a",))


def test_among_none_there_is_none():
    none = Instances.none(SIZE_HW)
    everything = Choice(
        numbers="0",
        points_xy=torch.ones(1, 2),
        boxes_xyxy=torch.tensor([[0.0, 0, 9, 9]]),
        inside=torch.ones(SIZE_HW),
        order="score",
        limit=1,
    )
    assert [len(part) for part in choose(none, everything)] == [0, 0]
    assert (
        len(
            tidy(
                none, TidyOptions(True, AdjustOptions(grow_px=2.0, feather_px=2.0), 0.1, 1, "area")
            )
        )
        == 0
    )


# ---------------------------------------------------------------- tidying


def test_tidying_does_nothing_by_itself():
    assert torch.equal(tidy(FOUR, TidyOptions()).masks, FOUR.masks)


def test_duplicates_crumbs_and_the_worst_are_left_out():
    assert lefts(tidy(FOUR, TidyOptions(drop_duplicates=True))) == [0, 40, 80]
    assert lefts(tidy(FOUR, TidyOptions(min_area=0.01))) == [0, 40, 80]
    assert lefts(tidy(FOUR, TidyOptions(limit=2))) == [0, 80]
    assert lefts(tidy(FOUR, TidyOptions(limit=3, order="score"))) == [0, 80, 40]


def test_masks_are_adjusted_before_they_are_measured():
    grown = tidy(FOUR, TidyOptions(adjust=AdjustOptions(grow_px=2)))
    assert grown.boxes_xyxy[1].tolist() == [38, 0, 62, 40]
    assert torch.equal(grown.scores, FOUR.scores)
    soft = tidy(FOUR, TidyOptions(adjust=AdjustOptions(feather_px=6))).masks
    assert 0.2 < soft[1, 20, 40] < 0.8
    shrunk = TidyOptions(adjust=AdjustOptions(drop_specks_px=20), min_area=0.001)
    assert lefts(tidy(FOUR, shrunk)) == [0, 40, 80]


def test_a_mask_falls_apart_into_its_regions_though_haze_joins_them():
    mask = torch.full(SIZE_HW, 0.04)
    mask[10:30, 10:30], mask[10:30, 60:90] = 1, 1
    mask[10:30, 30] = 0.4  # a soft edge
    found = separate(mask[None])
    assert sorted(lefts(found)) == [10, 60]
    left = found[found.boxes_xyxy[:, 0].tolist().index(10)].masks[0]
    assert left[20, 30] == pytest.approx(0.4)
    assert (found.masks.sum(0) - mask).abs().max() < 1 / 255
    assert len(separate(torch.zeros(2, *SIZE_HW))) == 0
    assert len(separate(torch.stack((mask, mask)))) == 4


# ---------------------------------------------------------------- in several frames


def test_places_are_looked_up_in_every_frame():
    """Points are the same in all frames, boxes are of each, and the last mask goes on."""
    frames = [FOUR, FOUR[[2, 0]], FOUR]
    boxes_given = [[{"x": 40, "y": 0, "width": 20, "height": 40}], [], []]
    inside = torch.zeros(2, *SIZE_HW)
    inside[0] = 1
    inside[1, :, 70:] = 1
    kept = [found for found, _ in choose_of_frames(frames, Choice(), Places(inside=inside))]
    assert [len(found) for found in kept] == [4, 1, 1]
    assert kept[1].boxes_xyxy.tolist() == [[80, 10, 100, 40]]
    pairs = choose_of_frames(frames, Choice(), Places(points="10, 20", boxes=boxes_given))
    assert [len(found) for found, _ in pairs] == [2, 1, 1]
    assert [len(rest) for _, rest in pairs] == [2, 1, 3]


def test_without_places_everybody_is_meant():
    ((found, rest),) = choose_of_frames([FOUR], Choice(limit=3))
    assert (len(found), len(rest)) == (3, 1)
