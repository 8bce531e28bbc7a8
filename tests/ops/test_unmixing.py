"""Shares of two characters in the pixels along their edge."""

from __future__ import annotations

import numpy as np
import pytest

from toonout_core.ops.unmixing import unmix_edges_

RED, BLUE = np.array([0.9, 0.1, 0.1]), np.array([0.1, 0.1, 0.9])


def edge_of(share, left=RED, right=BLUE, width=20):
    """6×width: `left`, one column mixed by `share`, `right`; the mixed one belongs to the left."""
    colours = np.empty((3, 6, width), np.float32)
    colours[:] = right[:, None, None]
    colours[:, :, : width // 2] = left[:, None, None]
    colours[:, :, width // 2] = (share * left + (1 - share) * right)[:, None]
    first = np.zeros((6, width), np.int16)
    first[:, width // 2 + 1 :] = 1
    return colours, first, (1 - first).astype(np.int16)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_a_mixed_pixel_is_told_by_its_colour(share):
    colours, first, second = edge_of(share)
    part = np.ones((6, 20), np.float32)
    unmix_edges_(part, first, second, np.ones((6, 20), np.float32), colours)
    assert np.allclose(part[:, 10], share, atol=0.03)
    assert np.allclose(np.delete(part, 10, 1), 1, atol=0.03)


def test_alike_colours_say_nothing():
    colours, first, second = edge_of(0.3, RED, RED + 0.01)
    part = np.full((6, 20), 0.7, np.float32)
    unmix_edges_(part, first, second, np.ones((6, 20), np.float32), colours)
    assert np.allclose(part, 0.7, atol=0.02)


def test_nothing_happens_without_an_edge_or_a_second_character():
    colours, first, second = edge_of(0.3)
    part = np.full((6, 20), 0.7, np.float32)
    alpha = np.ones((6, 20), np.float32)
    unmix_edges_(part, np.zeros_like(first), second, alpha, colours)
    unmix_edges_(part, first, np.full_like(second, -1), alpha, colours)
    unmix_edges_(part, first, second, np.zeros_like(alpha), colours)
    assert (part == np.float32(0.7)).all()


def test_a_character_of_which_nothing_is_sure_keeps_its_share():
    colours, first, second = edge_of(0.3)
    first[:], second[:] = 0, 1
    first[2:4, 10], second[2:4, 10] = 1, 0
    part = np.full((6, 20), 0.8, np.float32)
    unmix_edges_(part, first, second, np.ones((6, 20), np.float32), colours)
    assert (part == np.float32(0.8)).all()
