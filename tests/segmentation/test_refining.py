"""What becomes of single masks when they are refined."""

from __future__ import annotations

import pytest
import torch

from toonout_core.segmentation.refining import _view, keep_foreground


@pytest.mark.parametrize("value", [True, 0.9])
def test_masks_are_cut_to_the_foreground_unless_it_misses_them(value):
    masks = torch.zeros(2, 10, 10, dtype=torch.tensor(value).dtype)
    masks[0, :5] = value
    masks[1, 5:] = value
    given = masks.clone()
    alpha = torch.zeros(1, 1, 10, 10)
    alpha[..., :5, :4] = 1  # 40 % of the first
    alpha[..., 5:, :2] = 1  # 20 % of the second
    kept = keep_foreground(masks, alpha)
    assert kept.sum((1, 2)).tolist() == pytest.approx([20 * value, 50 * value])
    assert torch.equal(masks, given)
    soft = keep_foreground(masks, 0.8 * alpha)
    assert float(soft[0].max()) == (1 if value is True else pytest.approx(0.8))


def test_corners_of_what_the_refiner_gives_come_to_corners_of_the_picture():
    """As in the reference: it enlarges corner to corner."""
    view = _view(torch.zeros(1, 3, 40, 60), (0, 0, 60, 40), 30)
    alpha = torch.zeros(1, 30, 30)
    alpha[:, :20] = torch.linspace(0, 1, 30)  # 30×20 of it is the picture
    enlarged = view.enlarge(alpha)
    assert enlarged.shape == (40, 60)
    assert torch.allclose(enlarged, torch.linspace(0, 1, 60).expand(40, -1), atol=1e-6)
