"""Blur a picture like a lens that is focused on one distance, as published.

Formula: J. Lin and others, Instance-guided Cartoon Editing, 2023. Written from recorded inputs and
outputs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TAPS = 32
_REACH = 0.0005  # of the shorter side, between two taps of what is most out of focus
_LIGHT = 13.0  # lamps stay bright in the blur because light is averaged as this power of the level
_DIRECTIONS_XY = ((0.0, 1.0), (math.cos(-math.pi / 6), math.sin(-math.pi / 6)))
_LAST_XY = (math.cos(-math.pi * 5 / 6), math.sin(-math.pi * 5 / 6))


def lens_blur(image: Tensor, near: Tensor, focus: float, strength: float = 0.5) -> Tensor:
    """Blur 1×3×H×W in [0, 1] where `near` 1×1×H×W is far from `focus`, in any one unit.

    Light spreads over a hexagon: along three directions, one after the other. `strength` 0.5 is as
    published. A picture of one distance stays as it is.
    """
    away = (near[0, 0].to(torch.float64) - focus).abs()
    range_of_it = float(away.max() - away.min())
    if range_of_it <= 0 or strength <= 0:
        return image
    spread = (away - away.min()) / range_of_it
    reach = spread * (2 * strength * _REACH * min(spread.shape))
    light = image[0].pow(_LIGHT)
    for direction in _DIRECTIONS_XY:
        light = _smeared(light, spread, reach, direction)
    across = _smeared(light, spread, reach, _LAST_XY)
    return ((light + across) / 2).pow(1 / _LIGHT)[None]


def _smeared(light: Tensor, spread: Tensor, reach: Tensor, way_xy: tuple[float, float]) -> Tensor:
    """Return the mean of 3×H×W along a line through each pixel; what is in focus has no share."""
    height, width = spread.shape
    rows = torch.arange(height, device=light.device)[:, None]
    columns = torch.arange(width, device=light.device)
    flat, weights = light.reshape(3, -1), spread.to(light).flatten()
    sums, total = torch.zeros_like(flat), torch.zeros_like(weights)
    for tap in range(-_TAPS // 2, _TAPS // 2):
        x = columns + (reach * way_xy[0] * tap).round().long()
        y = rows + (reach * way_xy[1] * tap).round().long()
        inside = ((x >= 0) & (x < width) & (y >= 0) & (y < height)).flatten()
        place = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).flatten()
        weight = weights[place] * inside
        sums += flat[:, place] * weight
        total += weight
    return torch.where(total > 0, sums / total.clamp_min(1e-30), flat).view_as(light)
