"""Trimaps: 0 background, 0.5 unknown, 1 foreground."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import BadInput
from .morphology import erode


def trimap(alpha: Tensor, radius_px: int, low: float = 0.05, high: float = 0.95) -> Tensor:
    """Unknown is what lies between `low` and `high`, and radius_px around it on both sides.

    B×1×H×W alpha or mask → B×1×H×W float32 of 0, 0.5 and 1.
    """
    if not 0 <= low < high <= 1:
        raise BadInput("low and high must be 0 ≤ low < high ≤ 1", f"{low} and {high}")
    alpha = alpha.to(torch.float32)
    foreground = erode(alpha >= high, radius_px).to(torch.float32)
    background = erode(alpha <= low, radius_px).to(torch.float32)
    return (1 + foreground - background) / 2
