import pytest
import torch

from toonout_core.errors import BadInput
from toonout_core.evaluation.contact_sheet import (
    Look,
    contact_sheet,
    cutout_sheet,
    softest_box,
)


def plain(colour, size_hw=(20, 10)):
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, *size_hw)


def test_every_picture_is_in_its_cell_at_its_aspect():
    red, blue = plain([1.0, 0.0, 0.0]), plain([0.0, 0.0, 1.0], (10, 20))
    sheet = contact_sheet([[red, blue], [blue, torch.ones(1, 1, 4, 4)]], "ab", "cd", cell_px=40)
    assert sheet.shape[:2] == (1, 3)
    pixels = sheet[0].flatten(1)
    for colour, count in (([1, 0, 0], 40 * 20), ([0, 0, 1], 2 * 20 * 40), ([1, 1, 1], 1600)):
        same = (pixels == torch.tensor(colour, dtype=torch.float32)[:, None]).all(0)
        assert int(same.sum()) == count


def test_names_are_written_whatever_their_letters():
    cell = plain([0.5, 0.5, 0.5])
    blank, named = (
        contact_sheet([[cell]], [text], [""], cell_px=40) for text in ("", "少女 model")
    )
    assert int((named < blank).any(1).sum()) > 20
    assert torch.equal(named[..., 48:, :], blank[..., 48:, :])  # above the picture only


def test_rows_of_different_length_are_refused():
    with pytest.raises(BadInput, match="rows of 2 pictures"):
        contact_sheet([[plain([0.0, 0.0, 0.0])]], ["a"], ["b", "c"])
    with pytest.raises(BadInput, match="no row"):
        contact_sheet([], [], ["b"])


def test_the_softest_place_is_found_and_the_box_stays_inside():
    alpha = torch.zeros(1, 1, 100, 120)
    alpha[..., 90:99, 110:119] = 0.5
    box = softest_box(alpha, 32)
    assert box == (88, 68, 120, 100)
    assert softest_box(alpha[..., :20, :24], 32) == (0, 0, 24, 20)


def test_a_column_shows_where_mattes_differ_and_only_then():
    image, alpha = torch.rand(1, 3, 40, 40), torch.ones(1, 1, 40, 40)
    one = cutout_sheet(image, [Look("a", alpha, image)], ["white"], cell_px=40)
    same = cutout_sheet(image, [Look("a", alpha, image), Look("b", alpha, image)], ["white"])
    other = Look("b", torch.zeros_like(alpha), image)
    two = cutout_sheet(image, [Look("a", alpha, image), other], ["white"], cell_px=40)
    assert two.shape[-1] == one.shape[-1] + 40 + 8
    assert same.shape[-1] == 4 * 256 + 5 * 8
    red = torch.tensor([1.0, 0x3B / 0xFF, 0x30 / 0xFF])[:, None]
    lacks = ((two[0].flatten(1) - red).abs() < 0.01).all(0)
    assert int(lacks.sum()) == 1600
