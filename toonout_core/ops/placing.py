"""Giving a background the size of the picture that stands on it. B×3×H×W in [0, 1]."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from .resizing import resize

BackgroundFit = Literal["cover", "contain", "stretch"]


def fit_background(
    background: Tensor, size_hw: tuple[int, int], fit: BackgroundFit, bars: Tensor
) -> Tensor:
    """B×3×h×w → B×3×H×W; `bars` 1×3×H×W shows where "contain" leaves room.

    "cover" cuts what sticks out, "contain" shows all of it, "stretch" bends it.
    """
    if fit == "stretch":
        return resize(background, size_hw).clamp(0, 1)
    scales = [want / have for want, have in zip(size_hw, background.shape[-2:], strict=True)]
    scale = max(scales) if fit == "cover" else min(scales)
    height, width = (max(1, round(int(side) * scale)) for side in background.shape[-2:])
    scaled = resize(background, (height, width)).clamp(0, 1)
    top, left = abs(size_hw[0] - height) // 2, abs(size_hw[1] - width) // 2
    if fit == "cover":
        return scaled[..., top : top + size_hw[0], left : left + size_hw[1]]
    framed = bars.expand(len(scaled), *bars.shape[1:]).clone()
    framed[..., top : top + height, left : left + width] = scaled
    return framed
