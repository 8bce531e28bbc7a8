import pytest
import torch

from toonout_core.ops.placing import fit_background

BARS = torch.full((1, 3, 1, 1), 0.5)


@pytest.mark.parametrize("fit", ["cover", "contain", "stretch"])
@pytest.mark.parametrize("size_hw", [(7, 5), (1, 9), (16, 16)])
def test_the_size_is_the_pictures(fit, size_hw):
    background = torch.rand(1, 3, 4, 6)
    assert fit_background(background, size_hw, fit, BARS.expand(1, 3, *size_hw)).shape == (
        1, 3, *size_hw,
    )  # fmt: skip


def test_cover_cuts_and_contain_leaves_bars():
    left_red = torch.zeros(1, 3, 4, 8)
    left_red[:, 0, :, :4] = 1
    bars = BARS.expand(1, 3, 4, 4)
    covered = fit_background(left_red, (4, 4), "cover", bars)
    assert torch.equal(covered, left_red[..., 2:6])
    contained = fit_background(left_red, (4, 4), "contain", bars)
    assert torch.equal(contained[..., 0, :], bars[..., 0, :])
    assert torch.equal(contained[..., 3, :], bars[..., 3, :])
    assert float((contained[..., 1:3, :] - bars[..., 1:3, :]).abs().min()) > 0.3


def test_the_same_size_is_left_alone():
    background = torch.rand(2, 3, 5, 6)
    for fit in ("cover", "contain", "stretch"):
        placed = fit_background(background, (5, 6), fit, BARS.expand(1, 3, 5, 6))
        torch.testing.assert_close(placed, background)
