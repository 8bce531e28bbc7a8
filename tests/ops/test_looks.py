"""A closer look is held to the look at the whole: finer edges, no second subject, no open body."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from toonout_core.ops.looks import CELL, held, joined, open_cells
from toonout_core.ops.resizing import resize


def square(side_px: int, *places: tuple[int, int]) -> torch.Tensor:
    """Opaque between each two places, 1×1×S×S."""
    alpha = torch.zeros(1, 1, side_px, side_px)
    for first, last in places:
        alpha[..., first:last, first:last] = 1
    return alpha


WHOLE = square(96, (30, 70))
SHARP = square(192, (60, 140))


def test_edges_are_those_of_the_closer_look():
    found, coarse = joined(WHOLE, SHARP), resize(WHOLE, (192, 192))
    errors = [float((alpha - SHARP).abs().sum()) for alpha in (found, coarse)]
    assert errors[0] < 0.1 * errors[1]


def test_a_second_subject_is_not_added():
    found = joined(WHOLE, square(192, (60, 140), (152, 186)))
    assert float(found[..., 150:, 150:].max()) < 0.05


def test_a_body_is_not_opened():
    """Close to a large drawing, a white coat looks like paper, and only its outline is kept."""
    hollow = SHARP.clone()
    hollow[..., 64:136, 64:136] = 0
    found = joined(WHOLE, hollow)
    assert float(found[..., 72:128, 72:128].min()) > 0.95


@pytest.mark.parametrize(("first", "least", "most"), [(57, 0.85, 1), (48, 0.0, 0.5)])
def test_an_edge_moves_by_some_pixels_but_does_not_wander_off(first, least, most):
    """A figure with a seam of 3 px, and with one of 12 px, as if ground were a part of it."""
    found = joined(WHOLE, square(192, (first, 192 - first)))
    seam = found[..., first : first + 3, 80:120]
    assert least < float(seam.min()) <= float(seam.max()) <= most


@pytest.mark.parametrize("size_hw", [(33, 70), (1, 1), (8, 640), (97, 41)])
def test_any_sizes_and_several_frames_at_once(size_hw):
    chance = torch.Generator().manual_seed(2)
    whole = torch.rand(3, 1, 16, 16, generator=chance)
    closer = torch.rand(3, 1, *size_hw, generator=chance)
    found = joined(whole, closer)
    assert found.shape == closer.shape
    alone = [joined(whole[i : i + 1], closer[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(found, torch.cat(alone))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(8, 70), st.integers(8, 70))
def test_what_is_found_lies_between_the_looks(seed, height, width):
    chance = torch.Generator().manual_seed(seed)
    whole = (torch.rand(1, 1, 9, 7, generator=chance) * 3 - 1).clamp(0, 1)
    closer = (torch.rand(1, 1, height, width, generator=chance) * 3 - 1).clamp(0, 1)
    coarse, found = resize(whole, (height, width)), joined(whole, closer)
    assert bool((found >= torch.minimum(coarse, closer) - 1e-6).all())
    assert bool((found <= torch.maximum(coarse, closer) + 1e-6).all())


def test_only_cells_with_an_edge_may_change():
    coarse = resize(WHOLE, (192, 192))
    cells = open_cells(coarse)
    changed = held(coarse, torch.full_like(coarse, 0.01), cells) != coarse
    beside = functional.max_pool2d(cells.float(), 5, 1, 2)  # it fades out
    allowed = functional.interpolate(beside, scale_factor=CELL) > 0
    assert bool(changed.any())
    assert not bool((changed & ~allowed[..., :192, :192]).any())
