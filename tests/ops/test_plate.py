from __future__ import annotations

import pytest
import torch

from toonout_core.errors import BadInput
from toonout_core.ops.compositing import over, stacked
from toonout_core.ops.morphology import dilate
from toonout_core.ops.plate import background_plate


def ramp(size: int = 48) -> torch.Tensor:
    line = torch.linspace(0.2, 0.8, size)
    return torch.stack(
        (line.expand(size, size), line[:, None].expand(size, size), line.flip(0).expand(size, size))
    )[None]


def disk(size: int = 48, radius: float = 9) -> torch.Tensor:
    axis = torch.arange(size) - size / 2 + 0.5
    far = (axis[:, None] ** 2 + axis[None] ** 2).sqrt()
    return (radius + 0.5 - far).clamp(0, 1)[None, None]


def test_a_smooth_background_comes_back_under_the_character():
    truth, alpha = ramp(), disk()
    picture = over(torch.zeros_like(truth), alpha, truth)
    plate = background_plate(picture, alpha)
    assert (plate - truth).abs().max() < 0.12
    assert (picture - truth).abs().max() > 0.4


def test_what_was_seen_stays_as_it_is():
    truth, alpha = ramp(), disk()
    picture = over(torch.ones_like(truth), alpha, truth)
    outside = ~dilate(alpha > 0.02, 3)
    assert torch.equal(
        background_plate(picture, alpha)[outside.expand_as(picture)],
        picture[outside.expand_as(picture)],
    )


def test_a_doubtful_edge_is_painted_over_wider():
    truth = ramp()
    soft = torch.nn.functional.avg_pool2d(disk(), 15, 1, 7)
    picture = truth.clone()
    changed = lambda alpha: (background_plate(picture, alpha) != picture).any(1)  # noqa: E731
    margin = dilate(soft > 0.02, 3) & ~dilate(soft > 0.02, 1)
    assert bool(changed(soft)[margin[:, 0]].any())
    sharp = dilate(disk() > 0.02, 3) & ~dilate(disk() > 0.02, 1)
    assert not bool(changed(disk())[sharp[:, 0]].any())


def test_nothing_and_everything():
    truth = ramp()
    assert torch.equal(background_plate(truth, torch.zeros(1, 1, 48, 48)), truth)
    assert torch.equal(
        background_plate(truth, torch.ones(1, 1, 48, 48)), torch.full_like(truth, 0.5)
    )
    with pytest.raises(BadInput, match="like its image"):
        background_plate(truth, torch.zeros(1, 1, 4, 4))


def test_parts_laid_over_one_another_show_their_sum():
    draw = torch.Generator().manual_seed(1)
    whole = torch.rand(1, 1, 20, 20, generator=draw).clamp(0.1, 1).round(decimals=1)
    shares = torch.rand(4, 1, 20, 20, generator=draw)
    parts = shares / shares.sum(0) * whole
    background = torch.rand(1, 3, 20, 20, generator=draw)
    colours = torch.rand(4, 3, 20, 20, generator=draw)
    shown = background
    for colour, alpha in zip(colours, stacked(parts), strict=True):
        shown = over(colour[None], alpha[None], shown)
    expected = (parts * colours).sum(0, keepdim=True) + (1 - whole) * background
    assert (shown - expected).abs().max() < 1e-5
    assert torch.allclose(stacked(parts)[-1], parts[-1], atol=1e-6)
