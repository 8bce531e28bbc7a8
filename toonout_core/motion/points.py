"""The published renderer: every pixel a point in space, drawn from a camera that has moved.

Formulas: J. Lin and others, Instance-guided Cartoon Editing, 2023, after S. Niklaus and others, 3D
Ken Burns Effect from a Single Image, 2019. Written from recorded inputs and outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .disparity import BASELINE, FOCAL_PX

_NEAREST = 0.001  # points nearer than that are behind the camera
_SAME = 1.0  # difference of disparity up to which two points are one surface
_FAR = 1e6  # minus disparity is an order that grows with the distance


def point_cloud(depth: Tensor, valid: Tensor) -> Tensor:
    """1×1×H×W and where it may be trusted → positions 1×3×H×W; z = 0 marks a point to leave out."""
    height, width = depth.shape[-2:]
    x = (torch.arange(width, device=depth.device) - (width - 1) / 2) / FOCAL_PX
    y = (torch.arange(height, device=depth.device) - (height - 1) / 2) / FOCAL_PX
    rays = torch.stack((x.expand(height, width), y[:, None].expand(height, width)))
    rays = torch.cat((rays, torch.ones_like(rays[:1])))
    return rays[None] * (depth * valid.to(depth))


def render_points(
    points: Tensor,
    data: Tensor,
    size_hw: tuple[int, int],
    focal_px: float = FOCAL_PX,
    baseline: float = BASELINE,
) -> tuple[Tensor, Tensor]:
    """Render points 1×3×N with values 1×C×N → what the camera sees, 1×C×H×W.

    Also returns how much of each pixel is covered, 1×1×H×W. Nearer points hide farther ones; gaps
    of a stretched surface are closed.
    """
    height, width = size_hw
    x, y, z = points[0]
    seen = z >= _NEAREST
    x, y, z, values = x[seen], y[seen], z[seen], data[0][:, seen]
    # x f/z, rounded as where a ray from the point to the camera meets the picture plane: a point
    # that misses its pixel's centre by a rounding error covers a trace of the next one
    along = (focal_px - z) / -z
    u = x - x * along + (width - 1) / 2
    v = y - y * along + (height - 1) / 2
    order = _FAR - focal_px * baseline / (z + 1e-7)
    left, top = u.floor(), v.floor()
    nearest = _without_grid(_depth_buffer(u - left, v - top, left, top, order, size_hw))
    count = height * width
    sums = values.new_zeros(len(values) + 1, count)
    for right, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        column, row = (left + right).long(), (top + down).long()
        share = (1 - (u - (left + right)).abs()) * (1 - (v - (top + down)).abs())
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        place = (row * width + column)[inside]
        front = order[inside] <= nearest.flatten()[place] + _SAME
        place, weight = place[front], share[inside][front]
        sums[:-1].index_add_(1, place, values[:, inside][:, front] * weight)
        sums[-1].index_add_(0, place, weight)
    covered = sums[-1:]
    drawn = sums[:-1] / (covered + 1e-7)
    return drawn.view(1, -1, height, width), covered.view(1, 1, height, width)


def _depth_buffer(
    beside: Tensor,
    below: Tensor,
    left: Tensor,
    top: Tensor,
    order: Tensor,
    size_hw: tuple[int, int],
) -> Tensor:
    """Return H×W, the depth of the nearest point whose centre is nearest to that pixel."""
    height, width = size_hw
    shares = torch.stack(
        ((1 - beside) * (1 - below), beside * (1 - below), (1 - beside) * below, beside * below)
    )
    best = shares.argmax(0)  # the first of equal ones
    column, row = (left + best % 2).long(), (top + best // 2).long()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    buffer = order.new_full((height * width,), _FAR)
    place = (row * width + column)[inside]
    return buffer.scatter_reduce_(0, place, order[inside], "amin").view(height, width)


def _without_grid(order: Tensor) -> Tensor:
    """Close the gaps of a stretched surface.

    A pixel that lies behind both of two opposite neighbours is such a gap, and takes their mean.
    """
    inner = (slice(1, -1), slice(1, -1))
    result = order.clone()
    for rows, columns in (
        ((0, 0), (-1, 1)),
        ((-1, 1), (0, 0)),
        ((-1, 1), (-1, 1)),
        ((-1, 1), (1, -1)),
    ):
        one, other = (_neighbour(order, r, c) for r, c in zip(rows, columns, strict=True))
        gap = (order[inner] >= one + 1) & (order[inner] >= other + 1)
        mean = (one + other) / 2
        result[inner] = torch.where(gap, torch.minimum(result[inner], mean), result[inner])
    return result


def _neighbour(plane: Tensor, down: int, right: int) -> Tensor:
    height, width = plane.shape
    return plane[1 + down : height - 1 + down, 1 + right : width - 1 + right]
