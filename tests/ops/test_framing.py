from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toonout_core.errors import BadInput
from toonout_core.ops.framing import Framing, cut_to, framed, parse_aspect, visible_box

SIZE_HW = (60, 100)


def shape(*boxes, frames=1):
    alpha = torch.zeros(frames, 1, *SIZE_HW)
    for x0, y0, x1, y1 in boxes:
        alpha[..., y0:y1, x0:x1] = 1
    return alpha


def test_specks_and_haze_make_no_crop_larger():
    alpha = shape((20, 10, 60, 50), (97, 57, 98, 58))
    alpha[..., :5, :5] = 0.04
    assert visible_box(alpha) == [20, 10, 60, 50]
    assert visible_box(shape((20, 10, 30, 20), (80, 10, 86, 20))) == [20, 10, 86, 20]
    assert visible_box(shape()) is None


def test_a_clip_has_one_box():
    alpha = shape(frames=2)
    alpha[0, :, 5:15, 10:30] = 1
    alpha[1, :, 15:35, 40:50] = 1
    assert visible_box(alpha) == [10, 5, 50, 35]


@pytest.mark.parametrize(
    ("framing", "expected"),
    [
        (Framing(), [20, 10, 40, 50]),
        (Framing(5), [15, 5, 45, 55]),
        (Framing(0, 0.5), [0, 0, 60, 60]),
        (Framing(0, 0.0, (1, 1)), [10, 10, 50, 50]),
        (Framing(0, 0.0, (2, 1)), [0, 10, 80, 50]),
        (Framing(0, 0.0, (1, 4)), [20, -10, 40, 70]),
    ],
)
def test_margin_and_aspect(framing, expected):
    assert framed([20, 10, 40, 50], SIZE_HW, framing) == expected


@given(
    st.integers(0, 90), st.integers(0, 50), st.integers(1, 10), st.integers(1, 10),
    st.integers(0, 40), st.sampled_from([None, (1, 1), (3, 4), (16, 9), (1, 3)]),
)  # fmt: skip
def test_what_is_visible_stays_inside(x, y, width, height, margin, aspect):
    box = [x, y, x + width, y + height]
    x0, y0, x1, y1 = framed(box, SIZE_HW, Framing(margin, aspect=aspect))
    assert x0 <= box[0]
    assert y0 <= box[1]
    assert x1 >= box[2]
    assert y1 >= box[3]
    if aspect:
        wide = aspect[0] / aspect[1]
        assert abs((x1 - x0) - (y1 - y0) * wide) <= max(1, wide)
    else:
        assert [x0 >= 0, y0 >= 0, x1 <= SIZE_HW[1], y1 <= SIZE_HW[0]] == [True] * 4


def test_room_outside_of_the_picture_is_empty():
    image = torch.rand(2, 3, 4, 5)
    cropped = cut_to(image, [-1, -2, 6, 4])
    assert tuple(cropped.shape) == (2, 3, 6, 7)
    assert torch.equal(cropped[..., 2:, 1:6], image)
    assert not cropped[..., :2, :].any()
    assert torch.equal(cut_to(image, [1, 1, 4, 3]), image[..., 1:3, 1:4])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3:4", (3, 4)), (" 16 / 9 ", (16, 9)), ("1.5", (1.5, 1)), ("", None), ("2x3", (2, 3))],
)
def test_aspects_as_users_write_them(text, expected):
    assert parse_aspect(text) == expected


@pytest.mark.parametrize("text", ["0:1", "wide", "3:", "-1:2"])
def test_what_is_no_aspect(text):
    with pytest.raises(BadInput, match="like 3:4"):
        parse_aspect(text)
    with pytest.raises(BadInput, match="margin"):
        Framing(-1)
    with pytest.raises(BadInput, match="1:100"):
        Framing(aspect=(1000, 1))
