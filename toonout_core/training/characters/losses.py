"""What the head is trained to make small: errors of centres, of ways to them, and of sizes.

Centres: the focal loss of CornerNet (arXiv:1808.01244, eq. 1) around Gaussians. Ways: their L1
distance, every character weighted by the square root of its area, so that small ones count.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.lite_unet.characters import STRIDE, WAY_UNIT, Centres

PARTS: tuple[str, ...] = ("heat", "way", "size")

_LEAST_CELLS = 6  # who owns fewer is not to be found
_SPREAD = 0.08  # standard deviation of a centre's Gaussian, of the square root of the area
_NARROWEST, _WIDEST = 1.0, 4.0  # cells
_FLOOR = 1e-4  # no logarithm of 0


@dataclass(frozen=True)
class CentreTruth:
    """What `Centres` should be. `heat` B×1×h×w: Gaussians of height 1; `peak` bool: their cells.

    `ways` B×2×h×w and `sizes` B×1×h×w in cells; `weights` B×1×h×w: 0 where nobody is, area^(−1/2).
    """

    heat: Tensor
    peak: Tensor
    ways: Tensor
    sizes: Tensor
    weights: Tensor


def centre_truth(owners: Tensor) -> CentreTruth:
    """Of owners B×h×w, 0 where nobody is."""
    batch, height, width = owners.shape
    heat = torch.zeros((batch, 1, height, width), device=owners.device)
    ways = torch.zeros((batch, 2, height, width), device=owners.device)
    sizes, weights = torch.ones_like(heat), torch.zeros_like(heat)
    peak = torch.zeros_like(heat, dtype=torch.bool)
    y, x = torch.meshgrid(
        torch.arange(height, device=owners.device, dtype=torch.float32),
        torch.arange(width, device=owners.device, dtype=torch.float32),
        indexing="ij",
    )
    for item in range(batch):
        for number in owners[item].unique().tolist():
            mask = owners[item] == number
            area = float(mask.sum())
            if number == 0 or area < _LEAST_CELLS:
                continue
            middle_x, middle_y = float(x[mask].mean()), float(y[mask].mean())
            spread = min(max(_SPREAD * area**0.5, _NARROWEST), _WIDEST)
            # the Gaussian is centred on a cell, so that its peak is exactly 1
            column, row = round(middle_x), round(middle_y)
            away = (x - column).square() + (y - row).square()
            heat[item, 0] = torch.maximum(heat[item, 0], (-away / (2 * spread**2)).exp())
            peak[item, 0, row, column] = True
            ways[item, 0][mask], ways[item, 1][mask] = middle_x - x[mask], middle_y - y[mask]
            sizes[item, 0][mask] = area**0.5
            weights[item, 0][mask] = area**-0.5
    return CentreTruth(heat, peak, ways, sizes, weights)


def centre_losses(
    found: Centres, truth: CentreTruth, weights: dict[str, float]
) -> dict[str, Tensor]:
    """Weighted, by name."""
    total = truth.weights.sum().clamp(min=1)
    way = (found.ways - truth.ways).abs().sum(1, keepdim=True) * (STRIDE / WAY_UNIT)
    # logarithms of sizes, around the characters' own
    size = (found.sizes.log2() - truth.sizes.log2()).abs() * (truth.weights > 0)
    parts = {
        "heat": focal_loss(found.logits, truth),
        "way": (way * truth.weights).sum() / total,
        "size": (size * truth.weights).sum() / total,
    }
    return {name: weights[name] * value for name, value in parts.items()}


def focal_loss(logits: Tensor, truth: CentreTruth) -> Tensor:
    """Of all cells, for one centre; the nearer to a centre, the less a cell is to be 0."""
    seen = logits.sigmoid().clamp(_FLOOR, 1 - _FLOOR)
    hit = -F.logsigmoid(logits) * (1 - seen).square()
    miss = -F.logsigmoid(-logits) * seen.square() * (1 - truth.heat) ** 4
    return torch.where(truth.peak, hit, miss).sum() / truth.peak.sum().clamp(min=1)
