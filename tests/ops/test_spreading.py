"""Colours for transparent pixels: from near first, the same on every device."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toonout_core.ops import spreading

BACKENDS = [spreading.spread_colours_cpu_, spreading.spread_colours_torch_]
backends = pytest.mark.parametrize("spread", BACKENDS)


def scene(size_hw, seed, batch=1):
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(rng.random((batch, 3, *size_hw), dtype=np.float32))
    alpha = torch.from_numpy(rng.random((batch, 1, *size_hw), dtype=np.float32))
    where = alpha < 0.6
    return image, torch.where(where, torch.zeros_like(alpha), alpha), where


@given(size_hw=st.tuples(st.integers(1, 90), st.integers(1, 90)), seed=st.integers(0, 99))
def test_both_paths_agree(size_hw, seed):
    image, alpha, where = scene(size_hw, seed, batch=2)
    on_cpu, in_torch = (spread(image.clone(), alpha, where, 0.1, 0.0) for spread in BACKENDS)
    assert (on_cpu - in_torch).abs().max() < 1e-5


@backends
@given(size_hw=st.tuples(st.integers(1, 70), st.integers(1, 70)), seed=st.integers(0, 99))
def test_only_the_asked_for_pixels_change_and_stay_in_range(spread, size_hw, seed):
    image, alpha, where = scene(size_hw, seed)
    result = spread(image.clone(), alpha, where, 0.1, 0.0)
    kept = ~where.expand_as(image)
    assert torch.equal(result[kept], image[kept])
    assert result.min() >= 0 and result.max() <= 1


@backends
def test_one_colour_stays_that_colour_however_far(spread):
    colour = torch.tensor([0.9, 0.3, 0.1]).view(1, 3, 1, 1)
    image = torch.zeros(1, 3, 203, 517)
    image[:, :, 3:5, 2:6] = colour
    alpha = torch.zeros(1, 1, 203, 517)
    alpha[:, :, 3:5, 2:6] = 1
    result = spread(image, alpha, alpha == 0, 0.1, 0.0)
    assert (result - colour).abs().max() < 1e-5


@backends
def test_alpha_below_the_limit_counts_as_nothing(spread):
    image, alpha = torch.rand(1, 3, 20, 20), torch.full((1, 1, 20, 20), 0.05)
    result = spread(image, alpha, alpha < 1, 0.1, 0.25)
    assert torch.equal(result, torch.full_like(result, 0.25))


@backends
def test_the_near_colour_wins_over_the_large_one(spread):
    image, alpha = torch.zeros(1, 3, 256, 256), torch.zeros(1, 1, 256, 256)
    image[:, 0, :, 128:] = 1
    image[:, 2, 96:112, 16:32] = 1
    alpha[:, :, :, 128:] = alpha[:, :, 96:112, 16:32] = 1
    red, _, blue = spread(image, alpha, alpha == 0, 0.1, 0.0)[0, :, 104, 36]
    assert blue > 0.7 and red < 0.3


@given(size_hw=st.tuples(st.integers(1, 9), st.integers(1, 9)), seed=st.integers(0, 99))
def test_cells_are_halved_and_doubled_as_torch_does(size_hw, seed):
    height, width = size_hw
    cells = np.random.default_rng(seed).random((4, 2 * height, 2 * width), dtype=np.float32)
    halved = torch.nn.functional.avg_pool2d(torch.from_numpy(cells)[None], 2)[0]
    assert np.abs(spreading._halved(cells) - halved.numpy()).max() < 1e-6
    doubled = torch.nn.functional.interpolate(
        torch.from_numpy(cells)[None], scale_factor=2, mode="bilinear", align_corners=False
    )[0]
    assert np.abs(spreading._doubled(cells) - doubled.numpy()).max() < 1e-6
