import pytest
import torch

from toonout_core.errors import BadInput
from toonout_core.evaluation.error_maps import error_map, over_loud_colour


def test_what_lacks_is_red_what_is_too_much_is_cyan_and_the_rest_grey():
    truth = torch.tensor([[[[1.0, 0.0, 1.0, 0.0]]]])
    prediction = torch.tensor([[[[0.0, 1.0, 1.0, 0.0]]]])
    red, cyan, right, empty = error_map(prediction, truth)[0, :, 0].T
    assert red[0] > 0.9 and red[2] < 0.3
    assert cyan[0] < 0.1 and cyan[2] > 0.9
    assert len(right.unique()) == 1 and 0.3 < right[0] < 0.5
    assert empty.sum() == 0


def test_a_small_error_can_be_seen():
    truth = torch.zeros(1, 1, 1, 1)
    assert error_map(truth + 0.01, truth).max() >= 0.09


def test_a_cutout_lies_on_magenta():
    image = torch.full((1, 3, 1, 2), 0.5)
    picture = over_loud_colour(torch.tensor([[[[1.0, 0.0]]]]), image)
    assert picture[0, :, 0, 0].tolist() == [0.5, 0.5, 0.5]
    assert picture[0, :, 0, 1].tolist() == [1, 0, 1]


def test_mattes_of_different_sizes_are_refused():
    with pytest.raises(BadInput):
        error_map(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 3))
