import numpy as np
import pytest
import torch

from toonout_core.errors import BadInput
from toonout_core.results import Matte


@pytest.fixture
def matte():
    image = torch.rand(2, 3, 6, 5)
    alpha = torch.rand(2, 1, 6, 5)
    alpha[:, :, 0] = 0
    alpha[:, :, 1] = 1
    return Matte(image, alpha, foreground=torch.rand(2, 3, 6, 5))


def test_a_cutout_is_straight_rgba(matte):
    picture = matte.cutout(1)
    assert (picture.mode, picture.size) == ("RGBA", (5, 6))
    rgba = np.asarray(picture)
    assert np.array_equal(rgba[..., 3], (matte.alpha[1, 0] * 255).round().numpy())
    red = (matte.foreground[1, 0] * 255).round().numpy()
    assert np.array_equal(rgba[..., 0], red)


def test_without_a_foreground_no_hidden_background_travels_along(matte):
    bare = Matte(matte.image, matte.alpha)
    assert not np.asarray(bare.cutout())[0, :, :3].any()
    assert torch.equal(bare.colours[:, :, 1], matte.image[:, :, 1])


def test_composite_is_exact_at_both_ends(matte):
    shown = matte.composite("#ff00ff")
    assert torch.equal(shown[:, :, 1], matte.foreground[:, :, 1])
    magenta = torch.tensor([1.0, 0, 1]).view(1, 3, 1)
    assert torch.equal(shown[:, :, 0], magenta.expand(2, 3, 5))


@pytest.mark.parametrize("colour", [(255, 0, 255), [255, 0, 255, 255], (np.uint8(255), 0, 255)])
def test_a_colour_may_be_numbers(matte, colour):
    assert torch.equal(matte.composite(colour), matte.composite("#ff00ff"))


@pytest.mark.parametrize(
    "colour", [(255, 255, 255, 0), (1.0, 1.0, 1.0), (256, 0, 0), (1, 2), (-1, 0, 0), None, 7]
)
def test_what_is_no_colour_is_said(matte, colour):
    with pytest.raises(BadInput, match=r"a (colour|background) must be"):
        matte.composite(colour)


def test_shapes_are_checked_once():
    image = torch.rand(1, 3, 4, 4)
    with pytest.raises(BadInput, match="alpha must be 1×1×4×4"):
        Matte(image, torch.rand(1, 1, 4, 5))
    with pytest.raises(BadInput, match="foreground must have"):
        Matte(image, torch.rand(1, 1, 4, 4), torch.rand(1, 3, 2, 2))
    with pytest.raises(BadInput, match="image must be"):
        Matte(torch.rand(1, 4, 4, 4), torch.rand(1, 1, 4, 4))


def test_it_is_shown_in_one_line(matte):
    assert repr(matte) == "Matte(2 of 5×6)"
