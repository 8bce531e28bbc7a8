"""Fill what nothing covers after the camera has moved, from the farther side of the gap.

Formulas: S. Niklaus and others, 3D Ken Burns Effect from a Single Image, 2019 (facts, no code).
"""

from __future__ import annotations

import torch
from torch import Tensor

# half of the directions to look along, right and down in pixels; the other half are their opposites
_DIRECTIONS = (
    (-1, 1), (0, 1), (1, 1), (1, 0), (-1, 2), (1, 2), (2, 1), (2, -1),
    (-2, 3), (-1, 3), (1, 3), (2, 3), (3, 2), (3, 1), (3, -1), (3, -2),
)  # fmt: skip


def fill_holes(picture: Tensor, covered: Tensor) -> Tensor:
    """Fill the holes of 1×C×H×W, whose last channel is depth, by its coverage 1×1×H×W.

    From a hole the two nearest covered pixels on each of 16 lines are found. The line with the
    shortest gap wins, and its end with the larger depth, the background, is copied.
    """
    depth = picture[0, -1]
    known = (covered[0, 0] > 0) & (depth > 0)
    rows, columns = (~known).nonzero(as_tuple=True)
    if not len(rows) or not bool(known.any()):
        return picture
    best = torch.full((len(rows),), float("inf"), device=picture.device)
    source = torch.stack((rows, columns))
    for right, down in _DIRECTIONS:
        length = (right * right + down * down) ** 0.5
        step = (right / length, down / length)
        one = _march(known, rows, columns, (-step[0], -step[1]))
        other = _march(known, rows, columns, step)
        gap = (one - other).to(torch.float32).square().sum(0).sqrt()
        found = (one[0] >= 0) & (other[0] >= 0) & (gap < best)
        farther = (
            depth[one[0].clamp_min(0), one[1].clamp_min(0)]
            >= (depth[other[0].clamp_min(0), other[1].clamp_min(0)])
        )
        chosen = torch.where(farther, one, other)
        source = torch.where(found, chosen, source)
        best = torch.where(found, gap, best)
    result = picture.clone()
    result[0][:, rows, columns] = picture[0][:, source[0], source[1]]
    return result


def _march(known: Tensor, rows: Tensor, columns: Tensor, step_xy: tuple[float, float]) -> Tensor:
    """Return 2×N: row and column of the first known pixel in a direction from each.

    They are -1 if the border of the picture comes first.
    """
    height, width = known.shape
    found = torch.full((2, len(rows)), -1, dtype=torch.int64, device=known.device)
    waiting = torch.arange(len(rows), device=known.device)
    x, y = columns.to(torch.float32), rows.to(torch.float32)
    while len(waiting):
        x, y = x + step_xy[0], y + step_xy[1]
        column, row = x.round().long(), y.round().long()
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        x, y, column, row, waiting = (v[inside] for v in (x, y, column, row, waiting))
        hit = known[row, column]
        found[:, waiting[hit]] = torch.stack((row[hit], column[hit]))
        x, y, waiting = x[~hit], y[~hit], waiting[~hit]
    return found
