"""Cheapest ways: what one can count by hand, and against a search of all ways."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest

from toonout_core.ops.geodesic import geodesic_distance

SQRT2 = math.sqrt(2)


def start_at(size, *places):
    start = np.full(size, np.inf)
    for row, column in places:
        start[row, column] = 0
    return start


def by_dijkstra(start, alpha, colours, colour, gap):
    height, width = start.shape
    best = start.copy()
    queue = [(best[p], p) for p in np.ndindex(start.shape) if np.isfinite(best[p])]
    heapq.heapify(queue)
    while queue:
        cost, (y, x) = heapq.heappop(queue)
        if cost > best[y, x]:
            continue
        for dy, dx in ((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b):
            ny, nx = y + dy, x + dx
            if not (0 <= ny < height and 0 <= nx < width):
                continue
            hole = (1 - min(alpha[y, x], alpha[ny, nx])) ** 4
            step = math.hypot(dy, dx) * (1 + gap * hole)
            step += colour * np.abs(colours[:, y, x] - colours[:, ny, nx]).max()
            if cost + step < best[ny, nx]:
                best[ny, nx] = cost + step
                heapq.heappush(queue, (best[ny, nx], (ny, nx)))
    return best


def test_on_plain_ground_it_is_the_way_of_a_king():
    start = start_at((7, 9), (3, 4))
    found = geodesic_distance(start, np.ones((7, 9), np.float32), None, colour=0, gap=0)
    rows, columns = np.abs(np.arange(7) - 3)[:, None], np.abs(np.arange(9) - 4)[None]
    expected = np.maximum(rows, columns) + (SQRT2 - 1) * np.minimum(rows, columns)
    assert np.allclose(found, expected, atol=1e-6)


def test_nowhere_to_begin():
    found = geodesic_distance(start_at((4, 5)), np.ones((4, 5), np.float32), None, colour=1, gap=1)
    assert np.isinf(found).all()


def test_a_dear_start_is_beaten_by_a_way():
    start = start_at((1, 6), (0, 0))
    start[0, 5] = 9
    found = geodesic_distance(start, np.ones((1, 6), np.float32), None, colour=0, gap=0)
    assert found.tolist() == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("smooth", [True, False])
def test_as_a_search_of_all_ways(smooth):
    rng = np.random.default_rng(3)
    size = (14, 17)
    rows, columns = np.mgrid[: size[0], : size[1]] / 16
    alpha = (rows if smooth else rng.random(size) > 0.3).astype(np.float32)
    colours = np.stack([rows, columns, rng.random(size) * (0.02 if smooth else 0.5)])
    start = start_at(size, (2, 3), (12, 15))
    found = geodesic_distance(start, alpha, colours.astype(np.float32), colour=10, gap=5)
    expected = by_dijkstra(start, alpha, colours, 10, 5)
    assert (found >= expected - 1e-4).all()
    # two scans each way miss a few winding ways
    assert float(np.mean(found <= expected + 1e-4)) > 0.9
